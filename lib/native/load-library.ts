import os from "node:os";
import path from "node:path";
import { CriticalSharpnessError } from "../errors.js";
import { libraryProblem } from "./elf.js";
import { hostProblem } from "./host.js";
import type { LibtorchTree } from "./libtorch-tree.js";

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
