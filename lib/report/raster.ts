import { Resvg } from "@resvg/resvg-js";
import { rasterFont } from "./font.js";

/** A PNG of an SVG, `scale` pixels to one of its own. */
export function raster(svg: string, scale = 2): Uint8Array {
  const options = { font: rasterFont, fitTo: { mode: "zoom", value: scale }, background: "white" } as const;
  return new Resvg(svg, options).render().asPng();
}
