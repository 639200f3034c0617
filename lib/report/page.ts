import { type Figure, figureSize, narrowSize, pageStyle } from "./style.js";
import { escapeMarkup, htmlText, htmlText as text } from "./typesetting.js";

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

/** Rows of text; the first cell of a row is what the row is about. */
export interface Table {
  /** What stands over the columns, where it needs to be said. */
  columns?: readonly string[];
  rows: readonly (readonly string[])[];
}

/** Letters of a name that stays on one line. */
const shortName = 14;

/** A table that scrolls within the page where it is wider, by the keyboard too. */
export function tableHtml({ columns, rows }: Table, caption: string): string {
  const head = columns
    ? `<thead><tr>${columns.map((name) => `<th scope="col">${cellHtml(name)}</th>`).join("")}</tr></thead>\n`
    : "";
  const lines = rows.map(
    ([first = "", ...rest]) =>
      `<tr><th scope="row"${first.length <= shortName ? ' class="short"' : ""}>${cellHtml(first)}</th>${rest.map((cell) => `<td>${cellHtml(cell)}</td>`).join("")}</tr>`,
  );
  return `<div class="table" role="region" aria-label="${escapeMarkup(caption)}" tabindex="0">
<table${columns ? ' class="columns"' : ""}>
<caption>${htmlText(caption)}</caption>
${head}<tbody>
${lines.join("\n")}
</tbody>
</table>
</div>`;
}

/** Paths and other long words may break where their parts end, and nowhere else. */
function cellHtml(cell: string): string {
  return cell
    .split(/(?<=[\w.-]{2}[/\\])|(?<=\S{20}[_.,=-])(?=\S)/)
    .map(htmlText)
    .join("<wbr>");
}

export type CsvCell = string | number | null | undefined;

/** So many lines are written at once. */
const linesAtOnce = 1000;

/**
 * Comma-separated values in pieces, a head and a line for each row, as often as they are asked for: all at once may be more than a string
 * can hold. What is not known is empty.
 */
export function csvText<Name extends string>(
  columns: readonly Name[],
  rows: () => Iterable<Record<NoInfer<Name>, CsvCell>>,
): Iterable<string> {
  return {
    *[Symbol.iterator]() {
      let lines = [columns.join(",")];
      for (const row of rows()) {
        if (lines.length >= linesAtOnce) {
          yield `${lines.join("\n")}\n`;
          lines = [];
        }
        lines.push(columns.map((name) => csvCell(row[name])).join(","));
      }
      yield `${lines.join("\n")}\n`;
    },
  };
}

/** Names of files may have anything in them (RFC 4180). */
function csvCell(cell: CsvCell): string {
  if (typeof cell === "number") return Number.isNaN(cell) ? "" : String(cell);
  const plain = cell ?? "";
  return /[",\n\r]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}
