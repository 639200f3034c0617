import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { fontFamily } from "./font.js";
import { type LegendItem, legend, legendRow } from "./legend.js";
import { escapeMarkup, svgSubscripts } from "./markup.js";
import { textWidth } from "./raster.js";
import type { Scale } from "./scales.js";
import { colors, type Size, sizes } from "./style.js";

export interface Axis extends Scale {
  label: string;
}

/** A figure's content; every figure is one of these, so that all look alike. */
export interface Chart {
  title: string;
  /** A line under the title: the figures worth reading first. */
  subtitle?: string;
  legend?: readonly LegendItem[];
  x: Axis;
  y: Axis;
  marks: readonly (Plot.Markish | false)[];
  /** Room inside the frame that data keep free, for marks on its edges. */
  insetTop?: number;
  insetBottom?: number;
}

/** Draws a chart as a whole SVG document. */
export function drawChart(chart: Chart, size: Size): string {
  const { padding, title, text } = sizes;
  const head = [
    `<text x="${padding}" y="${padding + title * 0.8}" font-size="${title}" font-weight="600">${escapeMarkup(chart.title)}</text>`,
  ];
  let top = padding + title + 8;
  if (chart.subtitle) {
    head.push(
      `<text x="${padding}" y="${top + text * 0.8}" font-size="${text}" fill="${colors.muted}">${escapeMarkup(chart.subtitle)}</text>`,
    );
    top += text + 8;
  }
  const { svg: legendSvg, rows } = legend(chart.legend ?? [], {
    x: padding,
    y: top,
    width: size.width - 2 * padding,
  });
  top += rows * legendRow + (rows > 0 ? 2 : 0);
  const plot = drawPlot(chart, { width: size.width, height: size.height - top });
  return svgSubscripts(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${size.height}" viewBox="0 0 ${size.width} ${size.height}" role="img" aria-label="${escapeMarkup(chart.title)}" font-family="${fontFamily}" fill="${colors.ink}">` +
      `<rect width="100%" height="100%" fill="${colors.background}"/>` +
      `${head.join("")}${legendSvg}<g transform="translate(0,${top})">${plot}</g></svg>`,
  );
}

/** The axes and marks: what stands inside Observable Plot's own svg element. */
function drawPlot({ x, y, marks, insetTop = 0, insetBottom = 0 }: Chart, { width, height }: Size): string {
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const labels = y.ticks.map((tick) => textWidth(y.format(tick), sizes.text));
  const marginLeft = Math.ceil(sizes.padding + sizes.text + 12 + Math.max(0, ...labels) + 9);
  const axis = ({ ticks, format, label }: Axis) => ({
    ticks,
    tickFormat: format,
    label,
    tickSize: 5,
    labelArrow: "none" as const,
    labelAnchor: "center" as const,
    fontSize: sizes.text,
  });
  const svg = Plot.plot({
    document,
    width,
    height,
    marginTop: 10,
    marginRight: sizes.padding + 8,
    marginBottom: 52,
    marginLeft,
    x: { type: x.type, domain: x.domain },
    y: { type: y.type, domain: y.domain, insetTop, insetBottom },
    marks: [
      Plot.gridX(x.ticks, { stroke: colors.grid, strokeOpacity: 1 }),
      Plot.gridY(y.ticks, { stroke: colors.grid, strokeOpacity: 1 }),
      Plot.frame({ stroke: "#8c959f", strokeWidth: 1 }),
      ...marks.filter((mark) => mark !== false),
      Plot.axisX({ ...axis(x), labelOffset: 44 }),
      Plot.axisY({ ...axis(y), labelOffset: marginLeft - sizes.padding + 2 }),
    ],
  });
  return rounded(
    `<g text-anchor="middle" font-size="${sizes.text}">${svg.innerHTML.replace(/<style>.*?<\/style>/s, "")}</g>`,
  );
}

/** Coordinates, not text: two decimals are more than a screen or a printer shows. */
function rounded(svg: string): string {
  return svg.replace(/<[^>]+>/g, (tag) =>
    tag.replace(/-?\d+\.\d{3,}/g, (number) => String(Number(Number(number).toFixed(2)))),
  );
}
