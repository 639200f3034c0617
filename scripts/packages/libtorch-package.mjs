import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { libtorchForBuild } from "../libtorch.mjs";
import { root, run, stop } from "../run.mjs";
import { notices } from "./notices.mjs";

const { libtorchPackageVersion, libtorchVersion } = await import("../../dist/torch/libtorch.js");
const { digestOf } = await import("../../dist/torch/download/index.js");

/**
 * Puts a platform's package with libtorch together in a folder: the libraries that an addon needs, without the symbols that
 * only a debugger needs, and the licences. Each library is compared with the SHA-256 that it has in PyTorch's wheel.
 */
export async function stageLibtorch(folder, platform) {
  const tree = await libtorchForBuild();
  if (tree.version !== libtorchVersion)
    stop(`Expected libtorch ${libtorchVersion} to pack but received ${tree.version} from ${tree.source}`);
  const lib = path.join(folder, "lib");
  mkdirSync(lib, { recursive: true });
  for (const [name, digest] of Object.entries(platform.libraries)) {
    const from = path.join(tree.libraryDirectory, name);
    if (!existsSync(from)) stop(`Expected ${name} in "${tree.libraryDirectory}" but there is none`);
    await checkDigest(from, name, digest);
    const to = path.join(lib, name);
    cpSync(from, to, { dereference: true });
    checkNeeded(to, tree.libraryDirectory, platform);
    if (platform.os === "linux") run("strip", ["--strip-unneeded", to]);
  }
  cpSync(licencesOf(tree), path.join(folder, "licenses"), { recursive: true });
  cpSync(path.join(folder, "licenses/LICENSE"), path.join(folder, "LICENSE"));
  writeFileSync(path.join(folder, "NOTICES.md"), notices(platform, libtorchVersion));
  writeFileSync(path.join(folder, "README.md"), readme(platform));
  writeFileSync(
    path.join(folder, "package.json"),
    `${JSON.stringify(libtorchManifest(platform), null, 2)}\n`,
  );
  return folder;
}

async function checkDigest(file, name, expected) {
  const digest = await digestOf(file);
  if (digest === expected) return;
  stop(
    expected
      ? `Expected SHA-256 ${expected} for ${name} but received ${digest}: "${file}" is not of PyTorch's wheel`
      : `Expected a SHA-256 for ${name} in lib/torch/libtorch.ts: it is ${digest} in the wheel; enter it there`,
  );
}

/** Ends the script if a library needs another one of the wheel that is not packed. */
function checkNeeded(file, libraryDirectory, { os, libraries }) {
  const said =
    os === "darwin"
      ? execFileSync("otool", ["-L", file], { encoding: "utf8" }).matchAll(/^\s+@\S*\/(\S+)/gm)
      : execFileSync("objdump", ["-p", file], { encoding: "utf8" }).matchAll(/^ +NEEDED +(\S+)/gm);
  const inWheel = new Set(readdirSync(libraryDirectory));
  for (const [, name] of said)
    if (inWheel.has(name) && !(name in libraries))
      stop(`Expected ${name} among the libraries of lib/torch/libtorch.ts: ${path.basename(file)} needs it`);
}

/** They lie in a fetched libtorch, and beside Python's. */
function licencesOf({ root: folder }) {
  const beside = path.dirname(folder);
  const wheels = readdirSync(beside).filter((name) => /^torch-.*\.dist-info$/.test(name));
  const places = [
    path.join(folder, "licenses"),
    ...wheels.map((name) => path.join(beside, name, "licenses")),
  ];
  return (
    places.find((place) => existsSync(path.join(place, "LICENSE"))) ??
    stop(
      `Expected PyTorch's licences in or beside "${folder}" but found none. Run \`rm -r "${folder}"\` and \`npm run build\` to fetch it again`,
    )
  );
}

/** The package.json of a platform's package. */
export function libtorchManifest({ package: name, os, cpu, libc }) {
  const own = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
  return {
    name,
    version: libtorchPackageVersion,
    description: `The CPU libraries of libtorch ${libtorchVersion} for ${os}-${cpu}, for critical-sharpness.`,
    license: "SEE LICENSE IN NOTICES.md",
    ...(own.repository ? { repository: own.repository } : {}),
    os: [os],
    cpu: [cpu],
    ...(libc ? { libc: [libc] } : {}),
    files: ["lib", "licenses", "NOTICES.md"],
    libtorch: libtorchVersion,
    // Yarn's Plug'n'Play would keep the libraries in a zip archive.
    preferUnplugged: true,
  };
}

const readme = ({ package: name, os, cpu }) => `# ${name}

The libraries of PyTorch's libtorch ${libtorchVersion} (CPU, ${os}-${cpu}) that critical-sharpness needs to run, taken from
PyTorch's own wheel without the symbols that only a debugger needs. It is installed with critical-sharpness by itself.
`;
