import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { isMainThread } from "node:worker_threads";
import { CriticalSharpnessError } from "../errors.js";
import { nativeErrorCode } from "./errors.js";
import { hostProblem, report } from "./host.js";

import { loadedBefore, refuseOtherCopy } from "./in-process.js";
import { type LibtorchTree, libraryName, libraryProblem } from "./libtorch-tree.js";
import { builtFor, isCheckout, locateLibtorch, packageRoot } from "./locate-libtorch.js";
import { threadLimit, withBriefSpinning } from "./openmp.js";
import { probe } from "./probe.js";
import type { NativeAddon } from "./surface.js";

let loaded: { addon: NativeAddon; tree: LibtorchTree } | undefined;

/**
 * The addon. It is loaded at the first call, libtorch before it: what needs no libtorch works without one.
 *
 * @throws CriticalSharpnessError `ERR_LIBTORCH_NOT_FOUND`, `ERR_LIBTORCH_VERSION`, `ERR_LIBTORCH_LOAD`, `ERR_ADDON_LOAD`,
 * `ERR_DUPLICATE_PACKAGE` naming the remedy.
 */
export function native(): NativeAddon {
  loaded ??= load();
  return loaded.addon;
}

/** The libtorch that this process runs on; undefined before the addon is loaded. */
export function loadedLibtorch(): LibtorchTree | undefined {
  return loaded?.tree;
}

function load() {
  const wanted = locateLibtorch();
  const file = addonFile();
  const libraries = loadedLibraries();
  refuseOtherCopy(libraries, file);
  const before = loadedBefore(libraries, wanted, builtFor());
  const tree = before ?? wanted;
  if (!before) withBriefSpinning(() => loadLibtorch(tree, libraries));
  const addon = loadAddon(file, before);
  const threads = threadLimit();
  if (threads !== undefined) addon.limitThreads(threads);
  // process.exit() and uncaught errors run no cleanup hook of Node-API: without this, libtorch's static objects would be
  // destroyed under a running job.
  if (isMainThread) process.on("exit", () => addon.shutdown());
  return { addon, tree };
}

/** By absolute path and before the addon, which then finds it by name: one addon serves every source of libtorch. */
function loadLibtorch(tree: LibtorchTree, libraries: readonly string[]): void {
  const inProcess = libraries.some((file) => path.basename(file) === libraryName("torch_cuda"));
  if (tree.cuda && !inProcess) probe(tree); // once a process: its other threads have loaded it
  for (const name of tree.cuda ? ["c10", "torch_cpu", "torch_cuda"] : ["c10", "torch_cpu"])
    loadLibrary(path.join(tree.libraryDirectory, libraryName(name)), tree);
}

const require = createRequire(import.meta.url);

function addonFile(): string {
  try {
    return (require("node-gyp-build") as { resolve(directory: string): string }).resolve(packageRoot);
  } catch (error) {
    throw addonError(error);
  }
}

function loadAddon(file: string, before: LibtorchTree | undefined): NativeAddon {
  try {
    return require(file);
  } catch (error) {
    // What the addon itself found, another libtorch in the process, says all there is to say.
    if (nativeErrorCode(error) === "ERR_LIBTORCH_VERSION") throw error;
    throw addonError(error, before);
  }
}

function addonError(cause: unknown, before?: LibtorchTree): CriticalSharpnessError {
  const said = (cause as Error).message.split("\n")[0];
  const reinstall = "Run `npm install critical-sharpness` to install it again";
  const cuda = /libc10_cuda|libcudart/.test(said ?? "")
    ? "It was built with CUDA: choose the CUDA build of libtorch that it was built for, with CRITICAL_SHARPNESS_LIBTORCH or LIBTORCH_USE_PYTORCH=1"
    : undefined;
  const remedy = before
    ? `Another module of this process has loaded the libtorch in "${before.root}", which does not fit it. ${before.remedy}`
    : (cuda ?? hostProblem() ?? (isCheckout ? "In a source checkout run `npm run build`" : reinstall));
  return new CriticalSharpnessError(
    "ERR_ADDON_LOAD",
    `Expected a built addon for ${process.platform}-${process.arch} but none could be loaded: ${said}. ${remedy}`,
    { cause },
  );
}

const keepLoaded = process.platform === "darwin" ? 0x80 : 0x1000; // RTLD_NODELETE

/**
 * Loads a shared library of a libtorch, which is no addon: Node.js complains that it did not register itself, and it stays
 * loaded.
 *
 * @throws CriticalSharpnessError `ERR_LIBTORCH_LOAD` saying what is wrong with the file or the system, and what mends it.
 */
export function loadLibrary(file: string, tree: LibtorchTree): void {
  const problem = process.platform === "linux" ? libraryProblem(file) : undefined;
  if (problem) {
    const remedy = problem.includes("EACCES") ? `Run \`chmod -R a+rX "${tree.root}"\`` : tree.remedy;
    throw loadError(
      `Expected a whole library for ${tree.source} but received "${file}": ${problem}. ${remedy}`,
    );
  }
  try {
    process.dlopen({ exports: {} }, file, os.constants.dlopen.RTLD_NOW | keepLoaded);
  } catch (error) {
    const { message } = error as Error;
    if (/did not self-register/.test(message)) return;
    throw loadError(
      `Expected to be able to load "${file}" but the system says: ${message}. ${remedyFor(message, file, tree)}`,
      error,
    );
  }
}

function loadError(message: string, cause?: unknown): CriticalSharpnessError {
  return new CriticalSharpnessError("ERR_LIBTORCH_LOAD", message, { cause });
}

/** What mends a failure of the system's loader, by what it says. */
export function remedyFor(message: string, file: string, { libraryDirectory, cuda }: LibtorchTree): string {
  const host = hostProblem();
  if (host) return host;
  if (/version `(GLIBCXX|CXXABI)_/.test(message))
    return "An older libstdc++ comes before the system's: run `unset LD_LIBRARY_PATH`, or install the system's newer one (`apt-get install libstdc++6`)";
  if (/static TLS block/.test(message))
    return `Start Node.js with \`LD_PRELOAD="${path.join(libraryDirectory, "libgomp.so.1")}" node …\``;
  if (cuda && /lib(cu|nv|nccl)\w*[^ ]*: cannot open shared object/.test(message))
    return "This is a CUDA libtorch without its CUDA libraries: run `python3 -m pip install torch`, which brings them, and set LIBTORCH_USE_PYTORCH=1; or use a CPU libtorch";
  return `Run \`ldd "${file}"\` to see what it lacks, or choose another libtorch with CRITICAL_SHARPNESS_LIBTORCH`;
}

/** The files of the shared libraries and addons in this process, of all its threads. */
export function loadedLibraries(): string[] {
  if (process.platform === "linux") {
    const lines = readFileSync("/proc/self/maps", "utf8").split("\n");
    // address, permissions, offset, device, inode, path; a file that was replaced meanwhile is marked.
    const paths = lines.map((line) => /^\S+ \S+ \S+ \S+ \d+ +(\/.*?)(?: \(deleted\))?$/.exec(line)?.[1]);
    return [...new Set(paths.filter((path) => path !== undefined))];
  }
  return report().sharedObjects ?? [];
}
