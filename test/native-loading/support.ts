import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll } from "vitest";

const scratch = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-loading-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

let folders = 0;

/** A new folder, removed when the tests of the file are over. */
export function folder(): string {
  const made = path.join(scratch, `${folders++}`);
  mkdirSync(made);
  return made;
}

function write(root: string, file: string, text: string): void {
  mkdirSync(path.join(root, path.dirname(file)), { recursive: true });
  writeFileSync(path.join(root, file), text);
}

/** What looks like a libtorch to whoever does not load it. `files` are added; an empty text makes an empty file. */
export function tree(version: string, files: Record<string, string> = {}, root = folder()): string {
  const all = {
    "lib/libc10.so": "c10",
    "lib/libtorch_cpu.so": "torch",
    "include/ATen/core/Tensor.h": "header",
    "version.py": `__version__ = '${version}+cpu'\n`,
    ...files,
  };
  for (const [file, text] of Object.entries(all)) write(root, file, text);
  return root;
}

/** A command that runs a shell script, in place of Python. */
export function command(script: string): string {
  const file = path.join(folder(), "python");
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}

/** An environment in which no libtorch is found: an empty cache, nothing named. */
export function bare(variables: Record<string, string> = {}): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, XDG_CACHE_HOME: folder(), ...variables };
}

/** The file of a note, or of none. */
export function note(content?: unknown): string {
  const file = path.join(folder(), "libtorch.json");
  if (content !== undefined)
    writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  return file;
}

/** The code and message of what a call throws or rejects with. */
export async function failure(call: () => unknown): Promise<{ code: string; message: string }> {
  try {
    await call();
  } catch (error) {
    const { code, message } = error as Error & { code: string };
    return { code, message };
  }
  throw new Error("Expected an error but there was none");
}
