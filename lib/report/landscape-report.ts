import type { Slice } from "../experiments/index.js";
import type { Figure } from "./figure.js";
import { landscapeFigure } from "./figures/landscape.js";
import { sliceFigure } from "./figures/slice.js";
import { writeFigures } from "./write-figures.js";

/** The loss along a direction, and on a plane if one was computed. */
export interface Landscape {
  /** L(θ) */
  baseLoss: number;
  /** ηc; null where there is none. */
  criticalLearningRate: number | null;
  points: readonly { learningRate: number; loss: number | null }[];
  /** η of the first and the last point, where they were chosen. */
  range?: readonly [number, number];
  /** With the name of its second direction. */
  slice: (Slice & { secondName: string }) | null;
}

/**
 * Writes a landscape into a folder: landscape.json, and each figure as SVG and PNG.
 *
 * @returns the files
 */
export function writeLandscape(folder: string, landscape: Landscape): Promise<string[]> {
  return writeFigures(folder, "landscape", landscape, figures(landscape));
}

function figures({ baseLoss, criticalLearningRate, points, range, slice }: Landscape): Figure[] {
  const common = { baseLoss, critical: criticalLearningRate || NaN, label: "loss" };
  const along = landscapeFigure({
    ...common,
    points: points.map(({ learningRate, loss }) => ({ x: learningRate, y: loss ?? NaN })),
    learningRate: NaN,
    ...(range && { from: range[0] }),
  });
  return slice ? [along, sliceFigure({ ...common, ...slice })] : [along];
}
