import { Command, InvalidArgumentError } from "commander";
import { launchRanks } from "../../ranks/index.js";
import type { SetStatus } from "../progress.js";

function ranks(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= 1024) return count;
  throw new InvalidArgumentError("Expected an integer between 1 and 1024.");
}

export function launchCommand(setStatus: SetStatus): Command {
  return new Command("launch")
    .description("Run a program as several processes of this host that share a model: see docs/ranks.md.")
    .requiredOption("--ranks <n>", "how many processes", ranks)
    .argument("<command...>", "what to run, after --")
    .addHelpText("after", "\nExample:\n  critical-sharpness launch --ranks 2 -- node measure.mjs")
    .action(async (command: [string, ...string[]], { ranks: size }: { ranks: number }) => {
      setStatus(await launchRanks(size, command));
    });
}
