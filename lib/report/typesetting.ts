import { Resvg } from "@resvg/resvg-js";
import { fontName, rasterFont } from "./style.js";

/** Text for between tags and for attributes of XML and HTML. */
export function escapeMarkup(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

/** A piece of a line of text: on it, below it (the c of λc and ηc, the max of λmax) or above it (exponents). */
interface Run {
  text: string;
  place: "line" | "below" | "above";
}

const superscripts = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const raised = new RegExp(`[⁻${superscripts}]`, "g");

/** Most fonts have no λ with a subscript, and few have all superscript figures: both are set from plain ones. */
function runs(text: string): Run[] {
  const found: Run[] = [];
  let end = 0;
  for (const { 0: match, index } of text.matchAll(
    /(?<=[λη])(?:c|max|dir)(?![\p{L}\p{N}])|[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+/gu,
  )) {
    if (index > end) found.push({ text: text.slice(end, index), place: "line" });
    const plain = match.replace(raised, (digit) =>
      digit === "⁻" ? "−" : String(superscripts.indexOf(digit)),
    );
    found.push({ text: plain, place: /^[a-z]/.test(match) ? "below" : "above" });
    end = index + match.length;
  }
  if (end < text.length) found.push({ text: text.slice(end), place: "line" });
  return found;
}

/** Subscripts and superscripts in every text element of an SVG. */
export function svgScripts(svg: string): string {
  return svg.replace(
    /(<text[^>]*>)([^<]+)(?=<\/text>)/g,
    (_, tag: string, text: string) => tag + spans(text),
  );
}

const scriptSize = 0.75;
/** Below the line, in units of the line's own font size. */
const shifts = { line: 0, below: 0.2, above: -0.33 };

function spans(text: string): string {
  let at = 0;
  return runs(text)
    .map((run, i) => {
      if (run.place === "line" && i === 0) return run.text;
      const size = run.place === "line" ? 1 : scriptSize;
      const dy = (shifts[run.place] - at) / size;
      at = shifts[run.place];
      const font = size === 1 ? "" : ` font-size="${size}em"`;
      return `<tspan dy="${Number(dy.toFixed(3))}em"${font}>${run.text}</tspan>`;
    })
    .join("");
}

/** Escaped text for HTML with its subscripts and superscripts; a line of it does not end within a formula or before a unit. */
export function htmlText(text: string): string {
  const tags = { below: "sub", above: "sup" } as const;
  const held = text
    .replace(/(?<=\d)\/(?=[λη])/g, "/\u2060")
    .replace(/ = (?=\S{1,8}(?:\s|$))/g, "\u00a0=\u00a0")
    .replace(/(?<=\d) (?=[%s](?![\p{L}\p{N}]))/gu, "\u00a0");
  return runs(held)
    .map(({ text, place }) => {
      if (place === "line") return escapeMarkup(text);
      return `<${tags[place]}>${text}</${tags[place]}>`;
    })
    .join("");
}

const widths = new Map<string, number>();

/** Width of a line of text in the font that pictures are drawn with. */
export function textWidth(text: string, size: number, weight: 400 | 600 = 400): number {
  const key = `${size} ${weight} ${text}`;
  let width = widths.get(key);
  if (width === undefined) {
    // Between bars: spaces at its ends count too.
    width = measure(`|${text}|`, size, weight) - measure("||", size, weight);
    if (widths.size >= 10_000) widths.clear();
    widths.set(key, width);
  }
  return width;
}

function measure(text: string, size: number, weight: number): number {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text font-family="${fontName}" font-size="${size}" font-weight="${weight}">${escapeMarkup(text)}</text></svg>`;
  return new Resvg(svg, { font: rasterFont }).getBBox()?.width ?? 0;
}

/** Where another font is read, it may be as much wider than the one that is measured, and its bold letters more. */
export const otherFonts = 1.12;
const otherBoldFonts = 1.22;

/** Text in lines that are not wider, broken between words alone. */
export function wrapped(text: string, { width, size, weight = 400 }: WrapOptions): string[] {
  const lines: string[] = [];
  const wider = weight === 600 ? otherBoldFonts : otherFonts;
  let current = "";
  for (const word of text.split(/ (?!·|±|=|\+|–|→)/)) {
    const longer = current === "" ? word : `${current} ${word}`;
    if (current !== "" && textWidth(longer, size, weight) * wider > width) {
      lines.push(current);
      current = word;
    } else current = longer;
  }
  // A line that begins or ends with what separates its parts looks torn.
  return [...lines, current].map((line) => line.replace(/^\s*·\s+|\s+·\s*$/g, "").trim());
}

export interface WrapOptions {
  width: number;
  size: number;
  weight?: 400 | 600;
}

/** The text, or as much of its end as has room, after an ellipsis: names differ at their ends. */
export function shortened(text: string, { width, size }: WrapOptions): string {
  if (textWidth(text, size) * otherFonts <= width) return text;
  let kept = text;
  while (kept.length > 1 && textWidth(`…${kept}`, size) * otherFonts > width) kept = kept.slice(1);
  return `…${kept}`;
}
