import { realpathSync } from "node:fs";
import path from "node:path";
import { CriticalSharpnessError } from "../errors.js";
import { compatible, type LibtorchTree, libraryName, readVersion } from "./libtorch-tree.js";

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
