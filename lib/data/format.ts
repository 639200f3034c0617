import path from "node:path";
import { badData } from "./errors.js";
import { unpackedName } from "./text-file.js";

/** How tokens or texts are stored. */
export type DataFormat = "text" | "jsonl" | "json" | "csv" | "parquet" | "arrow" | "tokens";

/** Endings of each format's files; those of text may be followed by .gz or .zst. */
const extensions: Record<DataFormat, readonly string[]> = {
  text: [".txt", ".text", ".md"],
  jsonl: [".jsonl", ".ndjson"],
  json: [".json"],
  csv: [".csv", ".tsv"],
  parquet: [".parquet"],
  arrow: [".arrow"],
  tokens: [".bin", ".npy"],
};

const packable: readonly DataFormat[] = ["text", "jsonl", "json", "csv"];

/** Every ending there is, for messages. */
export const knownEndings = `${Object.values(extensions).flat().join(", ")}`;

/** The format that a file's name ends in. */
export function formatOfName(file: string): DataFormat | undefined {
  const inner = unpackedName(file);
  const ending = path.extname(inner).toLowerCase();
  const found = Object.entries(extensions).find(([, endings]) => endings.includes(ending));
  const format = found?.[0] as DataFormat | undefined;
  return format !== undefined && (inner === file || packable.includes(format)) ? format : undefined;
}

/** The format that all of the files' names end in. @throws CriticalSharpnessError `ERR_DATA` naming the file. */
export function formatOf(files: readonly string[]): DataFormat {
  const formats = files.map((file) => {
    const found = formatOfName(file);
    if (found) return found;
    const ending = path.extname(file);
    throw badData(
      `a name that ends in ${knownEndings}, or a "type",`,
      `"${file}"`,
      ending === "" ? "none of them" : `"${ending}"`,
    );
  });
  const other = formats.findIndex((format) => format !== formats[0]);
  if (other > 0) throw badData(`files of one format (${formats[0]})`, "the data", `"${files[other]}" too`);
  return formats[0] as DataFormat;
}
