// Downloads the libtorch that a source checkout is built with: PyTorch's CPU wheel, checked by its SHA-256, unpacked into the cache.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { stop } from "./run.mjs";

// One wheel for everybody, whatever Python is at hand, so that its digest is always the same.
const wheelFor = [
  "--python-version",
  "3.11",
  "--implementation",
  "cp",
  "--abi",
  "cp311",
  "--platform",
  "manylinux_2_28_x86_64",
  "--only-binary=:all:",
];
const cpuIndex = "https://download.pytorch.org/whl/cpu";

/** The fetched tree, as `locateLibtorch` gives it. */
export async function fetchLibtorch() {
  const { cacheDirectory } = await import("../dist/native/locate-libtorch.js");
  const { inspectTree, libtorchVersion, wheelDigest } = await import("../dist/native/libtorch-tree.js");
  const target = cacheDirectory();
  const parent = path.dirname(target);
  mkdirSync(parent, { recursive: true });
  const work = mkdtempSync(path.join(parent, "fetch-"));
  try {
    console.log(`fetching libtorch ${libtorchVersion} (190 MB) into ${parent}`);
    const download = (extra, timeout) => {
      const args = [
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        work,
        ...wheelFor,
        ...extra,
        `torch==${libtorchVersion}+cpu`,
      ];
      const { status, stderr, error } = spawnSync("python3", args, { encoding: "utf8", timeout });
      return status === 0
        ? undefined
        : (stderr || error?.message || "pip ended without a word").trim().split("\n").pop();
    };
    // The configured index first: some have the CPU build. PyTorch's own has it for everybody else.
    const failure = download([], 600_000) && download(["--extra-index-url", cpuIndex], 1_800_000);
    if (failure)
      stop(
        `Expected to be able to download libtorch ${libtorchVersion} with python3 -m pip but received: ${failure}. Set CRITICAL_SHARPNESS_LIBTORCH to a libtorch ${libtorchVersion}, or LIBTORCH_USE_PYTORCH=1 to use python3's PyTorch`,
      );
    const wheel = path.join(
      work,
      readdirSync(work).find((name) => name.endsWith(".whl")),
    );
    const hash = createHash("sha256");
    await pipeline(createReadStream(wheel), hash);
    const digest = hash.digest("hex");
    if (digest !== wheelDigest)
      stop(`Expected SHA-256 ${wheelDigest} for ${path.basename(wheel)} but received ${digest}`);
    const unpacked = spawnSync("python3", ["-m", "zipfile", "-e", wheel, path.join(work, "unpacked")], {
      encoding: "utf8",
    });
    if (unpacked.status !== 0)
      stop(`Expected to be able to unpack ${path.basename(wheel)} but received: ${unpacked.stderr}`);
    // A rename on one file system: the cache has the whole tree or none.
    if (!existsSync(target)) renameSync(path.join(work, "unpacked/torch"), target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return inspectTree(target, "the cache", { headers: true });
}
