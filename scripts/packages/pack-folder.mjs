import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { stop } from "../run.mjs";

/** Packs a folder that holds what is published; what npm says of the tarball. */
export function packFolder(folder, out, limit) {
  const { name, scripts = {} } = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8"));
  const hooks = Object.keys(scripts).filter((script) => /^(pre|post)?(install|prepare)$/.test(script));
  if (hooks.length > 0) stop(`Expected no install script in ${name} but received ${hooks.join(", ")}`);
  const said = execFileSync("npm", ["pack", "--json", "--ignore-scripts", `--pack-destination=${out}`], {
    cwd: folder,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 1 << 26,
  });
  const [{ version, filename, size, unpackedSize, shasum, integrity, files }] = JSON.parse(said);
  return {
    name,
    version,
    file: filename,
    bytes: size,
    limit,
    unpackedBytes: unpackedSize,
    files: files.length,
    shasum,
    integrity,
  };
}
