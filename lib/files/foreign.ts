import { existsSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { badData } from "./file.js";

const starts: readonly [Buffer, string][] = [
  [
    Buffer.from("version https://git-lfs.github.com/spec/"),
    'a pointer of Git LFS in its place: "git lfs pull" in its folder, or "hf download", brings the file itself',
  ],
  [
    Buffer.from("PK\x03\x04"),
    "a zip archive, as torch.save writes: it may run code when it is opened. Save it in safetensors from Python",
  ],
  [
    Buffer.from([0x80, 0x02]),
    "a pickle, as torch.save writes: it may run code when it is opened. Save it in safetensors from Python",
  ],
  [Buffer.from("GGUF"), "a GGUF file of llama.cpp: take the model's safetensors instead"],
  [Buffer.from("\x93NUMPY", "latin1"), "a NumPy array: save it in safetensors from Python"],
  [Buffer.from([0x1f, 0x8b]), "a gzip archive: unpack it first"],
  [Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), "a zstd archive: unpack it first"],
];
const page = /^\s*<(!doctype|html)/i;

/** Bytes of a file's start that `foreignFile` looks at. */
export const foreignBytes = 128;

/** What a file is that is not what its name says, by its first bytes, and what helps; undefined: nothing that is known here. */
export function foreignFile(start: Buffer): string | undefined {
  const known = starts.find(([magic]) => start.subarray(0, magic.length).equals(magic));
  if (known) return known[1];
  return page.test(start.toString("latin1"))
    ? "a web page in its place: download the file itself, which may need a login"
    : undefined;
}

/** What leads to a PEFT adapter from its model, and how it becomes a model of its own. `base`, `folder`: as Python finds them. */
export function adapterRemedy(base = "BASE", folder = "ADAPTER"): string {
  const [from, to] = [JSON.stringify(base), JSON.stringify(folder)];
  const model = `PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(${from}), ${to})`;
  return (
    `Direction.fromAdapter(model, ${to}) leads from its model to it, and so does \`critical-sharpness along BASE --to ${folder}\`; ` +
    `to open it as a model merge it first, in Python ${model}.merge_and_unload().save_pretrained("merged"), and open "merged"`
  );
}

const json = async (file: string): Promise<Record<string, unknown>> =>
  readFile(file, "utf8").then(
    (text) => JSON.parse(text) ?? {},
    () => ({}),
  );

/** A PEFT adapter's folder: what it is, and what helps. */
export async function adapterFolder(directory: string): Promise<string | undefined> {
  const file = path.join(directory, "adapter_config.json");
  if (!existsSync(file)) return undefined;
  const { base_model_name_or_path: base } = await json(file);
  return `a PEFT adapter: ${adapterRemedy(typeof base === "string" ? base : undefined, directory)}`;
}

/** What stands where a model's folder was expected, and what helps. */
export async function notAModel(directory: string): Promise<string> {
  const found = await stat(directory).catch(() => undefined);
  if (!found) {
    const hub = /^[\w.-]+\/[\w.-]+$/.test(directory) && !directory.startsWith(".");
    const help = `a model of the Hugging Face hub is downloaded first: hf download ${directory} --local-dir ${path.basename(directory)}`;
    return `nothing of that name${hub ? `; ${help}` : ""}`;
  }
  if (!found.isDirectory())
    return `a file: a model is the folder with its config.json, here "${path.dirname(directory)}"`;
  const adapter = await adapterFolder(directory);
  if (adapter) return adapter;
  const names = await readdir(directory).catch((): string[] => []);
  const has = (pattern: RegExp) => names.find((name) => pattern.test(name));
  const models = names
    .filter((name) => existsSync(path.join(directory, name, "config.json")))
    .sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  if (models.length > 0)
    return `a folder of ${models.length} model${models.length > 1 ? "s" : ""}: choose one, as "${path.join(directory, models.at(-1) as string)}"`;
  const adapters = names.filter((name) => existsSync(path.join(directory, name, "adapter_config.json")));
  if (adapters.length > 0)
    return `a folder of PEFT adapters: ${adapterRemedy(undefined, path.join(directory, adapters.at(-1) as string))}`;
  if (has(/^snapshots$/)) {
    const snapshots = await readdir(path.join(directory, "snapshots")).catch((): string[] => []);
    return `the Hugging Face hub's cache: the model is in "${path.join(directory, "snapshots", snapshots[0] ?? "…")}"`;
  }
  if (has(/^model_index\.json$/)) return "a pipeline of diffusers, which is no language model";
  if (has(/\.gguf$/)) return "a folder of GGUF files, of llama.cpp: take the model's safetensors instead";
  if (has(/^params\.json$|^consolidated\..*\.pth$/))
    return "Meta's own format: transformers' convert_llama_weights_to_hf.py makes a model's folder of it";
  if (has(/\.distcp$/))
    return "a checkpoint of torch.distributed: save the model by save_pretrained in Python first (torchtitan's scripts/checkpoint_conversion/convert_to_hf.py does), with its config.json";
  return names.length > 0
    ? `a folder without it (${names.slice(0, 4).join(", ")}${names.length > 4 ? ", …" : ""})`
    : "an empty folder";
}

