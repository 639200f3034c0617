import { type Figure, figureSize, narrowSize, pageStyle } from "./style.js";
import { type Table, tableHtml } from "./tables.js";
import { escapeMarkup, htmlText as text } from "./typesetting.js";

/** A table of a page, under its heading. */
export interface PageTable extends Table {
  heading: string;
}

/** What a report shows. */
export interface ReportContent {
  title: string;
  /** A sentence or two under the title. */
  lead: string;
  /** The first stands before the tables. */
  figures: readonly Figure[];
  tables: readonly PageTable[];
  /** Other files, relative to the page. */
  links: readonly { file: string; text: string }[];
  /** A table for spreadsheets and data frames: the text of its file, in pieces. */
  csv: Iterable<string>;
}

export interface BodyOptions {
  /** Whether the report's files lie beside the page: it links to them. Default false. */
  files?: boolean;
}

/** A report as the inner part of a page, for `document`: no script, no other file, no id. */
export function reportBody(content: ReportContent, { files = false }: BodyOptions = {}): string {
  const { title, lead, tables, links } = content;
  const [first, ...others] = content.figures.map((figure, i) => figureSection(figure, i + 1, files));
  return [
    `<header>\n<h1>${text(title)}</h1>\n<p>${text(lead)}</p>\n</header>`,
    first ?? "",
    ...tables.map(tableSection),
    ...others,
    files && links.length > 0
      ? `<footer>\n<h2>Files</h2>\n<ul>\n${links.map(linkItem).join("\n")}\n</ul>\n</footer>`
      : "",
  ]
    .filter(Boolean)
    .join("\n");
}

/**
 * A whole HTML document that needs nothing else, in the report's style.
 *
 * @param body HTML, such as that of `reportBody`
 * @param head further elements of its head: a script, more style
 */
export function document(title: string, body: string, head = ""): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeMarkup(title)}</title>
<style>${pageStyle}</style>
${head}</head>
<body>
<main>
${body}
</main>
</body>
</html>
`;
}

/** The page of a report whose files lie beside it. */
export function page(content: ReportContent): string {
  return document(content.title, reportBody(content, { files: true }));
}

function figureSection({ name, caption, draw, table }: Figure, number: number, files: boolean): string {
  const file = escapeMarkup(`figures/${name}`);
  const links = `\n<span class="files"><a href="${file}.svg">SVG</a> <a href="${file}.png">PNG</a></span>`;
  const numbers = table
    ? `\n<details><summary>Its numbers as a table</summary>\n${tableHtml(table, `Numbers of figure ${number}`)}\n</details>`
    : "";
  return `<figure>
<div class="wide">${draw(figureSize)}</div>
<div class="narrow">${draw(narrowSize)}</div>
<figcaption><b>Figure ${number}.</b> ${text(caption)}${files ? links : ""}</figcaption>${numbers}
</figure>`;
}

function tableSection({ heading, ...table }: PageTable): string {
  return `<section>\n<h2>${text(heading)}</h2>\n${tableHtml(table, heading)}\n</section>`;
}

function linkItem({ file, text: what }: { file: string; text: string }): string {
  return `<li><a href="${escapeMarkup(file)}">${escapeMarkup(file)}</a>: ${text(what)}</li>`;
}
