import { counted } from "../../report/index.js";
import type { SharpnessEstimate } from "../../sharpness/index.js";
import { studentQuantile } from "../../statistics.js";

/** Where a checkpoint's λc lies against 2/η. */
export interface Edge {
  /** λc·η/2, and how far its mean may be off: half of its 95 % interval. */
  ratio: number;
  uncertainty: number;
  /** Undecided: 1 lies within the interval, or too few batches have a λc. */
  side: "above" | "below" | "undecided";
}

/** What an edge is made of, as a record of a run has it too. */
type Measured = {
  criticalSharpness: {
    [Key in "mean" | "standardError"]: SharpnessEstimate[Key] | null;
  } & Pick<SharpnessEstimate, "count" | "nonDescent" | "unresolved">;
  learningRate: number | null;
};

/** Null where η is not known, or is 0: no step is taken. */
export function edgeOf({ criticalSharpness, learningRate }: Measured): Edge | null {
  if (learningRate === null || learningRate === 0) return null;
  const { mean, standardError, count, nonDescent, unresolved } = criticalSharpness;
  // Where Δ descends on no batch, every step overshoots.
  if (count === 0 && unresolved === 0 && nonDescent > 0)
    return { ratio: Infinity, uncertainty: 0, side: "above" };
  const ratio = ((mean ?? NaN) * learningRate) / 2;
  const uncertainty =
    count > 1 ? (studentQuantile(count - 1) * (standardError ?? NaN) * learningRate) / 2 : NaN;
  if (ratio - uncertainty > 1 && unresolved === 0) return { ratio, uncertainty, side: "above" };
  // Those that the mean leaves out because Δ does not descend are above.
  if (ratio + uncertainty < 1 && unresolved + nonDescent === 0) return { ratio, uncertainty, side: "below" };
  return { ratio, uncertainty, side: "undecided" };
}

/** Whether a run was at its edge, in a sentence; undefined where no η is known. */
export function edgeSentence(checkpoints: readonly Measured[]): string | undefined {
  const edges = checkpoints.map(edgeOf).filter((edge) => edge !== null);
  if (edges.length === 0) return undefined;
  const of = (side: Edge["side"]) => edges.filter((edge) => edge.side === side).length;
  const rest = [
    ...(of("below") > 0 ? [`${of("below")} below`] : []),
    ...(of("undecided") > 0 ? [`${of("undecided")} undecided`] : []),
  ];
  const told = [`${of("above")} of ${counted(edges.length, "checkpoint")} above 2/η`, ...rest].join(", ");
  const ended = checkpoints.filter(({ learningRate }) => learningRate === 0).length;
  return ended > 0 ? `${told}; at ${ended} the learning rate was 0` : told;
}
