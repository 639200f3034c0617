import { badConfiguration, explain } from "../../options/index.js";
import type { Kind } from "../../runs/index.js";
import { type MixConfiguration, mixSchema } from "./mix-configuration.js";
import { mixRecords, mixScalars, withoutEstimator } from "./mix-records.js";

/** How much of one source a data mixture needs. */
export const mixKind: Kind<MixConfiguration, typeof mixRecords> = {
  name: "mix",
  usage: "mix <config>",
  unnamed: ["sources", "vary"],
  migrations: [withoutEstimator],
  parse(stored, { file }) {
    const parsed = mixSchema.safeParse(stored);
    if (!parsed.success) throw badConfiguration(explain(parsed.error, stored), file);
    return { ...parsed.data, accumulate: parsed.data.accumulate ?? 1 };
  },
  mayChange: ["repeats", "train"],
  records: mixRecords,
  scalars: mixScalars,
  // What draws is large, and loaded when it is needed.
  report: async (run) => (await import("./mix-report.js")).mixReport(run),
};
