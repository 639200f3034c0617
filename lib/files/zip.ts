import { read } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { type Entry, fromRandomAccessReaderPromise, RandomAccessReader } from "yauzl";
import { CriticalSharpnessError, throwIfAborted, unusable } from "../errors.js";
import { openFile, unreadable } from "./file.js";
import { foreignBytes, foreignFile } from "./foreign.js";
import { readExactly } from "./safetensors.js";

/** Where a member's bytes lie, from the start of the file. */
export interface ZipMember {
  readonly name: string;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** Which bytes of a file are the archive, and the code of the errors about it. */
export interface ZipPlace {
  /** Default: the whole file. */
  readonly span?: { readonly byteOffset: number; readonly byteLength: number } | undefined;
  readonly code?: string;
}

export interface ZipDirectory {
  readonly path: string;
  readonly code: string;
  /** Of all members but folders, in the archive's order. */
  readonly names: readonly string[];
  readonly stored: ReadonlyMap<string, ZipMember>;
  /** Those whose bytes are not in the file as they are: compressed or encrypted. */
  readonly packed: ReadonlyMap<string, string>;
}

function badArchive(
  { path, code }: Pick<ZipDirectory, "path" | "code">,
  what: string,
  received: string,
): CriticalSharpnessError {
  return unusable(code, what, `"${path}"`, received);
}

const windowBytes = 2 ** 16;
const headersAtATime = 32;
/** A file of a model has one for each tensor: more would only fill the memory. */
const mostMembers = 2 ** 20;

/** Reads within the archive alone: offsets in an archive lead anywhere, and Node.js throws at those beyond its integers. */
class ArchiveReader extends RandomAccessReader {
  readonly #file: FileHandle;
  readonly #start: number;
  readonly #size: number;
  /** From here on is the central directory, of which yauzl asks for a few bytes at a time: a window of it is kept, or all of a small archive. */
  directoryStart: number;
  #window: { start: number; bytes: Buffer } = { start: 0, bytes: Buffer.alloc(0) };

  constructor(file: FileHandle, start: number, size: number) {
    super();
    this.#file = file;
    this.#start = start;
    this.#size = size;
    this.directoryStart = size <= windowBytes ? 0 : size;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    // Local headers are many, and a promise for each would take most of the time.
    if (position >= 0 && position + length <= this.directoryStart)
      read(this.#file.fd, buffer, offset, length, this.#start + position, (error, bytesRead) =>
        callback(error ?? (bytesRead < length ? new Error("an end before the last byte") : null)),
      );
    else this.#read(buffer, offset, length, position).then(() => callback(null), callback);
  }

