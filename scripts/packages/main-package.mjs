import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { root, stop } from "../run.mjs";
import { checkFloor } from "./addon-floor.mjs";

/**
 * Puts the main package together in a folder: what package.json's `files` names, and a manifest of its own. That one has the
 * platform packages as optional dependencies. The checkout's has not: they are published after it, and `npm ci` would ask the
 * registry for names that it does not have.
 */
export function stageMain(folder) {
  const manifest = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
  mkdirSync(folder, { recursive: true });
  for (const name of manifest.files) {
    const from = path.join(root, name);
    if (!existsSync(from)) stop(`Expected "${name}" of package.json's files but there is none`);
    cpSync(from, path.join(folder, name), { recursive: true });
  }
  for (const { platform, addon } of addons(folder)) checkFloor(addon, platform);
  const { scripts, devDependencies, ...published } = manifest;
  const file = path.join(folder, "package.json");
  writeFileSync(file, `${JSON.stringify({ ...published, optionalDependencies: optional() }, null, 2)}\n`);
  return folder;
}

const { libtorchVersion, platforms } = await import("../../dist/native/libtorch-release.js");
const released = platforms.filter((platform) => platform.released);

/** In exact versions: an addon works with the libtorch that it was built for. */
function optional() {
  return Object.fromEntries(released.map((platform) => [platform.package, libtorchVersion]));
}

/** The prebuilt addon of every released platform. */
function addons(folder) {
  return released.map((platform) => {
    const prebuilds = path.join(folder, `prebuilds/${platform.os}-${platform.cpu}`);
    const file = existsSync(prebuilds) && readdirSync(prebuilds).find((name) => name.endsWith(".node"));
    if (!file)
      stop(`Expected an addon in "${prebuilds}" but there is none: build it on such a machine and copy it`);
    return { platform, addon: path.join(prebuilds, file) };
  });
}
