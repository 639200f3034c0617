import { mkdir } from "node:fs/promises";
import path from "node:path";
import type { Figure } from "./figure.js";
import { raster } from "./raster.js";
import { figureSize } from "./style.js";
import { writeWhole } from "./write-whole.js";

/** A figure as SVG and PNG in a folder: the files, and what the SVG says. */
export async function writeFigure(
  folder: string,
  { name, draw }: Figure,
): Promise<{ svg: string; files: { svg: string; png: string } }> {
  const svg = draw(figureSize);
  const files = { svg: path.join(folder, `${name}.svg`), png: path.join(folder, `${name}.png`) };
  await writeWhole(files.svg, svg);
  await writeWhole(files.png, await raster(svg));
  return { svg, files };
}

/**
 * Writes what was computed, as `<name>.json`, and figures of it, each as SVG and PNG, into a folder.
 *
 * @returns the files
 */
export async function writeFigures(
  folder: string,
  name: string,
  data: unknown,
  figures: readonly Figure[],
): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const numbers = path.join(folder, `${name}.json`);
  await writeWhole(numbers, `${JSON.stringify(data)}\n`);
  const written = [numbers];
  for (const figure of figures) {
    const { svg, png } = (await writeFigure(folder, figure)).files;
    written.push(svg, png);
  }
  return written;
}
