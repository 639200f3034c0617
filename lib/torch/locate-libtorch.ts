import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { CriticalSharpnessError } from "../errors.js";
import { hostProblem } from "./host.js";

import {
  buildable,
  compatible,
  inspectTree,
  type LibtorchTree,
  libtorchError,
  libtorchPackageVersion,
  libtorchVersion,
  oldestLibtorch,
  platformOf,
} from "./libtorch.js";

import { pythonTorch } from "./python.js";

/** The folder of package.json, as seen from lib/torch/ and from dist/torch/. */
export const packageRoot = path.join(path.dirname(fileURLToPath(import.meta.url)), "../..");

/** Whether this is a source checkout, which can be built, and not an installed package. */
export const isCheckout = existsSync(path.join(packageRoot, "CMakeLists.txt"));

/** The npm package that brings libtorch's libraries for this platform. */
export const platformPackage =
  platformOf()?.package ?? `@critical-sharpness/libtorch-${process.platform}-${process.arch}`;

/** Where downloads are kept. */
export function cacheRoot(environment: NodeJS.ProcessEnv = process.env): string {
  return path.join(environment.XDG_CACHE_HOME || path.join(os.homedir(), ".cache"), "critical-sharpness");
}

/** Where a downloaded libtorch is kept: `variant` is "cpu", or a version of CUDA such as "cu130". */
export function cacheDirectory(environment: NodeJS.ProcessEnv = process.env, variant = "cpu"): string {
  return path.join(cacheRoot(environment), `libtorch-${libtorchVersion}-${variant}`);
}

export interface LocateOptions {
  /** `run` needs the libraries of the version that the addon was built for, `build` the headers of any supported version. */
  purpose?: "run" | "build";
  environment?: NodeJS.ProcessEnv;
  /** The note of the source build. */
  noteFile?: string;
}

/** Somewhere to look for a libtorch. */
export interface Place {
  name: string;
  /** What mends it if what lies there cannot be used. */
  remedy: string;
  /** The folder, if this place has one. */
  folder(): string | undefined;
}

const fetch = "npx critical-sharpness fetch-libtorch";

const variables = ["CRITICAL_SHARPNESS_LIBTORCH", "LIBTORCH"] as const;

/** The place that the user named, if any: it is the only one then, so that a mistake in it does not go unnoticed. */
function namedPlace(environment: NodeJS.ProcessEnv): Place | undefined {
  const variable = variables.find((name) => environment[name]);
  if (variable)
    return {
      name: `the variable ${variable}`,
      remedy: `Set ${variable} to the folder of a libtorch ${libtorchVersion} that has lib/ and include/, or unset it`,
      folder: () => environment[variable],
    };
  if (environment.LIBTORCH_USE_PYTORCH !== "1") return undefined;
  return {
    name: "the PyTorch of LIBTORCH_USE_PYTORCH=1",
    remedy: `Run \`python3 -m pip install torch==${libtorchVersion}\`, or unset LIBTORCH_USE_PYTORCH`,
    folder: () => pythonTorch(environment),
  };
}

/** The places in which a libtorch is looked for, in order. */
export function places({
  purpose = "run",
  environment = process.env,
  noteFile = buildNoteFile,
}: LocateOptions = {}): Place[] {
  const named = namedPlace(environment);
  if (named) return [named];
  const cache = cacheDirectory(environment);
  const installed = installedPackage();
  const install = `\`npm install ${platformPackage}@${libtorchPackageVersion}\``;
  const found = [
    {
      name: "the libtorch of this build",
      remedy: "Run `rm build/libtorch.json`, then `npm run build`",
      // A tree that is gone is passed over: the others may do.
      folder: () => existing(readBuildNote(noteFile)?.root),
    },
    {
      name: `the package ${platformPackage}`,
      // npm leaves a folder alone that it takes for whole.
      remedy: installed ? `Run \`rm -r "${installed}"\`, then ${install}` : `Run ${install}`,
      folder: installedPackage,
    },
    {
      name: `the cache "${cache}"`,
      remedy: `Run \`rm -r "${cache}"\`, then \`${isCheckout ? "npm run build" : fetch}\` to fetch it again`,
      folder: () => existing(cache),
    },
  ];
  if (!isCheckout) found.shift();
  // The platform package has no headers.
  return purpose === "build" ? found.filter(({ folder }) => folder !== installedPackage) : found;
}

