import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { isMainThread } from "node:worker_threads";
import { CriticalSharpnessError } from "../errors.js";
import { nativeErrorCode } from "./errors.js";
import { type LibtorchTree, libraryName } from "./libtorch-tree.js";
import { locateLibtorch, packageRoot } from "./locate-libtorch.js";
import type { NativeAddon } from "./surface.js";

const keepLoaded = process.platform === "darwin" ? 0x80 : 0x1000; // RTLD_NODELETE

let loaded: { addon: NativeAddon; tree: LibtorchTree } | undefined;

/**
 * The addon. It is loaded at the first call, libtorch before it: what needs no libtorch works without one.
 *
 * @throws CriticalSharpnessError `ERR_LIBTORCH_NOT_FOUND`, `ERR_LIBTORCH_VERSION`, `ERR_LIBTORCH_LOAD`, `ERR_ADDON_LOAD` naming the remedy.
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
  const tree = locateLibtorch();
  for (const name of tree.cuda ? ["torch_cpu", "torch_cuda"] : ["torch_cpu"])
    loadLibrary(path.join(tree.libraryDirectory, libraryName(name)));
  const addon = loadAddon();
  // process.exit() and uncaught errors run no cleanup hook of Node-API: without this, libtorch's static objects would be
  // destroyed under a running job.
  if (isMainThread) process.on("exit", () => addon.shutdown());
  return { addon, tree };
}

/** Loads a shared library that is no addon. Node complains that it did not register itself; it stays loaded. */
function loadLibrary(file: string): void {
  try {
    process.dlopen({ exports: {} }, file, os.constants.dlopen.RTLD_NOW | keepLoaded);
  } catch (error) {
    const { message } = error as Error;
    if (/did not self-register/.test(message)) return;
    throw new CriticalSharpnessError(
      "ERR_LIBTORCH_LOAD",
      `Expected to be able to load "${file}" but the system says: ${message}. Run \`ldd "${file}"\` to see what it lacks, or choose another libtorch with CRITICAL_SHARPNESS_LIBTORCH`,
      { cause: error },
    );
  }
}

function loadAddon(): NativeAddon {
  const require = createRequire(import.meta.url);
  try {
    return (require("node-gyp-build") as (directory: string) => NativeAddon)(packageRoot);
  } catch (error) {
    // What the addon itself found, another libtorch in the process, says all there is to say.
    if (nativeErrorCode(error) === "ERR_LIBTORCH_VERSION") throw error;
    throw new CriticalSharpnessError(
      "ERR_ADDON_LOAD",
      `Expected a built addon for ${process.platform}-${process.arch} but none could be loaded: ${(error as Error).message.split("\n")[0]}. In a source checkout run \`npm run build\``,
      { cause: error },
    );
  }
}
