import type { Kind } from "../../runs/index.js";
import { parseConfiguration, type TrainConfiguration } from "./train-configuration.js";
import { trainRecords, trainScalars } from "./train-records.js";

/** Training, measured on the way. */
export const trainKind: Kind<TrainConfiguration, typeof trainRecords> = {
  name: "train",
  usage: "train <config>",
  unnamed: ["data", "steps"],
  migrations: [(stored) => stored],
  parse: parseConfiguration,
  records: trainRecords,
  scalars: trainScalars,
  // What draws is large, and loaded when it is needed.
  report: async (run) => (await import("./train-report.js")).trainReport(run),
};
