import { readFileSync, realpathSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { isMainThread } from "node:worker_threads";
import { CriticalSharpnessError } from "../errors.js";
import { nativeErrorCode } from "./errors.js";
import { hostProblem, report } from "./host.js";
import { compatible, type LibtorchTree, libraryName, libraryProblem, readVersion } from "./libtorch.js";
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

/**
 * Refuses a second copy of this package in a process, of another version or the same one: each would compute on a thread of
 * its own, on one libtorch.
 *
 * @param libraries the files that the process has loaded
 * @param addon the addon that is about to be loaded
 * @throws CriticalSharpnessError `ERR_DUPLICATE_PACKAGE`
 */
export function refuseOtherCopy(libraries: readonly string[], addon: string): void {
  const own = realpathSync(addon);
  const other = libraries.find(
    (file) => /[\\/]critical[-_]sharpness[^\\/]*\.node$/.test(file) && file !== own,
  );
  if (other === undefined) return;
  throw new CriticalSharpnessError(
    "ERR_DUPLICATE_PACKAGE",
    `Expected one copy of critical-sharpness in a process but received a second: "${own}" beside "${other}". Run \`npm ls critical-sharpness\` to see what depends on each and \`npm dedupe\` to make them one, or use the second in a process of its own`,
  );
}

/**
 * The libtorch that something else in this process, such as another addon, has loaded before; undefined: none, or `wanted`.
 * A process can have but one, since the libraries find each other by name.
 *
 * @param version that the addon was built for
 * @throws CriticalSharpnessError `ERR_LIBTORCH_VERSION` if it is of another minor version.
 */
export function loadedBefore(
  libraries: readonly string[],
  wanted: LibtorchTree,
  version: string,
): LibtorchTree | undefined {
  const own = realpathSync(path.join(wanted.libraryDirectory, libraryName("torch_cpu")));
  const file = libraries.find((other) => path.basename(other) === libraryName("torch_cpu"));
  if (file === undefined || file === own) return undefined;
  const libraryDirectory = path.dirname(file);
  const root = path.dirname(libraryDirectory);
  // Without a version beside it, the addon itself compares when it loads.
  const received = readVersion(root) ?? version;
  const remedy = `Import critical-sharpness before the module that loads it, or use critical-sharpness in a process of its own (\`child_process.fork\`)`;
  if (!compatible(version, received))
    throw new CriticalSharpnessError(
      "ERR_LIBTORCH_VERSION",
      `Expected libtorch ${version} but another module of this process has loaded libtorch ${received}, "${file}": C++ interfaces differ between minor versions, and a process can have one libtorch. ${remedy}`,
    );
  const source = "what another module of this process had loaded";
  return { source, remedy, root, libraryDirectory, version: received, cuda: wanted.cuda };
}

/** The version in package.json. */
export async function packageVersion(): Promise<string> {
  return JSON.parse(await readFile(path.join(packageRoot, "package.json"), "utf8")).version;
}

/** What a result was computed with. */
export async function versions(): Promise<Record<string, string>> {
  const { libtorchVersion, cpuCapability } = await native().info();
  return {
    "critical-sharpness": await packageVersion(),
    libtorch: libtorchVersion,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    cpu: cpuCapability,
  };
}

/**
 * Sets how many threads libtorch computes with, in this process; all workers share them. Default: OMP_NUM_THREADS, or
 * the machine's cores, as far as the process's CPU affinity and its control groups' quota allow them. A different number may change the last bits of a loss.
 *
 * @throws TypeError, RangeError unless it is an integer from 1 to 1024.
 */
export async function setThreads(threads: number): Promise<void> {
  await native().setThreads(threads);
}
