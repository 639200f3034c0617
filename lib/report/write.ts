import { mkdir } from "node:fs/promises";
import path from "node:path";
import { renderAsync } from "@resvg/resvg-js";
import { CriticalSharpnessError } from "../errors.js";
import { writeWhole } from "../files/index.js";
import type { Slice } from "../sharpness/index.js";
import { type DensityData, densityFigure } from "./figures/distributions.js";
import { landscapeFigure } from "./figures/landscape.js";
import { sliceFigure } from "./figures/slice.js";
import { page, type ReportContent } from "./page.js";
import { colors, type Figure, figureSize, plainColors, rasterFont, type Size } from "./style.js";

/** A figure as SVG and PNG in a folder, in the colours of a light page. */
export async function writeFigure(
  folder: string,
  { name, draw }: Figure,
): Promise<{ svg: string; png: string }> {
  const svg = plainColors(draw(figureSize));
  const files = { svg: path.join(folder, `${name}.svg`), png: path.join(folder, `${name}.png`) };
  await writeWhole(files.svg, svg);
  await writeWhole(files.png, await raster(svg));
  return files;
}

/** A figure as a PNG. */
export function figurePng({ draw }: Figure): Promise<Uint8Array> {
  return raster(draw(figureSize));
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
    const { svg, png } = await writeFigure(folder, figure);
    written.push(svg, png);
  }
  return written;
}

/** The files of a report. */
export interface Report {
  /** One page with everything in it; it needs no network and no script. */
  html: string;
  /** All figures in one picture. */
  png: string;
  /** A line for each thing that was measured. */
  csv: string;
  /** By the figure's name. */
  figures: Record<string, { svg: string; png: string }>;
}

/**
 * Writes a report's files into a directory: report.html, report.png, a CSV file and figures/, each whole or not at all. Files of an
 * earlier report are replaced.
 *
 * @param csv what the CSV file is called
 * @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if the directory cannot be written.
 */
export async function writeReportFiles(
  directory: string,
  content: ReportContent,
  csv = "metrics.csv",
): Promise<Report> {
  const place = (file: string) => path.join(directory, file);
  const report: Report = {
    html: place("report.html"),
    png: place("report.png"),
    csv: place(csv),
    figures: {},
  };
  try {
    await mkdir(place("figures"), { recursive: true });
    for (const figure of content.figures)
      report.figures[figure.name] = await writeFigure(place("figures"), figure);
    await writeWhole(report.png, await raster(overview(content.figures)));
    await writeWhole(report.csv, content.csv);
    await writeWhole(report.html, page(content));
    return report;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined || error instanceof CriticalSharpnessError) throw error;
    throw new CriticalSharpnessError(
      "ERR_RUN_DIRECTORY",
      `Expected a directory that can be written for the report of "${directory}" but received ${message}`,
      { cause: error },
    );
  }
}

const width = 960;
const first: Size = { width, height: 370 };
const other: Size = { width: width / 2, height: 320 };
const gap = 10;

/** All figures in one SVG: the first over the whole width, the others two in a row. */
export function overview(figures: readonly Figure[]): string {
  const [head, ...panels] = figures.map((figure, i) => figure.draw(i === 0 ? first : other));
  const placed = head === undefined ? [] : [place(head, 0, 0)];
  let top = head === undefined ? 0 : heightOf(head) + gap;
  for (let i = 0; i < panels.length; i += 2) {
    const row = panels.slice(i, i + 2);
    placed.push(...row.map((svg, column) => place(svg, (column * width) / 2, top)));
    top += Math.max(...row.map(heightOf)) + gap;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${top}" viewBox="0 0 ${width} ${top}"><rect width="100%" height="100%" fill="${colors.background}"/>${placed.join("")}</svg>`;
}

/** A figure may be higher than it was asked to be. */
const heightOf = (svg: string) => Number(/ height="([\d.]+)"/.exec(svg)?.[1]);

function place(svg: string, x: number, y: number): string {
  return svg.replace("<svg ", `<svg x="${x}" y="${y}" `);
}

/** A PNG of an SVG, `scale` pixels to one of its own. Drawn on another thread. */
export async function raster(svg: string, scale = 2): Promise<Uint8Array> {
  const options = { font: rasterFont, fitTo: { mode: "zoom", value: scale }, background: "white" } as const;
  return (await renderAsync(plainColors(svg), options)).asPng();
}

/** The loss along a direction, and on a plane if one was computed. */
export interface Landscape {
  /** L(θ) */
  baseLoss: number;
  /** ηc; null where there is none. */
  criticalLearningRate: number | null;
  /** How the search for ηc ended. */
  status?: string;
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

function figures({ baseLoss, criticalLearningRate, status, points, range, slice }: Landscape): Figure[] {
  const common = { baseLoss, critical: criticalLearningRate || NaN, status, label: "loss" };
  const along = landscapeFigure({
    ...common,
    points: points.map(({ learningRate, loss }) => ({ x: learningRate, y: loss ?? NaN })),
    learningRate: NaN,
    ...(range && { from: range[0] }),
  });
  return slice ? [along, sliceFigure({ ...common, ...slice })] : [along];
}

/**
 * Writes a density of eigenvalues into a folder: density.json, density.svg and density.png.
 *
 * @returns the files
 */
export function writeDensity(folder: string, density: DensityData): Promise<string[]> {
  return writeFigures(folder, "density", density, [densityFigure(density)]);
}
