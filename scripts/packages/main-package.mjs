import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { root, stop } from "../run.mjs";
import { checkFloor } from "./addon-floor.mjs";

const { libtorchPackageVersion, platforms } = await import("../../dist/torch/libtorch.js");
const released = platforms.filter((platform) => platform.released);

/**
 * The manifest of the published main package. It has the platform packages as optional dependencies, in exact versions: an
 * addon works with the libtorch that it was built for. The checkout's has not: `npm ci` would ask the registry for packages
 * that are only published with it.
 */
export function publishedManifest() {
  const { scripts, devDependencies, ...published } = JSON.parse(
    readFileSync(path.join(root, "package.json"), "utf8"),
  );
  const optionalDependencies = Object.fromEntries(
    released.map((platform) => [platform.package, libtorchPackageVersion]),
  );
  return { ...published, optionalDependencies };
}

/** Puts the main package together in a folder: what package.json's `files` names, and the manifest. */
export function stageMain(folder) {
  const manifest = publishedManifest();
  mkdirSync(folder, { recursive: true });
  for (const name of manifest.files) {
    const from = path.join(root, name);
    if (!existsSync(from)) stop(`Expected "${name}" of package.json's files but there is none`);
    cpSync(from, path.join(folder, name), { recursive: true });
  }
  for (const { platform, addon } of addons(folder)) checkFloor(addon, platform);
  writeFileSync(path.join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  return folder;
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
