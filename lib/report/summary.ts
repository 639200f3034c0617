import { integerText, prose } from "./numbers.js";
import type { RunRecords } from "./run-records.js";
import { mean, median } from "./statistics.js";

/** What a run is and what came of it, for a table. */
export function summary({ configuration, created, versions, steps }: RunRecords): [string, string][] {
  const { model, data, optimizer, schedule, batch, seed, dtype } = configuration;
  const measurements = steps.flatMap(({ measurement }) => (measurement ? [measurement] : []));
  const count = (status: string) => measurements.filter((m) => m.status === status).length;
  const passes = measurements.map((m) => m.forwardPasses);
  return [
    ["Model", settings(model)],
    ["Data", settings(data)],
    ["Batch", settings(batch)],
    ["Optimizer", settings(optimizer)],
    ["Schedule", settings(schedule)],
    ["Steps", `${integerText(steps.length)} of ${integerText(configuration.steps)}`],
    ["Seed", String(seed)],
    ["Arithmetic", dtype],
    [
      "Measurements",
      `${integerText(measurements.length)}: ${count("converged")} converged, ${count("non-descent")} non-descent, ${count("unbounded")} unbounded`,
    ],
    ["Forward passes", `median ${prose(median(passes))}, mean ${prose(mean(passes))}`],
    ...(created ? [["Begun", created] as [string, string]] : []),
    ["Versions", settings(versions)],
  ];
}

function settings(object: object): string {
  return Object.entries(object)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) =>
      name === "type" || name === "model_type" ? value : `${name} ${JSON.stringify(value)}`,
    )
    .join(", ");
}
