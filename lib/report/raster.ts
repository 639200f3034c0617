import { Resvg, type ResvgRenderOptions } from "@resvg/resvg-js";
import { fontFiles } from "./font.js";

const font: ResvgRenderOptions["font"] = { fontFiles, loadSystemFonts: false, defaultFontFamily: "Inter" };

/** A PNG of an SVG, `scale` pixels to one of its own. */
export function raster(svg: string, scale = 2): Uint8Array {
  return new Resvg(svg, { font, fitTo: { mode: "zoom", value: scale }, background: "white" })
    .render()
    .asPng();
}

const widths = new Map<string, number>();

/** Width of a line of text in the font of the figures. */
export function textWidth(text: string, size: number, weight = 400): number {
  const key = `${size} ${weight} ${text}`;
  let width = widths.get(key);
  if (width === undefined) {
    // Bars on both sides: spaces at the ends count too.
    width = measure(`|${text}|`, size, weight) - measure("||", size, weight);
    widths.set(key, width);
  }
  return width;
}

function measure(text: string, size: number, weight: number): number {
  const escaped = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="4000" height="100"><text x="9" y="50" font-family="Inter" font-weight="${weight}" font-size="${size}">${escaped}</text></svg>`;
  return new Resvg(svg, { font }).getBBox()?.width ?? 0;
}
