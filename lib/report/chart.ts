import * as Plot from "@observablehq/plot";
import { Resvg } from "@resvg/resvg-js";
import { parseHTML } from "linkedom";
import { escapeMarkup, svgScripts } from "./markup.js";
import type { Scale } from "./scales.js";
import { colors, fontFamily, fontName, rasterFont, type Size, sizes } from "./style.js";

export interface Axis extends Scale {
  label: string;
}

export type Mark = Plot.Markish | false;

/** What a figure shows; every figure is drawn from one of these, so that all look alike. */
export interface Chart {
  title: string;
  /** A line under the title: the numbers worth reading first. */
  subtitle: string;
  legend: readonly LegendItem[];
  x: Axis;
  y: Axis;
  marks: readonly Mark[];
  /** Room inside the frame that the scale keeps free, for marks on its edges. */
  insetTop?: number;
  insetBottom?: number;
}

/** Draws a chart as a whole SVG document. */
export function drawChart(chart: Chart, size: Size): string {
  const { padding } = sizes;
  const titleTop = padding + sizes.title * 0.85;
  const subtitleTop = titleTop + sizes.text + 9;
  const legendTop = subtitleTop + 7;
  const items = legend(chart.legend, { x: padding, y: legendTop, width: size.width - 2 * padding });
  const plotTop = legendTop + Math.max(1, items.rows) * legendRow;
  const plot = drawPlot(chart, { width: size.width, height: size.height - plotTop });
  return svgScripts(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${size.height}" viewBox="0 0 ${size.width} ${size.height}" role="img" aria-label="${escapeMarkup(`${chart.title}: ${chart.subtitle}`)}" font-family="${fontFamily}" font-size="${sizes.text}" fill="${colors.ink}">` +
      `<rect width="100%" height="100%" fill="${colors.background}"/>` +
      `<text x="${padding}" y="${titleTop}" font-size="${sizes.title}" font-weight="600">${escapeMarkup(chart.title)}</text>` +
      `<text x="${padding}" y="${subtitleTop}" fill="${colors.muted}">${escapeMarkup(chart.subtitle)}</text>` +
      `${items.svg}<g transform="translate(0,${plotTop})" text-anchor="middle">${plot}</g></svg>`,
  );
}

/** Axes and marks: what stands inside Observable Plot's own svg element. */
function drawPlot({ x, y, marks, insetTop = 0, insetBottom = 0 }: Chart, { width, height }: Size): string {
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const widest = Math.max(...y.ticks.map((tick) => textWidth(y.format(tick), sizes.text)), 0);
  const lastLabel = textWidth(x.format(x.ticks.at(-1) ?? 0), sizes.text);
  const marginLeft = Math.ceil(sizes.padding + sizes.text + 8 + widest + 9);
  const svg = Plot.plot({
    document,
    width,
    height,
    marginTop: 10,
    marginRight: Math.ceil(Math.max(sizes.padding + 6, lastLabel / 2 + 8)),
    marginBottom: sizes.padding + 36,
    marginLeft,
    x: { type: x.type, domain: x.domain },
    y: { type: y.type, domain: y.domain, insetTop, insetBottom },
    marks: [
      Plot.gridX(x.ticks, { stroke: colors.grid, strokeOpacity: 1 }),
      Plot.gridY(y.ticks, { stroke: colors.grid, strokeOpacity: 1 }),
      Plot.frame({ stroke: colors.frame }),
      ...marks.filter((mark) => mark !== false),
      Plot.axisX(x.minor, { text: null, tickSize: 3, stroke: colors.frame, label: null }),
      Plot.axisY(y.minor, { text: null, tickSize: 3, stroke: colors.frame, label: null }),
      Plot.axisX({ ...axis(x), labelOffset: 39 }),
      Plot.axisY({ ...axis(y), labelOffset: marginLeft - sizes.padding }),
    ],
  });
  return rounded(svg.innerHTML.replace(/<style>.*?<\/style>/s, ""));
}

function axis({ ticks, format, label }: Axis) {
  return {
    ticks,
    // A tickFormat would leave out ticks of log axes that begin with a large digit.
    text: (tick: number) => format(tick),
    tickSize: 5,
    label,
    labelArrow: "none" as const,
    labelAnchor: "center" as const,
    fontSize: sizes.text,
  };
}

