import { Resvg } from "@resvg/resvg-js";
import { fontName, rasterFont } from "./font.js";
import { escapeMarkup } from "./markup.js";

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
