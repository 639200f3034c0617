import type { Kind } from "../../runs/index.js";
import { parseStoredSeries, type StoredSeries } from "./series-configuration.js";
import { seriesRecords, seriesScalars } from "./series-records.js";

/** Checkpoints of a training, each measured with its weights frozen. */
export const checkpointsKind: Kind<StoredSeries, typeof seriesRecords> = {
  name: "checkpoints",
  usage: "checkpoints <folders> --data <files>",
  unnamed: ["data", "accumulate"],
  migrations: [
    (stored) => stored,
    // A state was taken where its name was given alone.
    (stored) => ({ ...stored, optimizerState: stored.optimizerState ?? "none" }),
  ],
  parse: parseStoredSeries,
  mayChange: ["checkpoints"],
  records: seriesRecords,
  scalars: seriesScalars,
  // What draws is large, and loaded when it is needed.
  report: async (run) => (await import("./series-report.js")).seriesReport(run),
};
