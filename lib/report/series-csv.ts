import { csvText } from "./csv.js";
import type { SeriesRecords } from "./series-records.js";

const columns = [
  "checkpoint",
  "step",
  "tokens",
  "part",
  "criticalSharpness",
  "standardError",
  "median",
  "batches",
  "nonDescent",
  "unbounded",
  "unresolved",
  "loss",
  "lossStandardError",
  "directionalSharpness",
  "directionalStandardError",
  "preconditionedSharpness",
  "preconditionedStandardError",
  "forwardPasses",
  "seconds",
] as const;

/**
 * A series as comma-separated values: a line for each checkpoint, its `part` "all", and one for each of its parts. What is
 * not known or not resolved is empty; a λc that is infinite throughout is written as Infinity.
 */
export function seriesCsv({ measured }: Pick<SeriesRecords, "measured">): string {
  const rows = measured.flatMap((found) => {
    const parts = [["all", found.criticalSharpness] as const, ...Object.entries(found.parts)];
    return parts.map(
      ([part, { mean, standardError, median, count, nonDescent, unbounded, unresolved = 0 }]) => {
        const none = unresolved > 0 ? null : Infinity;
        const whole = part === "all" ? found : undefined;
        return {
          checkpoint: found.name,
          step: found.step,
          tokens: found.tokens,
          part,
          criticalSharpness: count === 0 ? none : mean,
          standardError,
          median: median ?? none,
          batches: count + nonDescent + unresolved,
          nonDescent,
          unbounded,
          unresolved,
          loss: whole?.loss.mean,
          lossStandardError: whole?.loss.standardError,
          directionalSharpness: whole?.directionalSharpness?.mean,
          directionalStandardError: whole?.directionalSharpness?.standardError,
          preconditionedSharpness: whole?.preconditioned?.mean,
          preconditionedStandardError: whole?.preconditioned?.standardError,
          forwardPasses: whole?.forwardPasses,
          seconds: whole?.seconds,
        };
      },
    );
  });
  return csvText(columns, rows);
}
