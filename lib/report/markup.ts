/** Text for between tags and for attributes of XML and HTML. */
export function escapeMarkup(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

/** λc and ηc with their subscripts, in every text element of an SVG. */
export function svgSubscripts(svg: string): string {
  return svg.replace(/(<text[^>]*>)([^<]*)(?=<\/text>)/g, (_, tag: string, text: string) => {
    const parts = text.split(/(?<=[λη])c(?![\p{L}\p{N}])/u);
    return tag + parts.map((part, i) => (i === 0 || part === "" ? part : raised(part))).join(subscript);
  });
}

const subscript = '<tspan dy="0.28em" font-size="0.75em">c</tspan>';
/** Back to the line: 0.28 of 0.75. */
const raised = (text: string) => `<tspan dy="-0.21em">${text}</tspan>`;

/** The same in HTML. */
export function htmlSubscripts(html: string): string {
  return html.replace(/(?<=[λη])c(?![\p{L}\p{N}])/gu, "<sub>c</sub>");
}
