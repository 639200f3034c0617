import { Command } from "commander";
import { launchRanks } from "../../ranks/index.js";
import { readRanks } from "../options.js";
import type { SetStatus } from "../progress.js";

export function launchCommand(setStatus: SetStatus): Command {
  return new Command("launch")
    .description("Run a program as several processes of this host that share a model: see docs/ranks.md.")
    .requiredOption("--ranks <n>", "how many processes", readRanks)
    .argument("<command...>", "what to run, after --")
    .addHelpText("after", "\nExample:\n  critical-sharpness launch --ranks 2 -- node measure.mjs")
    .action(async (command: [string, ...string[]], { ranks: size }: { ranks: number }) => {
      setStatus(await launchRanks(size, command));
    });
}
