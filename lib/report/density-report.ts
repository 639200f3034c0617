import { type DensityData, densityFigure } from "./figures/density.js";
import { writeFigures } from "./write-figures.js";

/**
 * Writes a density of eigenvalues into a folder: density.json, density.svg and density.png.
 *
 * @returns the files
 */
export function writeDensity(folder: string, density: DensityData): Promise<string[]> {
  return writeFigures(folder, "density", density, [densityFigure(density)]);
}
