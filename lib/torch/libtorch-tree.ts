import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  statSync,
} from "node:fs";
import path from "node:path";
import { CriticalSharpnessError } from "../errors.js";
import { oldestLibtorch } from "./libtorch-release.js";

/** A folder with libtorch in it. */
export interface LibtorchTree {
  /** Which of the places it was found in. */
  source: string;
  root: string;
  libraryDirectory: string;
  version: string;
  cuda: boolean;
  /** What mends it if it cannot be used: a sentence without its full stop. */
  remedy: string;
}

export const libraryName = (name: string) => `lib${name}.${process.platform === "darwin" ? "dylib" : "so"}`;

export function libtorchError(message: string, cause?: unknown): CriticalSharpnessError {
  return new CriticalSharpnessError("ERR_LIBTORCH_NOT_FOUND", message, { cause });
}

export interface InspectOptions {
  /** Whether the headers are needed too: to build, not to run. */
  headers?: boolean;
  /** What mends a folder that is not whole; ends the message. */
  remedy?: string;
}

/**
 * Looks at a folder and says what libtorch it holds.
 *
 * @param source the place that named the folder, for messages.
 * @throws CriticalSharpnessError `ERR_LIBTORCH_NOT_FOUND` saying what is missing in it.
 */
export function inspectTree(
  folder: string,
  source: string,
  { headers = false, remedy = "Choose another with CRITICAL_SHARPNESS_LIBTORCH" }: InspectOptions = {},
): LibtorchTree {
  const refuse = (wanted: string, received: string): never => {
    throw libtorchError(`Expected ${wanted} for ${source} but received "${folder}"${received}. ${remedy}`);
  };
  if (!existsSync(folder)) refuse("a libtorch folder", ", which does not exist");
  if (!statSync(folder).isDirectory()) refuse("a libtorch folder", ", which is no folder");
  const root = realpathSync(folder);
  const libraryDirectory = path.join(root, "lib");
  const needed = ["c10", "torch_cpu"].map((name) => path.join(libraryDirectory, libraryName(name)));
  if (headers) needed.push(path.join(root, "include/ATen/core/Tensor.h"));
  const missing = needed.find((file) => !existsSync(file) || statSync(file).size === 0);
  if (missing)
    refuse(
      `a whole libtorch (lib/ with libtorch_cpu and libc10${headers ? ", include/ with the headers" : ""})`,
      ` without ${path.relative(root, missing)}`,
    );
  const version =
    readVersion(root) ??
    refuse(
      "a libtorch that tells its version (version.py, build-version or headers)",
      " without any of them",
    );
  const cuda = existsSync(path.join(libraryDirectory, libraryName("torch_cuda")));
  return { source, root, libraryDirectory, version, cuda, remedy };
}

/** "2.13.0", from the npm platform package, a Python wheel, the official archive or the headers. */
export function readVersion(root: string): string | undefined {
  const read = (file: string, pattern: RegExp) => {
    const full = path.join(root, file);
    return existsSync(full) ? pattern.exec(readFileSync(full, "utf8"))?.[1] : undefined;
  };
  return (
    read("package.json", /"libtorch":\s*"(\d+\.\d+\.\d+)/) ??
    read("version.py", /__version__ = '(\d+\.\d+\.\d+)/) ??
    read("build-version", /^(\d+\.\d+\.\d+)/) ??
    read("include/torch/headeronly/version.h", /define TORCH_VERSION "(\d+\.\d+\.\d+)/)
  );
}

const numbers = (version: string) => version.split(".").map(Number) as [number, number];

/** Whether an addon built for one version may run on another: same major and minor. C++ classes change between minors. */
export function compatible(built: string, loaded: string): boolean {
  const [a, b] = [numbers(built), numbers(loaded)];
  return a[0] === b[0] && a[1] === b[1];
}

/** Whether the sources can be built against a version. */
export function buildable(version: string): boolean {
  const [[major, minor], oldest] = [numbers(version), numbers(oldestLibtorch)];
  return major === oldest[0] && minor >= oldest[1];
}

const machines: Record<number, string> = { 3: "ia32", 40: "arm", 62: "x64", 183: "arm64" };

/**
 * What is wrong with a shared library of Linux: it cannot be read, is another kind of file, is for another processor, or ends
 * before its table of sections, which linkers put last. Loading a file that ends early can end the process. Undefined: nothing.
 */
export function libraryProblem(file: string): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "EACCES" ? "this user may not read it (EACCES)" : `it cannot be opened (${code})`;
  }
  try {
    const header = Buffer.alloc(64);
    const length = readSync(descriptor, header, 0, header.length, 0);
    if (length < header.length || header.readUInt32BE(0) !== 0x7f454c46) return "it is no shared library";
    const machine = machines[header.readUInt16LE(18)] ?? "another processor";
    if (machine !== process.arch) return `it is for ${machine}, not ${process.arch}`;
    const end = Number(header.readBigUInt64LE(40)) + header.readUInt16LE(58) * header.readUInt16LE(60);
    const { size } = fstatSync(descriptor);
    return size < end ? `it ends after ${size} of ${end} bytes` : undefined;
  } finally {
    closeSync(descriptor);
  }
}
