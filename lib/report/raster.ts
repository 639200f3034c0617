import { renderAsync } from "@resvg/resvg-js";
import { rasterFont } from "./font.js";

/** A PNG of an SVG, `scale` pixels to one of its own. Drawn on another thread. */
export async function raster(svg: string, scale = 2): Promise<Uint8Array> {
  const options = { font: rasterFont, fitTo: { mode: "zoom", value: scale }, background: "white" } as const;
  return (await renderAsync(svg, options)).asPng();
}
