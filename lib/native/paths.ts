import { existsSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { libtorchVersion, platformOf } from "./libtorch-release.js";

/** The folder of package.json, as seen from lib/native/ and from dist/native/. */
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
