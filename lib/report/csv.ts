export type Cell = string | number | null | undefined;

/** A head and a line for each row; what is not known is empty. */
export function csvText<Name extends string>(
  columns: readonly Name[],
  rows: readonly Record<NoInfer<Name>, Cell>[],
): string {
  return [columns.join(","), ...rows.map((cells) => columns.map((name) => text(cells[name])).join(","))]
    .map((line) => `${line}\n`)
    .join("");
}

/** Names of files may have anything in them (RFC 4180). */
function text(cell: Cell): string {
  const plain = cell === null || cell === undefined ? "" : String(cell);
  return /[",\n\r]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}