  async #read(buffer: Buffer, offset: number, length: number, position: number): Promise<void> {
    if (!(position >= 0 && position + length <= this.#size))
      throw new Error(`an offset of ${position}, beyond its end`);
    const bytes =
      position < this.directoryStart
        ? await this.#bytes(position, length)
        : await this.#kept(position, length);
    if (bytes.length < length) throw new Error("an end before the last byte");
    bytes.copy(buffer, offset);
  }

  #bytes(position: number, length: number): Promise<Buffer> {
    return readExactly(this.#file, this.#start + position, length);
  }

  async #kept(position: number, length: number): Promise<Buffer> {
    const { start, bytes } = this.#window;
    if (position < start || position + length > start + bytes.length) {
      const first = this.#size <= windowBytes ? 0 : position;
      const ahead = Math.min(Math.max(length, windowBytes), this.#size - first);
      this.#window = { start: first, bytes: await this.#bytes(first, ahead) };
    }
    const from = position - this.#window.start;
    return this.#window.bytes.subarray(from, from + length);
  }
}

/**
 * The members of a zip archive, ZIP64 included, by its central directory. Of their bytes none are read.
 *
 * @throws CriticalSharpnessError `ERR_MODEL_FILE`, or the code that was given, if it is none, is damaged or cut short, has two
 * members of a name or members that share bytes, or names that lead out of a folder; `ERR_FILE` if it cannot be read.
 */
export async function readZipDirectory(
  path: string,
  signal?: AbortSignal | undefined,
  { span, code = "ERR_MODEL_FILE" }: ZipPlace = {},
): Promise<ZipDirectory> {
  throwIfAborted(signal);
  const source = { path, code };
  await using file = await openArchive(path);
  const whole = (await file.stat()).size;
  const { byteOffset: first, byteLength: size } = span ?? { byteOffset: 0, byteLength: whole };
  if (first + size > whole)
    throw badArchive(
      source,
      `an archive up to byte ${first + size}`,
      `${whole} bytes: the file is truncated`,
    );
  const names: string[] = [];
  const stored = new Map<string, ZipMember>();
  const packed = new Map<string, string>();
  const spans: { name: string; start: number; end: number }[] = [];
  try {
    const reader = new ArchiveReader(file, first, size);
    const zip = await fromRandomAccessReaderPromise(reader, size, { strictFileNames: true });
    // A number, whatever its type says.
    if (size > windowBytes) reader.directoryStart = Number(zip.readEntryCursor);
    if (zip.entryCount > mostMembers)
      throw badArchive(source, `an archive of at most ${mostMembers} members`, `one of ${zip.entryCount}`);
    const add = (entry: Entry, fileDataStart: number) => {
      const { fileName: name, compressedSize: byteLength, relativeOffsetOfLocalHeader: start } = entry;
      spans.push({ name, start, end: fileDataStart + byteLength });
      if (name.endsWith("/")) return;
      if (stored.has(name) || packed.has(name))
        throw badArchive(source, `a member "${name}" once`, "it twice: archives of PyTorch's have each once");
      names.push(name);
      const packing = packingOf(entry);
      if (packing === undefined) stored.set(name, { name, byteOffset: first + fileDataStart, byteLength });
      else packed.set(name, packing);
    };
    let entries: Entry[] = [];
    const addAll = async () => {
      throwIfAborted(signal);
      const headers = entries.map((entry) => zip.readLocalFileHeaderPromise(entry, { minimal: true }));
      for (const [i, { fileDataStart }] of (await Promise.all(headers)).entries())
        add(entries[i] as Entry, fileDataStart);
      entries = [];
    };
    for await (const entry of zip.eachEntry()) {
      entries.push(entry);
      if (entries.length === headersAtATime) await addAll();
    }
    await addAll();
  } catch (error) {
    if (error instanceof CriticalSharpnessError) throw error;
    throw badArchive(source, "a zip archive", await reasonOf(file, first, error as Error));
  }
  checkSpans(source, spans);
  return { ...source, names, stored, packed };
}

async function openArchive(path: string): Promise<FileHandle> {
  const what = "a readable file";
  const file = await openFile(path, "r").catch((error: unknown) => {
    throw unreadable(what, path, error);
  });
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw unreadable(what, path, new Error("a directory or device"));
}

function packingOf(entry: Entry): string | undefined {
  if (entry.isEncrypted()) return "encrypted";
  return entry.compressionMethod === 0 ? undefined : "compressed";
}

/** Why it is none, by its first bytes or by what stopped its reading. */
async function reasonOf(file: FileHandle, first: number, error: Error): Promise<string> {
  const start = await readExactly(file, first, foreignBytes);
  if (start.toString("latin1", 0, 2) !== "PK") return foreignFile(start) ?? "another kind of file";
  const isCut = /End of central directory record signature not found/.test(error.message);
  return isCut ? "one that is cut short: copy or download it again" : `a damaged one: ${error.message}`;
}

function checkSpans(
  source: Pick<ZipDirectory, "path" | "code">,
  spans: { name: string; start: number; end: number }[],
): void {
  spans.sort((a, b) => a.start - b.start || a.end - b.end);
  for (const [i, { name, start }] of spans.entries()) {
    const before = spans[i - 1];
    if (before && start < before.end)
      throw badArchive(source, "members with bytes of their own", `"${name}" within "${before.name}"`);
  }
}

/** @throws CriticalSharpnessError, of the directory's code, if it is there, but compressed or encrypted. */
export function zipMember(directory: ZipDirectory, name: string): ZipMember | undefined {
  const packing = directory.packed.get(name);
  if (packing === undefined) return directory.stored.get(name);
  throw badArchive(
    directory,
    "members that are stored as they are",
    `"${name}", which is ${packing}: take the file as it was written, or pack it anew without compression`,
  );
}

/** A member's bytes, of which there may be `limit` at most. @throws CriticalSharpnessError of the directory's code */
export async function readZipMember(
  directory: ZipDirectory,
  member: ZipMember,
  limit: number,
  signal?: AbortSignal | undefined,
): Promise<Buffer> {
  return (await readZipMembers(directory, [[member, limit]], signal))[0] as Buffer;
}

/** The bytes of members, each with its limit. @throws CriticalSharpnessError of the directory's code */
export async function readZipMembers(
  directory: ZipDirectory,
  members: readonly (readonly [member: ZipMember, limit: number])[],
  signal?: AbortSignal | undefined,
): Promise<Buffer[]> {
  await using file = await openArchive(directory.path);
  const all: Buffer[] = [];
  for (const [{ name, byteOffset, byteLength }, limit] of members) {
    throwIfAborted(signal);
    if (byteLength > limit)
      throw badArchive(directory, `a member "${name}" of at most ${limit} bytes`, `one of ${byteLength}`);
    const bytes = await readExactly(file, byteOffset, byteLength);
    if (bytes.length < byteLength)
      throw badArchive(
        directory,
        `${byteLength} bytes of "${name}"`,
        `${bytes.length}: the file has changed meanwhile`,
      );
    all.push(bytes);
  }
  throwIfAborted(signal);
  return all;
}
