import { fontFamily } from "./font.js";
import { escapeMarkup, htmlText as text } from "./markup.js";
import { pageStyle } from "./page-style.js";

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
