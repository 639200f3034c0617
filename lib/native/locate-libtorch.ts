import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { inspectTree, type LibtorchTree, libtorchError, libtorchVersion } from "./libtorch-tree.js";

/** The folder of package.json. */
export const packageRoot = path.join(path.dirname(fileURLToPath(import.meta.url)), "../..");
/** Where a source build notes the libtorch that it was built with. */
export const buildNote = path.join(packageRoot, "build/libtorch.json");

export interface LocateOptions {
  /** Whether the headers are needed too: to build, not to run. */
  headers?: boolean;
  environment?: NodeJS.ProcessEnv;
}

/** Where a downloaded libtorch is kept. */
export function cacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const base = environment.XDG_CACHE_HOME || path.join(os.homedir(), ".cache");
  return path.join(base, "critical-sharpness", `libtorch-${libtorchVersion}-cpu`);
}

export const platformPackage = `@critical-sharpness/libtorch-${process.platform}-${process.arch}`;

interface Place {
  name: string;
  /** The folder, if this place has one. */
  folder(): string | undefined;
}

/** The places in which a libtorch is looked for, in order; a place that the user named is never passed over. */
function places(environment: NodeJS.ProcessEnv): Place[] {
  const variable = ["CRITICAL_SHARPNESS_LIBTORCH", "LIBTORCH"].find((name) => environment[name]);
  if (variable) return [{ name: `the variable ${variable}`, folder: () => environment[variable] }];
  if (environment.LIBTORCH_USE_PYTORCH === "1")
    return [{ name: "the PyTorch of python3", folder: () => pythonTorch(environment) }];
  return [
    { name: "the libtorch of this build", folder: builtWith },
    { name: `the package ${platformPackage}`, folder: installedPackage },
    { name: "the cache", folder: () => existing(cacheDirectory(environment)) },
  ];
}

/**
 * Finds libtorch: `CRITICAL_SHARPNESS_LIBTORCH` or `LIBTORCH`; python3's PyTorch if `LIBTORCH_USE_PYTORCH=1`; the tree that
 * a source checkout was built with; the npm platform package; the cache.
 *
 * @throws CriticalSharpnessError `ERR_LIBTORCH_NOT_FOUND` naming the places and the remedy.
 */
export function locateLibtorch({
  headers = false,
  environment = process.env,
}: LocateOptions = {}): LibtorchTree {
  const looked: string[] = [];
  for (const { name, folder } of places(environment)) {
    const found = folder();
    if (!found) {
      looked.push(name);
      continue;
    }
    try {
      return inspectTree(found, name, { headers });
    } catch (error) {
      // The platform package has libraries only: it is not what a build looks for.
      if (!headers || name !== `the package ${platformPackage}`) throw error;
      looked.push(name);
    }
  }
  throw libtorchError(
    `Expected libtorch ${libtorchVersion} but found none in ${looked.join(", ")}. Run \`npm install ${platformPackage}\`, or set CRITICAL_SHARPNESS_LIBTORCH to a libtorch folder, or LIBTORCH_USE_PYTORCH=1 to use python3's PyTorch`,
  );
}

const existing = (folder: string) => (existsSync(folder) ? folder : undefined);

function builtWith(): string | undefined {
  if (!existsSync(buildNote)) return undefined;
  const { root } = JSON.parse(readFileSync(buildNote, "utf8")) as { root: string };
  return existing(root);
}

function installedPackage(): string | undefined {
  try {
    return path.dirname(createRequire(import.meta.url).resolve(`${platformPackage}/package.json`));
  } catch {
    return undefined;
  }
}

function pythonTorch(environment: NodeJS.ProcessEnv): string {
  const python = environment.PYTHON || "python3";
  // find_spec, not import: importing PyTorch takes seconds and its own dependencies.
  const script =
    'import importlib.util as u; s = u.find_spec("torch"); print(list(s.submodule_search_locations)[0] if s else "")';
  let folder: string;
  try {
    folder = execFileSync(python, ["-c", script], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch (error) {
    throw libtorchError(
      `Expected a Python that runs for LIBTORCH_USE_PYTORCH=1 but received "${python}": ${(error as Error).message.split("\n")[0]}. Set PYTHON to one`,
    );
  }
  if (!folder)
    throw libtorchError(
      `Expected a PyTorch for LIBTORCH_USE_PYTORCH=1 but "${python}" has none. Run \`${python} -m pip install torch==${libtorchVersion}\``,
    );
  return folder;
}
