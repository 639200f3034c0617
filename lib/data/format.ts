import path from "node:path";
import { badData } from "./errors.js";

/** How tokens or texts are stored. */
export type DataFormat = "text" | "jsonl" | "parquet" | "tokens";

/** Endings of each format's files; a folder is read by the first. */
export const extensions: Record<DataFormat, readonly [string, ...string[]]> = {
  text: [".txt", ".text", ".md"],
  jsonl: [".jsonl", ".ndjson"],
  parquet: [".parquet"],
  tokens: [".bin", ".npy"],
};

/** The format that all of the files' names end in. @throws CriticalSharpnessError `ERR_DATA` naming the file. */
export function formatOf(files: readonly string[]): DataFormat {
  const formats = files.map((file) => {
    const ending = path.extname(file).toLowerCase();
    const found = Object.entries(extensions).find(([, endings]) => endings.includes(ending));
    if (found) return found[0] as DataFormat;
    throw badData(
      `a name that ends in ${Object.values(extensions).flat().join(", ")}, or a "type",`,
      `"${file}"`,
      ending === "" ? "none of them" : `"${ending}"`,
    );
  });
  const other = formats.findIndex((format) => format !== formats[0]);
  if (other > 0) throw badData(`files of one format (${formats[0]})`, "the data", `"${files[other]}" too`);
  return formats[0] as DataFormat;
}
