import { mkdir } from "node:fs/promises";
import path from "node:path";
import type { Slice } from "../experiments/index.js";
import type { Figure } from "./figure.js";
import { landscapeFigure } from "./figures/landscape.js";
import { sliceFigure } from "./figures/slice.js";
import { raster } from "./raster.js";
import { figureSize } from "./style.js";
import { writeWhole } from "./write-whole.js";

/** The loss along a direction, and on a plane if one was computed. */
export interface Landscape {
  /** L(θ) */
  baseLoss: number;
  /** ηc; null where there is none. */
  criticalLearningRate: number | null;
  points: readonly { learningRate: number; loss: number | null }[];
  /** With the name of its second direction. */
  slice: (Slice & { secondName: string }) | null;
}

/**
 * Writes a landscape into a folder: landscape.json, and each figure as SVG and PNG.
 *
 * @returns the files
 */
export async function writeLandscape(folder: string, landscape: Landscape): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const files = [path.join(folder, "landscape.json")];
  await writeWhole(files[0] as string, `${JSON.stringify(landscape)}\n`);
  for (const { name, draw } of figures(landscape)) {
    const svg = draw(figureSize);
    const place = path.join(folder, name);
    await writeWhole(`${place}.svg`, svg);
    await writeWhole(`${place}.png`, await raster(svg));
    files.push(`${place}.svg`, `${place}.png`);
  }
  return files;
}

function figures({ baseLoss, criticalLearningRate, points, slice }: Landscape): Figure[] {
  const common = { baseLoss, critical: criticalLearningRate || NaN, label: "loss" };
  const along = landscapeFigure({
    ...common,
    points: points.map(({ learningRate, loss }) => ({ x: learningRate, y: loss ?? NaN })),
    learningRate: NaN,
  });
  return slice ? [along, sliceFigure({ ...common, ...slice })] : [along];
}
