// `npm run pack:all -- DIR [--main-only]`: the packages of this platform as tarballs in DIR, with their sizes and digests in
// DIR/packages.json. Fails where one is larger than it may be, has an install script or needs a newer system than promised.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { stageLibtorch } from "./packages/libtorch-package.mjs";
import { stageMain } from "./packages/main-package.mjs";
import { packFolder } from "./packages/pack-folder.mjs";
import { root, run, stop } from "./run.mjs";

/** Bytes that a tarball may have. */
const limits = { main: 5e6, libtorch: 115e6 };

const [directory, option] = process.argv.slice(2);
if (!directory || (option && option !== "--main-only")) stop("Usage: npm run pack:all -- DIR [--main-only]");

run("npm", ["run", "--silent", "build:ts"]);
const { platformOf } = await import("../dist/torch/libtorch.js");
const platform = platformOf();
if (!platform)
  stop(`Expected a platform of lib/torch/libtorch.ts but received ${process.platform}-${process.arch}`);
run("npm", ["run", "--silent", "package:native"]);

const out = path.resolve(directory);
mkdirSync(out, { recursive: true });
const work = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-pack-"));
process.once("exit", () => rmSync(work, { recursive: true, force: true }));
const packages = [packFolder(stageMain(path.join(work, "main")), out, limits.main)];
if (!option)
  packages.push(packFolder(await stageLibtorch(path.join(work, "libtorch"), platform), out, limits.libtorch));

const git = (...args) => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
const source = existsSync(path.join(root, ".git"))
  ? { commit: git("rev-parse", "HEAD"), clean: git("status", "--porcelain") === "" }
  : {};
const madeWith = { node: process.versions.node, wheel: platform.wheel };
writeFileSync(
  path.join(out, "packages.json"),
  `${JSON.stringify({ source, madeWith, packages }, null, 2)}\n`,
);
for (const { name, version, file, bytes, unpackedBytes, limit } of packages)
  console.log(
    `${name}@${version}: ${file}, ${megabytes(bytes)} MB packed (limit ${megabytes(limit)}), ${megabytes(unpackedBytes)} MB unpacked`,
  );
const tooLarge = packages.filter(({ bytes, limit }) => bytes > limit);
if (tooLarge.length > 0)
  stop(`Expected packages within their limits but received ${tooLarge.map(({ file }) => file).join(", ")}`);

function megabytes(bytes) {
  return (bytes / 1e6).toFixed(1);
}
