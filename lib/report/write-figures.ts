import { mkdir } from "node:fs/promises";
import path from "node:path";
import type { Figure } from "./figure.js";
import { raster } from "./raster.js";
import { figureSize } from "./style.js";
import { writeWhole } from "./write-whole.js";

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
  const files = [path.join(folder, `${name}.json`)];
  await writeWhole(files[0] as string, `${JSON.stringify(data)}\n`);
  for (const figure of figures) {
    const svg = figure.draw(figureSize);
    const place = path.join(folder, figure.name);
    await writeWhole(`${place}.svg`, svg);
    await writeWhole(`${place}.png`, await raster(svg));
    files.push(`${place}.svg`, `${place}.png`);
  }
  return files;
}
