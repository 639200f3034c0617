import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import type { Scale } from "./scales.js";
import { colors, fontFamily, type Size, sizes } from "./style.js";
import { escapeMarkup, otherFonts, svgScripts, textWidth, wrapped } from "./typesetting.js";

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
  /** What is inside the frame; a function is given the frame's size. */
  marks: readonly Mark[] | ((frame: Size) => readonly Mark[]);
  /** Room inside the frame that the scale keeps free, for marks on its edges. */
  insetTop?: number;
  insetBottom?: number;
}

/** A frame is never lower than this: where legend and title take more, the picture grows. */
const lowestFrame = 170;
const marginTop = 10;
const marginBottom = sizes.padding + 36;
const titleLine = 20;
const subtitleLine = 17;

/** Draws a chart as a whole SVG document, as high as `size` says or higher. */
export function drawChart(chart: Chart, size: Size): string {
  const { padding } = sizes;
  const width = size.width - 2 * padding;
  const title = wrapped(chart.title, { width, size: sizes.title, weight: 600 });
  const subtitle = wrapped(chart.subtitle, { width, size: sizes.text });
  const titleTop = padding + sizes.title * 0.85;
  const subtitleTop = titleTop + (title.length - 1) * titleLine + sizes.text + 9;
  const legendTop = subtitleTop + (subtitle.length - 1) * subtitleLine + 7;
  const items = legend(chart.legend, { x: padding, y: legendTop, width });
  const plotTop = legendTop + Math.max(1, items.rows) * legendRow;
  const plotHeight = Math.max(size.height - plotTop, lowestFrame + marginTop + marginBottom);
  const height = Math.ceil(plotTop + plotHeight);
  const plot = drawPlot(chart, { width: size.width, height: plotHeight });
  const lines = (texts: readonly string[], y: number, step: number, attributes: string) =>
    texts
      .map((text, i) => `<text x="${padding}" y="${y + i * step}" ${attributes}>${escapeMarkup(text)}</text>`)
      .join("");
  return svgScripts(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${height}" viewBox="0 0 ${size.width} ${height}" role="img" aria-label="${escapeMarkup(spoken(chart))}" font-family="${fontFamily}" font-size="${sizes.text}" fill="${colors.ink}">` +
      `<rect width="100%" height="100%" fill="${colors.background}"/>` +
      lines(title, titleTop, titleLine, `font-size="${sizes.title}" font-weight="600"`) +
      lines(subtitle, subtitleTop, subtitleLine, `fill="${colors.muted}"`) +
      `${items.svg}<g transform="translate(0,${plotTop})" text-anchor="middle">${plot}</g></svg>`,
  );
}

/** What is seen, for those who do not see it. */
function spoken({ title, subtitle, legend, x, y }: Chart): string {
  const axis = ({ label, ticks, format, type }: Axis, direction: string) => {
    const [first, last] = [ticks[0], ticks.at(-1)];
    if (first === undefined || last === undefined) return [];
    const range = first === last ? format(first) : `${format(first)} to ${format(last)}`;
    return [`${direction}: ${label ? `${label}, ` : ""}${range}${type === "log" ? ", logarithmic" : ""}`];
  };
  return [
    `${title}: ${subtitle}`,
    ...(legend.length > 0 ? [`Shown: ${legend.map(({ text }) => text).join(", ")}`] : []),
    ...axis(x, "Horizontal"),
    ...axis(y, "Vertical"),
  ].join(". ");
}

/** Axes and marks: what stands inside Observable Plot's own svg element. */
function drawPlot({ x, y, marks, insetTop = 0, insetBottom = 0 }: Chart, { width, height }: Size): string {
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const widest = Math.max(...y.ticks.map((tick) => textWidth(y.format(tick), sizes.text)), 0);
  const lastLabel = textWidth(x.format(x.ticks.at(-1) ?? 0), sizes.text);
  const marginLeft = Math.ceil(sizes.padding + (y.label === "" ? 0 : sizes.text + 8) + widest + 9);
  const marginRight = Math.ceil(Math.max(sizes.padding + 6, lastLabel / 2 + 8));
  const frame = { width: width - marginLeft - marginRight, height: height - marginTop - marginBottom };
  const shown = typeof marks === "function" ? marks(frame) : marks;
  const svg = Plot.plot({
    document,
    ...{ width, height, marginTop, marginRight, marginBottom, marginLeft },
    x: { type: x.type, domain: x.domain },
    y: { type: y.type, domain: y.domain, insetTop, insetBottom },
    marks: [
      Plot.gridX(x.ticks, { stroke: colors.grid, strokeOpacity: 1 }),
      Plot.gridY(y.ticks, { stroke: colors.grid, strokeOpacity: 1 }),
      Plot.frame({ stroke: colors.frame }),
      ...shown.filter((mark) => mark !== false),
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
const between = 16;
const legendRow = 20;

/** Items in rows, from (x, y) down; a text that is wider than all of a row goes on in the next. */
function legend(
  items: readonly LegendItem[],
  { x, y, width }: { x: number; y: number; width: number },
): { svg: string; rows: number } {
  const drawn: string[] = [];
  let [left, row] = [0, 0];
  for (const item of items) {
    const lines = wrapped(item.text, { width: width - glyphWidth - gap, size: sizes.text });
    const widest = Math.max(...lines.map((text) => textWidth(text, sizes.text)));
    const needed = glyphWidth + gap + widest * otherFonts;
    if (left > 0 && left + needed > width) [left, row] = [0, row + 1];
    drawn.push(drawItem({ ...item, lines }, x + left, y + row * legendRow + legendRow / 2));
    if (lines.length > 1) [left, row] = [0, row + lines.length];
    else left += needed + between;
  }
  const rows = items.length === 0 ? 0 : left > 0 ? row + 1 : row;
  return { svg: `<g class="legend">${drawn.join("")}</g>`, rows };
}

function drawItem(
  { glyph, color, opacity = 1, lines }: LegendItem & { lines: readonly string[] },
  x: number,
  y: number,
): string {
  const labels = lines.map(
    (text, i) =>
      `<text x="${x + glyphWidth + gap}" y="${y + i * legendRow}" dy="0.35em" font-size="${sizes.text}" fill="${colors.ink}">${escapeMarkup(text)}</text>`,
  );
  return `<g transform="translate(${x},${y})" ${glyph === "outlined-bar" ? "fill-opacity" : "opacity"}="${opacity}">${shape(glyph, color)}</g>${labels.join("")}`;
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
