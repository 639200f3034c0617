import { escapeMarkup } from "./markup.js";
import { colors, sizes } from "./style.js";
import { textWidth } from "./text-width.js";

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
