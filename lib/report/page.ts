import { escapeMarkup, htmlText as text } from "./markup.js";
import { colors, fontFamily } from "./style.js";

export interface PageFigure {
  caption: string;
  /** The picture itself. */
  svg: string;
  /** Its files, relative to the page. */
  files: { svg: string; png: string };
}

/** A table: its heading and rows; the first cell of a row is what the row is about. */
export interface PageTable {
  heading: string;
  /** What stands over the columns, where it needs to be said. */
  columns?: readonly string[];
  rows: readonly (readonly string[])[];
}

export interface Page {
  title: string;
  /** A sentence or two under the title. */
  lead: string;
  tables: readonly PageTable[];
  figures: readonly PageFigure[];
  /** Other files, relative to the page. */
  links: readonly { file: string; text: string }[];
}

/** A whole HTML document that needs nothing else: no network, no script, no other file. */
export function page({ title, lead, tables, figures, links }: Page): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeMarkup(title)}</title>
<style>${pageStyle(fontFamily)}</style>
</head>
<body>
<main>
<header>
<h1>${text(title)}</h1>
<p>${text(lead)}</p>
</header>
${figures.slice(0, 1).map(figureSection).join("\n")}
${tables.map(tableSection).join("\n")}
${figures
  .slice(1)
  .map((figure, i) => figureSection(figure, i + 1))
  .join("\n")}
<footer>
<h2>Files</h2>
<ul>
${links.map((link) => `<li><a href="${escapeMarkup(link.file)}">${escapeMarkup(link.file)}</a>: ${text(link.text)}</li>`).join("\n")}
</ul>
</footer>
</main>
</body>
</html>
`;
}

function figureSection({ caption, svg, files }: PageFigure, index: number): string {
  return `<figure>
<div class="picture">${svg}</div>
<figcaption><b>Figure ${index + 1}.</b> ${text(caption)}
<span class="files"><a href="${escapeMarkup(files.svg)}">SVG</a> <a href="${escapeMarkup(files.png)}">PNG</a></span></figcaption>
</figure>`;
}

function tableSection({ heading, columns, rows }: PageTable): string {
  const lines = rows.map(
    ([first = "", ...rest]) =>
      `<tr><th scope="row">${text(first)}</th>${rest.map((cell) => `<td>${text(cell)}</td>`).join("")}</tr>`,
  );
  return `<section>
<h2>${text(heading)}</h2>
<table${columns ? ' class="columns"' : ""}>
${columns ? `<tr>${columns.map((name) => `<th scope="col">${text(name)}</th>`).join("")}</tr>\n` : ""}${lines.join("\n")}
</table>
</section>`;
}

/** The style sheet of a page. */
export function pageStyle(fontFamily: string): string {
  return `
:root { color-scheme: light; }
body { margin: 0; background: ${colors.background}; color: ${colors.ink}; font: 16px/1.55 ${fontFamily}; }
main { max-width: 860px; margin: 0 auto; padding: 40px 24px 56px; }
h1 { margin: 0 0 8px; font-size: 28px; line-height: 1.25; font-weight: 600; }
h2 { margin: 36px 0 8px; font-size: 19px; font-weight: 600; }
header p { margin: 0; color: ${colors.muted}; }
figure { margin: 24px -14px 32px; break-inside: avoid; }
figure svg { display: block; width: 100%; min-width: 560px; height: auto; }
.picture { overflow-x: auto; }
figcaption { margin: 4px 14px 0; font-size: 14.5px; color: ${colors.muted}; }
figcaption b { font-weight: 600; color: ${colors.ink}; }
.files { white-space: nowrap; }
.files a { margin-left: 6px; }
table { width: 100%; border-collapse: collapse; font-size: 14.5px; font-variant-numeric: tabular-nums; }
th, td { padding: 4.5px 12px 4.5px 0; border-bottom: 1px solid ${colors.grid}; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { width: 9.5em; font-weight: 400; color: ${colors.muted}; overflow-wrap: normal; }
table:not(.columns) td:nth-child(2):nth-last-child(2) { width: 4em; text-align: right; padding-right: 24px; }
.columns th { width: auto; }
a { color: ${colors.blue}; text-decoration: none; }
a:hover { text-decoration: underline; }
sub, sup { font-size: 0.75em; line-height: 0; }
ul { padding-left: 1.2em; margin: 0; }
footer { font-size: 14.5px; }
`;
}
