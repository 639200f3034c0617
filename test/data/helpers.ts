import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, expect } from "vitest";

/** A folder of this test file's own, removed after its tests. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a file into a folder and gives its path. */
export function put(folder: string, name: string, content: string | Uint8Array): string {
  const file = path.join(folder, name);
  writeFileSync(file, content);
  return file;
}

/** Matches an error with a code whose message has the project's shape and this part. */
export function failure(code: string, part: string): unknown {
  return expect.objectContaining({ code, message: expect.stringMatching(partOfShape(part)) });
}

function partOfShape(part: string): RegExp {
  const literal = part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^(?=.*${literal})Expected .+ for .+ but received`, "s");
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** An .npy file with this header and these bytes. */
export function npy(
  descr: string,
  shape: string,
  data: Uint8Array,
  { major = 1, order = "False" } = {},
): Buffer {
  const dictionary = `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }`;
  const prefix = major === 1 ? 10 : 12;
  const text = Buffer.from(`${dictionary.padEnd(128 - prefix - 1)}\n`, "latin1");
  const head = Buffer.alloc(prefix);
  head.write("\x93NUMPY", "latin1");
  head[6] = major;
  if (major === 1) head.writeUInt16LE(text.length, 8);
  else head.writeUInt32LE(text.length, 8);
  return Buffer.concat([head, text, data]);
}
