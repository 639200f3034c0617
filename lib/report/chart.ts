import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { fontFamily } from "./font.js";
import { type LegendItem, legend, legendRow } from "./legend.js";
import { escapeMarkup, svgScripts } from "./markup.js";
import type { Scale } from "./scales.js";
import { colors, type Size, sizes } from "./style.js";
import { textWidth } from "./text-width.js";

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
