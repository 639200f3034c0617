import { Command } from "commander";
import { type CommonOptions, jsonOption } from "../options.js";
import { print, strings } from "../output.js";

export function reportCommand(): Command {
  return new Command("report")
    .description("Write the report of a run: report.html, report.png and its figures.")
    .argument("<run-dir>", "a run directory, of a run that is under way too")
    .addOption(jsonOption())
    .addHelpText("after", "\nExample:\n  critical-sharpness report runs/quickstart")
    .action(async (directory: string, { json }: CommonOptions) => {
      // Loaded when it is needed: what draws is large.
      const { writeReport } = await import("../../report/index.js");
      const report = await writeReport(directory);
      print(report, json, () => strings(report));
    });
}
