import { Command } from "commander";
import { compareRuns, writeReport } from "../../experiments/index.js";
import { type CommonOptions, jsonOption } from "../options.js";
import { print, strings } from "../progress.js";

export function reportCommand(): Command {
  return new Command("report")
    .description(
      "Write the report of a run: report.html, report.png and its figures. Of several runs: one that compares them.",
    )
    .argument("<run-dir...>", "run directories, of runs that are under way too")
    .option("--out <dir>", "where the comparison of several runs goes (default: runs/comparison)")
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\nExample:\n  critical-sharpness report runs/quickstart\n  critical-sharpness report runs/low runs/high --out runs/both",
    )
    .action(async (directories: string[], { out, json }: CommonOptions & { out?: string }) => {
      if (directories.length === 1 && out === undefined) {
        const report = await writeReport(directories[0] as string);
        print(report, json, () => strings(report));
        return;
      }
      const { runs, ...report } = await compareRuns(directories, out ?? "runs/comparison");
      print({ ...report, runs }, json, () => strings(report));
    });
}