/** Bytes at the beginning of a file from which `foreign` tells what it is. */
export const startBytes = 4096;

const named = (ending: string) => (file: string) => `name it "${path.basename(file)}${ending}"`;
const run = (command: string) => (file: string) => `run \`${command} "${file}"\``;
const utf16 = (encoding: string) => (file: string) =>
  `run \`iconv -f ${encoding} -t UTF-8 "${file}" > utf8.txt\``;

const kinds: readonly [start: string, what: string, remedy: (file: string) => string][] = [
  [
    "version https://git-lfs.github.com/spec/",
    "a Git LFS pointer in place of the file",
    () => "run `git lfs pull`",
  ],
  ["\x1f\x8b", "bytes that gzip packed", named(".gz")],
  ["\x28\xb5\x2f\xfd", "bytes that zstd packed", named(".zst")],
  ["BZh", "bytes that bzip2 packed", run("bunzip2 -k")],
  ["\xfd7zXZ\0", "bytes that xz packed", run("unxz -k")],
  ["PK\x03\x04", "a zip archive", run("unzip")],
  ["PAR1", "a Parquet file", named(".parquet")],
  ["ARROW1", "an Arrow file", named(".arrow")],
  ["\xff\xff\xff\xff", "an Arrow stream", named(".arrow")],
  ["\x93NUMPY", "an array of NumPy's", named(".npy")],
  ["%PDF-", "a PDF", run("pdftotext")],
  ["\xff\xfe\0\0", "text in UTF-32", utf16("UTF-32")],
  ["\xff\xfe", "text in UTF-16", utf16("UTF-16")],
  ["\xfe\xff", "text in UTF-16", utf16("UTF-16")],
];

/** What a file is, and what helps, where its first bytes say that it is certainly no text in UTF-8. */
export function foreign(start: Buffer, file: string): string | undefined {
  const head = start.toString("latin1", 0, 64);
  const found = kinds.find(([magic]) => head.startsWith(magic));
  if (found) return `${found[1]}: ${found[2](file)}`;
  // Without a mark: every second byte of plain letters is 0.
  for (const [parity, encoding] of [
    [1, "UTF-16LE"],
    [0, "UTF-16BE"],
  ] as const) {
    const zeros = start.filter((byte, i) => byte === 0 && i % 2 === parity).length;
    if (start.length >= 8 && zeros > 0.4 * start.length) return `text in UTF-16: ${utf16(encoding)(file)}`;
  }
  return undefined;
}

/** @throws CriticalSharpnessError `ERR_DATA` if the file has not been fetched yet. */
export function refusePointer(start: Buffer, what: string, file: string): void {
  const [magic] = kinds[0] as (typeof kinds)[number];
  if (start.toString("latin1", 0, magic.length) === magic)
    throw badData(what, `"${file}"`, foreign(start, file) as string);
}
