import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { libtorchVersion } from "./libtorch-tree.js";

/** The folder of package.json, as seen from lib/native/ and from dist/native/. */
export const packageRoot = path.join(path.dirname(fileURLToPath(import.meta.url)), "../..");

/** The npm package that brings libtorch's libraries for this platform. */
export const platformPackage = `@critical-sharpness/libtorch-${process.platform}-${process.arch}`;

/** Where a downloaded libtorch is kept. */
export function cacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const base = environment.XDG_CACHE_HOME || path.join(os.homedir(), ".cache");
  return path.join(base, "critical-sharpness", `libtorch-${libtorchVersion}-cpu`);
}
