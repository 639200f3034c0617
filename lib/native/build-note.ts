import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { packageRoot } from "./paths.js";

/** What a source build writes down: the libtorch that build/Release was built with, and whether for CUDA. */
export interface BuildNote {
  root: string;
  version: string;
  cuda: boolean;
}

export const buildNoteFile = path.join(packageRoot, "build/libtorch.json");

/** The note of this source checkout; undefined in an installed package, before the first build, and if it cannot be read. */
export function readBuildNote(file: string = buildNoteFile): BuildNote | undefined {
  if (!existsSync(file)) return undefined;
  try {
    const { root, version, cuda = false } = JSON.parse(readFileSync(file, "utf8")) as Partial<BuildNote>;
    return typeof root === "string" && typeof version === "string" ? { root, version, cuda } : undefined;
  } catch {
    return undefined;
  }
}

export function writeBuildNote({ root, version, cuda }: BuildNote, file: string = buildNoteFile): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify({ root, version, cuda })}\n`);
}
