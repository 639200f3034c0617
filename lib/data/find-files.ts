import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { globSync, isDynamicPattern } from "tinyglobby";
import { CriticalSharpnessError } from "../errors.js";
import { badData, unpackedName, unreadable } from "../files/index.js";

/**
 * The data files that paths stand for, in order: a file itself, of a folder all that lie in it and can be read, and the
 * files that a pattern (`data/train-*.jsonl`) names. All are of one format.
 *
 * @param format of the files; default: what their names end in
 * @throws CriticalSharpnessError `ERR_FILE`, `ERR_DATA` naming the path, and the command that helps.
 */
export function findDataFiles(
  paths: readonly string[],
  format?: DataFormat,
): { files: string[]; format: DataFormat } {
  const files = paths.flatMap((given) => {
    if (existsSync(given) || !isDynamicPattern(given)) return filesAt(given, format);
    const matches = globSync(given, { absolute: true, onlyFiles: false, expandDirectories: false });
    if (matches.length === 0) throw badData("at least one file", `the pattern "${given}"`, "none");
    return matches.sort().flatMap((match) => filesAt(match.replace(/\/$/, ""), format));
  });
  return { files, format: format ?? formatOf(files) };
}

function filesAt(given: string, format: DataFormat | undefined): string[] {
  try {
    return statSync(given).isDirectory() ? filesIn(given, format) : [given];
  } catch (error) {
    // Of the system, or of a path that is none.
    if (error instanceof CriticalSharpnessError) throw error;
    throw unreadable("a readable file or folder", given, error);
  }
}

function filesIn(folder: string, format: DataFormat | undefined): string[] {
  const inside = (name: string) => path.join(folder, name);
  if (existsSync(inside("dataset_dict.json"))) return filesAt(inside(onlySplit(folder)), format);
  if (existsSync(inside("state.json"))) return savedFiles(folder);
  const all = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => !isAside(name) && statSync(inside(name), { throwIfNoEntry: false })?.isFile())
    .sort();
  const found = new Map<DataFormat, string[]>();
  for (const name of all) {
    const kind = formatOfName(name);
    // Those of a folder are a model's, more often than data.
    const isMeant = kind !== "tensors" || format === "tensors";
    if (kind && isMeant) found.set(kind, [...(found.get(kind) ?? []), name]);
  }
  if (format === undefined && found.size > 1) {
    const counts = [...found].map(([kind, names]) => `${names.length} of ${kind} (${names[0]})`);
    const ending = path.extname(found.values().next().value?.[0] as string);
    throw badData(
      "files of one format",
      `the folder "${folder}"`,
      `${counts.join(", ")}: name those to read, '${inside(`*${ending}`)}'`,
    );
  }
  const names = format === undefined ? [...found.values()].flat() : (found.get(format) ?? []);
  if (names.length > 0) return names.map(inside);
  const isModel = existsSync(inside("config.json")) && all.some((name) => name.endsWith(".safetensors"));
  throw badData(
    format === undefined ? `files that end in ${knownEndings}` : `files of ${format}`,
    `the folder "${folder}"`,
    isModel
      ? "the folder of a model"
      : all.length === 0
        ? "an empty folder"
        : `none: ${all.slice(0, 4).join(", ")}`,
  );
}

/** Hidden files, and those that speak of the data. */
function isAside(name: string): boolean {
  const parts = name.split(path.sep);
  if (parts.some((part) => part.startsWith("."))) return true;
  return /^(README|LICENSE|CITATION)|^(dataset_infos?|state|dataset_dict)\.json$/i.test(
    parts.at(-1) as string,
  );
}

/** What `DatasetDict.save_to_disk` of Hugging Face's datasets wrote has a folder for each split. */
function onlySplit(folder: string): string {
  const file = path.join(folder, "dataset_dict.json");
  const { splits } = savedJson(file) as { splits?: unknown };
  if (
    !Array.isArray(splits) ||
    !splits.every((split) => typeof split === "string" && !/[\\/]|^\.\.?$/.test(split))
  )
    throw badData('{"splits": names}', `"${file}"`, "something else");
  if (splits.length === 1) return splits[0];
  const first = path.join(folder, String(splits[0] ?? "train"));
  throw badData(
    "one split",
    `the folder "${folder}"`,
    `${splits.join(", ") || "none"}: name one, "${first}"`,
  );
}

/** What `Dataset.save_to_disk` wrote, in its order. */
function savedFiles(folder: string): string[] {
  const file = path.join(folder, "state.json");
  const { _data_files: listed } = savedJson(file) as { _data_files?: { filename?: unknown }[] };
  const names = Array.isArray(listed) ? listed.map((entry) => entry?.filename) : [];
  const sound = (name: unknown): name is string => typeof name === "string" && path.basename(name) === name;
  if (names.length === 0 || !names.every(sound))
    throw badData('{"_data_files": [{"filename": name}, …]}', `"${file}"`, "something else");
  const missing = names.find((name) => !existsSync(path.join(folder, name)));
  if (missing !== undefined)
    throw badData(
      `all ${names.length} files that state.json names`,
      `the folder "${folder}"`,
      `none called ${missing}`,
    );
  return names.map((name) => path.join(folder, name));
}

function savedJson(file: string): object {
  try {
    const value = JSON.parse(readFileSync(file, "utf8"));
    if (typeof value === "object" && value !== null) return value;
  } catch (error) {
    throw badData("JSON", `"${file}"`, (error as Error).message);
  }
  throw badData("a JSON object", `"${file}"`, "another kind of value");
}

/** How tokens or texts are stored. */
export type DataFormat = "text" | "jsonl" | "json" | "csv" | "parquet" | "arrow" | "tokens" | "tensors";

/** Endings of each format's files; those of text may be followed by .gz or .zst. */
const extensions: Record<DataFormat, readonly string[]> = {
  text: [".txt", ".text", ".md"],
  jsonl: [".jsonl", ".ndjson"],
  json: [".json"],
  csv: [".csv", ".tsv"],
  parquet: [".parquet"],
  arrow: [".arrow"],
  tokens: [".bin", ".npy"],
  tensors: [".safetensors"],
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

/**
 * Folder of an npm package with data, which is looked for from the current directory and from this package.
 *
 * @param from files beside which to look instead
 * @throws CriticalSharpnessError `ERR_DATA` naming the remedy where it is not installed.
 */
export function packageFolder(name: string, what: string, from: readonly string[] = places()): string {
  for (const place of from)
    try {
      return path.dirname(createRequire(place).resolve(`${name}/package.json`));
    } catch {
      // Looked for in the next place.
    }
  throw badData(what, "the data", `no package ${name}: run \`npm install ${name}\``);
}

const places = () => [path.join(process.cwd(), "anywhere.js"), import.meta.url];
