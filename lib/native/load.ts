import { createRequire } from "node:module";
import path from "node:path";
import { isMainThread } from "node:worker_threads";
import { CriticalSharpnessError } from "../errors.js";
import { nativeErrorCode } from "./errors.js";
import { hostProblem } from "./host.js";
import { loadedBefore, refuseOtherCopy } from "./in-process.js";
import { type LibtorchTree, libraryName } from "./libtorch-tree.js";
import { loadLibrary } from "./load-library.js";
import { loadedLibraries } from "./loaded-libraries.js";
import { builtFor, locateLibtorch } from "./locate-libtorch.js";
import { threadLimit, withBriefSpinning } from "./openmp.js";
import { isCheckout, packageRoot } from "./paths.js";
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
