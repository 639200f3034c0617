import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, describe, expect, it } from "vitest";
import { libtorchVersion, type Platform, platforms } from "../../lib/torch/libtorch.js";

const root = path.join(import.meta.dirname, "../..");
const read = (file: string) => JSON.parse(readFileSync(path.join(root, file), "utf8"));
const script = async <T>(name: string) =>
  (await import(new URL(`../../scripts/packages/${name}.mjs`, import.meta.url).href)) as T;

type Manifest = Record<string, unknown> & { name: string; files: string[] };
const { publishedManifest } = await script<{ publishedManifest(): Manifest }>("main-package");
const { libtorchManifest } = await script<{ libtorchManifest(platform: Platform): Manifest }>(
  "libtorch-package",
);
const { notices } = await script<{ notices(platform: Platform, version: string): string }>("notices");

describe("the manifests", () => {
  it("main: exact optional dependencies, no script, no build by npm", () => {
    const { optionalDependencies, gypfile, scripts, devDependencies } = publishedManifest();
    expect(optionalDependencies).toEqual({ "@critical-sharpness/libtorch-linux-x64-gnu": libtorchVersion });
    expect([gypfile, scripts, devDependencies]).toEqual([false, undefined, undefined]);
  });

  it("a clean clone installs without them: npm ci asks for nothing that is not published", () => {
    expect(read("package.json").optionalDependencies).toBeUndefined();
    expect(JSON.stringify(read("package-lock.json"))).not.toMatch(/"resolved"|libtorch/);
  });

  it("libtorch: each platform's own, from the one table", () => {
    expect(platforms.map((platform) => libtorchManifest(platform))).toMatchObject([
      {
        name: "@critical-sharpness/libtorch-linux-x64-gnu",
        version: libtorchVersion,
        os: ["linux"],
        cpu: ["x64"],
        libc: ["glibc"],
      },
      {
        name: "@critical-sharpness/libtorch-linux-arm64-gnu",
        os: ["linux"],
        cpu: ["arm64"],
        libc: ["glibc"],
      },
      { name: "@critical-sharpness/libtorch-darwin-arm64", os: ["darwin"], cpu: ["arm64"] },
    ]);
    for (const platform of platforms) {
      const manifest = libtorchManifest(platform);
      expect(manifest.scripts).toBeUndefined();
      expect(manifest.libtorch).toBe(libtorchVersion); // where a tree's version is read
      expect(platform.wheel.url).toMatch(
        new RegExp(`/torch-2\\.13\\.0(%2Bcpu)?-cp311-cp311-${platform.wheel.pipPlatform}\\.whl$`),
      );
      expect(notices(platform, libtorchVersion)).toContain(platform.wheel.sha256);
    }
  });
});

it.runIf(process.platform === "linux" && process.arch === "x64")(
  "the addon needs no newer a system than libtorch",
  async () => {
    const { neededVersions } = await script<{ neededVersions(file: string): Record<string, string> }>(
      "addon-floor",
    );
    const { GLIBC, GLIBCXX } = neededVersions(path.join(root, "build/Release/critical_sharpness.node"));
    const { floor } = platforms[0] as Platform;
    const number = (version = "") => version.split(".").reduce((sum, part) => 1000 * sum + Number(part), 0);
    expect(number(GLIBC)).toBeLessThanOrEqual(number(floor?.glibc));
    expect(number(GLIBCXX)).toBeLessThanOrEqual(number(floor?.libstdcxx));
    expect(number(GLIBCXX)).toBeGreaterThan(0);
  },
);

describe("the main package's tarball, without addon", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-published-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const staged = path.join(folder, "package");
  mkdirSync(staged);
  const manifest = publishedManifest();
  for (const name of manifest.files.filter((name) => name !== "prebuilds"))
    cpSync(path.join(root, name), path.join(staged, name), { recursive: true });
  writeFileSync(path.join(staged, "package.json"), JSON.stringify(manifest));
  const pack = () =>
    execFileSync("npm", ["pack", "--silent", "--ignore-scripts", `--pack-destination=${folder}`], {
      cwd: staged,
      encoding: "utf8",
    }).trim();

  it("has the file that a message of watch-probes names", () => {
    const [name = ""] =
      /examples\/\S+\.py/.exec(readFileSync(path.join(root, "lib/experiments/probes/probes.ts"), "utf8")) ??
      [];
    expect(readFileSync(path.join(staged, name), "utf8")).toContain("def probe(");
  });

  it("has nothing that publint would tell about", async () => {
    const { messages, pkg } = await publint({ pkgDir: staged, strict: true });
    // The addon's folder is what this tarball is made without.
    const said = messages.map((message) => formatMessage(message, pkg, { color: false }));
    expect(said).toEqual([]);
  });

  it("has types that every way of resolving finds; it is ESM, which require() takes too", () => {
    const { status, stdout } = spawnSync(
      path.join(root, "node_modules/.bin/attw"),
      [path.join(folder, pack()), "--ignore-rules", "cjs-resolves-to-esm", "--no-color"],
      { encoding: "utf8" },
    );
    expect(status, stdout).toBe(0);
  });
});