/**
 * Finds libtorch: `CRITICAL_SHARPNESS_LIBTORCH` or `LIBTORCH`; python3's PyTorch if `LIBTORCH_USE_PYTORCH=1`; the tree that
 * a source checkout was built with; the npm platform package; the cache.
 *
 * @throws CriticalSharpnessError `ERR_LIBTORCH_NOT_FOUND` or `ERR_LIBTORCH_VERSION`, saying what was found, what was needed
 * and what mends it.
 */
export function locateLibtorch(options: LocateOptions = {}): LibtorchTree {
  const { purpose = "run", noteFile } = options;
  const wanted = builtFor(noteFile);
  const looked = places(options);
  for (const { name, remedy, folder } of looked) {
    const found = folder();
    if (!found) continue;
    const tree = inspectTree(found, name, { headers: purpose === "build", remedy });
    checkVersion(tree, purpose, wanted, remedy);
    if (purpose === "run" && readBuildNote(noteFile)?.cuda) checkCuda(tree);
    return tree;
  }
  throw libtorchError(nowhere(wanted, looked));
}

/** The message where no place has a libtorch. */
function nowhere(wanted: string, looked: readonly Place[]): string {
  const found = `Expected libtorch ${wanted} but found none in ${looked.map(({ name }) => name).join(", ")}`;
  const host = hostProblem();
  if (host) return `${found}. ${host}`;
  const others = otherPackages();
  const why = others.length
    ? `There is ${others.join(", ")}: node_modules or its lockfile comes from another platform`
    : "The package is an optional dependency, which `--omit=optional` and a lockfile from another platform leave out";
  const checkout = isCheckout ? " (in a source checkout `npm run build`)" : "";
  return `${found}. ${why}. Run \`npm install ${platformPackage}@${libtorchPackageVersion}\`${checkout} or \`${fetch}\`, or set CRITICAL_SHARPNESS_LIBTORCH to a libtorch folder, or LIBTORCH_USE_PYTORCH=1 to use python3's PyTorch`;
}

/** The libtorch version that the addon was built for: a source checkout may have been built against another. */
export function builtFor(noteFile = buildNoteFile): string {
  return readBuildNote(noteFile)?.version ?? libtorchVersion;
}

function checkVersion(
  { root, source, version }: LibtorchTree,
  purpose: "run" | "build",
  wanted: string,
  remedy: string,
): void {
  const fits = purpose === "build" ? buildable(version) : compatible(wanted, version);
  if (fits) return;
  const needed = purpose === "build" ? `${oldestLibtorch} or later` : wanted;
  const why = purpose === "run" ? ": C++ interfaces differ between minor versions" : "";
  const rebuild =
    purpose === "run" && isCheckout
      ? ", or run `npm run build` in a source checkout to build against it"
      : "";
  throw new CriticalSharpnessError(
    "ERR_LIBTORCH_VERSION",
    `Expected libtorch ${needed} for ${source} but received ${version} in "${root}"${why}. ${remedy}${rebuild}`,
  );
}

/** An addon that was built with CUDA calls libraries that a CPU libtorch does not have. */
function checkCuda({ cuda, root, source }: LibtorchTree): void {
  if (cuda) return;
  throw new CriticalSharpnessError(
    "ERR_LIBTORCH_VERSION",
    `Expected a CUDA build of libtorch for ${source}, since this addon was built with CUDA, but received a CPU build in "${root}". Choose the one that it was built with, or run \`npm run build -- --no-cuda\``,
  );
}

const existing = (folder: string | undefined) => (folder && existsSync(folder) ? folder : undefined);

function installedPackage(): string | undefined {
  const { resolve } = createRequire(import.meta.url);
  try {
    return path.dirname(resolve(`${platformPackage}/package.json`));
  } catch {
    // One that was half unpacked may lack its package.json.
    return resolve
      .paths(platformPackage)
      ?.map((folder) => path.join(folder, platformPackage))
      .find(existsSync);
  }
}

/** The packages with libtorch for other platforms that lie where this platform's would. */
function otherPackages(): string[] {
  const [scope, name] = platformPackage.split("/") as [string, string];
  const folders = createRequire(import.meta.url).resolve.paths(platformPackage) ?? [];
  return folders
    .map((folder) => path.join(folder, scope))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder))
    .filter((other) => other.startsWith("libtorch-") && other !== name)
    .map((other) => `${scope}/${other}`);
}

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
