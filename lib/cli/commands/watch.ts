import { once } from "node:events";
import { Command } from "commander";
import { type WatchOptions, watchOptions, watchRuns } from "../../experiments/index.js";
import { addFlags } from "../../options/index.js";
import { interruption } from "../progress.js";

export function watchCommand(): Command {
  const command = new Command("watch")
    .description("Serve a page on this machine that shows runs as they grow, side by side.")
    .argument("<run-dir...>", "run directories, of runs that are over or not begun too");
  addFlags(command, watchOptions);
  return command
    .addHelpText("after", "\nExample:\n  critical-sharpness watch runs/first runs/second")
    .action(async (directories: string[], { port = 6017 }: WatchOptions) => {
      const note = (line: string) => void process.stderr.write(`${line}\n`);
      using interrupted = interruption("Stopping.", { note, stop() {} });
      await using watch = await watchRuns(directories, { port });
      process.stdout.write(`${watch.url}\n`);
      if (!interrupted.signal.aborted) await once(interrupted.signal, "abort");
    });
}
