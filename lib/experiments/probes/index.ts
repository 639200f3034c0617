import type { Kind } from "../../runs/index.js";
import { type ProbesConfiguration, parseProbes } from "./probes-configuration.js";
import { probesRecords, probesScalars } from "./probes-records.js";

/** Probes of a training elsewhere, measured as they come. */
export const probesKind: Kind<ProbesConfiguration, typeof probesRecords> = {
  name: "probes",
  usage: "watch-probes <folder>",
  unnamed: ["probes"],
  migrations: [],
  parse: parseProbes,
  mayChange: ["probes"],
  records: probesRecords,
  scalars: probesScalars,
  // What draws is large, and loaded when it is needed.
  report: async (run) => (await import("./probes-report.js")).probesReport(run),
};
