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

/** Escaped text for HTML with its subscripts and superscripts. */
export function htmlText(text: string): string {
  const tags = { below: "sub", above: "sup" } as const;
  return runs(text)
    .map(({ text, place }) => {
      if (place === "line") return escapeMarkup(text);
      return `<${tags[place]}>${text}</${tags[place]}>`;
    })
    .join("");
}