/** Coordinates, not text: two decimals are more than a screen or a printer shows. */
function rounded(svg: string): string {
  return svg.replace(/<[^>]+>/g, (tag) =>
    tag.replace(/-?\d+\.\d{3,}/g, (number) => String(Number(Number(number).toFixed(2)))),
  );
}

export type Glyph =
  | "line"
  | "dashed"
  | "dots"
  | "line-dots"
  | "area"
  | "bar"
  | "outlined-bar"
  | "ring"
  | "triangle-up"
  | "triangle-down";

/** What a legend says of one mark. */
export interface LegendItem {
  glyph: Glyph;
  color: string;
  opacity?: number;
  text: string;
}

const glyphWidth = 24;
const gap = 8;
/** Between items; wider than it looks good, for where another font is read. */
const between = 22;
export const legendRow = 20;

/** Items in rows, from (x, y) down. */
export function legend(
  items: readonly LegendItem[],
  { x, y, width }: { x: number; y: number; width: number },
): { svg: string; rows: number } {
  const drawn: string[] = [];
  let [left, row] = [0, 0];
  for (const item of items) {
    const needed = glyphWidth + gap + textWidth(item.text, sizes.text);
    if (left > 0 && left + needed > width) [left, row] = [0, row + 1];
    drawn.push(drawItem(item, x + left, y + row * legendRow + legendRow / 2));
    left += needed + between;
  }
  return { svg: `<g class="legend">${drawn.join("")}</g>`, rows: items.length > 0 ? row + 1 : 0 };
}

function drawItem({ glyph, color, opacity = 1, text }: LegendItem, x: number, y: number): string {
  const label = `<text x="${x + glyphWidth + gap}" y="${y}" dy="0.35em" font-size="${sizes.text}" fill="${colors.ink}">${escapeMarkup(text)}</text>`;
  return `<g transform="translate(${x},${y})" opacity="${opacity}">${shape(glyph, color)}</g>${label}`;
}

function shape(glyph: Glyph, color: string): string {
  const middle = glyphWidth / 2;
  const line = (extra = "") =>
    `<line x1="0" x2="${glyphWidth}" y1="0" y2="0" stroke="${color}" stroke-width="${sizes.line}"${extra}/>`;
  const dot = (x: number, r: number) => `<circle cx="${x}" cy="0" r="${r}" fill="${color}"/>`;
  switch (glyph) {
    case "line":
      return line();
    case "dashed":
      return line(' stroke-dasharray="5 4"');
    case "dots":
      return dot(4, 2) + dot(middle, 2) + dot(glyphWidth - 4, 2);
    case "line-dots":
      return line() + dot(middle, 3.5);
    case "area":
      return `<rect x="0" y="-6" width="${glyphWidth}" height="12" fill="${color}"/>`;
    case "bar":
      return `<rect x="${middle - 6}" y="-6" width="12" height="12" fill="${color}"/>`;
    case "outlined-bar":
      return `<rect x="${middle - 5.5}" y="-5.5" width="11" height="11" fill="${color}" stroke="${colors.frame}"/>`;
    case "ring":
      return `<circle cx="${middle}" cy="0" r="5.5" fill="none" stroke="${color}" stroke-width="1.5"/>`;
    case "triangle-up":
      return `<path d="M${middle},-6L${middle + 6},4.5H${middle - 6}Z" fill="${color}"/>`;
    case "triangle-down":
      return `<path d="M${middle},6L${middle + 6},-4.5H${middle - 6}Z" fill="${color}"/>`;
  }
}

const widths = new Map<string, number>();

/** Width of a line of text in the font that pictures are drawn with. */
export function textWidth(text: string, size: number): number {
  const key = `${size} ${text}`;
  let width = widths.get(key);
  if (width === undefined) {
    // Between bars: spaces at its ends count too.
    width = measure(`|${text}|`, size) - measure("||", size);
    widths.set(key, width);
  }
  return width;
}

function measure(text: string, size: number): number {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text font-family="${fontName}" font-size="${size}">${escapeMarkup(text)}</text></svg>`;
  return new Resvg(svg, { font: rasterFont }).getBBox()?.width ?? 0;
}
