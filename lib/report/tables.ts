import { escapeMarkup, htmlText } from "./typesetting.js";

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
