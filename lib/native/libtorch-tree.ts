import { existsSync, readFileSync, realpathSync } from "node:fs";
import path from "node:path";
import { CriticalSharpnessError } from "../errors.js";

/** The libtorch that this package is built and tested with. The one place to change for an upgrade. */
export const libtorchVersion = "2.13.0";
/** SHA-256 of the wheel that `fetchLibtorch` downloads. */
export const wheelDigest = "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b";

/** A folder with libtorch in it. */
export interface LibtorchTree {
  /** Which of the places it was found in. */
  source: string;
  root: string;
  libraryDirectory: string;
  version: string;
  cuda: boolean;
}

export const libraryName = (name: string) => `lib${name}.${process.platform === "darwin" ? "dylib" : "so"}`;

export function libtorchError(message: string): CriticalSharpnessError {
  return new CriticalSharpnessError("ERR_LIBTORCH_NOT_FOUND", message);
}

/**
 * Looks at a folder and says what libtorch it holds.
 *
 * @throws CriticalSharpnessError `ERR_LIBTORCH_NOT_FOUND` saying what is missing in it.
 */
export function inspectTree(folder: string, source: string, { headers = false } = {}): LibtorchTree {
  if (!existsSync(folder))
    throw libtorchError(
      `Expected a libtorch folder for ${source} but received "${folder}", which does not exist`,
    );
  const root = realpathSync(folder);
  const libraryDirectory = path.join(root, "lib");
  const needed = ["c10", "torch_cpu"].map((name) => path.join(libraryDirectory, libraryName(name)));
  if (headers) needed.push(path.join(root, "include/ATen/core/Tensor.h"));
  const missing = needed.find((file) => !existsSync(file));
  if (missing)
    throw libtorchError(
      `Expected a whole libtorch (lib/ with libtorch_cpu and libc10${headers ? ", include/ with the headers" : ""}) for ${source} but received "${folder}" without ${path.relative(root, missing)}`,
    );
  const version = readVersion(root);
  if (!version)
    throw libtorchError(
      `Expected a libtorch that tells its version (build-version, version.py or headers) for ${source} but received "${folder}" without any`,
    );
  return {
    source,
    root,
    libraryDirectory,
    version,
    cuda: existsSync(path.join(libraryDirectory, libraryName("torch_cuda"))),
  };
}

/** "2.13.0", from the npm platform package, a Python wheel, the official archive or the headers. */
function readVersion(root: string): string | undefined {
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

/** Whether an addon built for one version may run on another: same major and minor. C++ classes change between minors. */
export function compatible(built: string, loaded: string): boolean {
  return built.split(".").slice(0, 2).join(".") === loaded.split(".").slice(0, 2).join(".");
}
