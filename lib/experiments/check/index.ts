import type { Kind } from "../../runs/index.js";
import { type CheckConfiguration, parseCheck } from "./check-configuration.js";
import { checkRecords, checkScalars } from "./check-records.js";

/** A learning rate that is compared with the critical one. */
export const checkKind: Kind<CheckConfiguration, typeof checkRecords> = {
  name: "check",
  usage: "check <model> --data <files>",
  unnamed: ["trial", "optimizerState"],
  migrations: [],
  parse: parseCheck,
  records: checkRecords,
  scalars: checkScalars,
  // What draws is large, and loaded when it is needed.
  report: async (run) => (await import("./check-report.js")).checkReport(run),
};
