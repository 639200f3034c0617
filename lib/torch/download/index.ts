import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import {
  type Download,
  inspectTree,
  type LibtorchTree,
  libtorchError,
  libtorchVersion,
  type Platform,
  platformOf,
} from "../libtorch.js";
import { cacheDirectory, cacheRoot } from "../locate-libtorch.js";
import { digestOf, downloadWithPip, lock, otherWays, unpackLibtorch } from "./files.js";

import { type DownloadOptions, downloadTo } from "./resumable.js";

export interface FetchOptions extends DownloadOptions {
  /** "cpu", or a version of CUDA such as "cu130". */
  variant?: string;
  /** Another place that serves the same file. */
  url?: string;
  /** The file's SHA-256, where this package does not know it. */
  sha256?: string;
  /** Told what is being done. */
  log?: (line: string) => void;
}

/**
 * Downloads a libtorch from the official site into the cache directory, which has the whole tree or none: what has arrived
 * when a connection breaks off is kept and gone on with, the SHA-256 is compared, and the unpacked tree is moved into place at
 * once. Nothing is downloaded if it is there.
 *
 * @throws CriticalSharpnessError `ERR_LIBTORCH_NOT_FOUND` saying what failed and what else can be done, `ERR_LOCKED` if
 * another process does the same.
 */
export async function fetchLibtorch({
  variant = "cpu",
  ...options
}: FetchOptions = {}): Promise<LibtorchTree> {
  const { environment, log = console.log, url, sha256 } = options;
  const source = { ...sourceOf(variant, sha256), ...(url ? { url } : {}) };
  return install(variant, environment, log, async (root) => {
    log(`Fetching ${source.url}`);
    // By its digest: what is there of it is of this file.
    const file = path.join(root, `${source.sha256.slice(0, 16)}.part`);
    await downloadTo(file, source.url, source.sha256, options);
    return file;
  });
}

/** The same for a source checkout's build, by way of pip. */
export async function fetchLibtorchWithPip({
  environment = process.env,
  log = console.log,
}: FetchOptions = {}): Promise<LibtorchTree> {
  const platform = thisPlatform();
  return install("cpu", environment, log, async (root, work) => {
    log(`Fetching libtorch ${libtorchVersion} (190 MB) into ${root}`);
    const file = downloadWithPip(work, platform, environment);
    const digest = await digestOf(file);
    if (digest !== platform.wheel.sha256)
      throw libtorchError(
        `Expected SHA-256 ${platform.wheel.sha256} for ${path.basename(file)} but received ${digest}: the package index serves another file. ${otherWays}`,
      );
    return file;
  });
}

function thisPlatform(): Platform {
  const platform = platformOf();
  if (platform) return platform;
  throw libtorchError(
    `Expected a platform that PyTorch builds libtorch for but received ${process.platform}-${process.arch}. ${otherWays}`,
  );
}

function sourceOf(variant: string, sha256: string | undefined): Download {
  if (variant === "cpu") {
    const { wheel } = thisPlatform();
    if (sha256 === undefined || sha256 === wheel.sha256) return wheel;
    throw libtorchError(
      `Expected no --sha256 for cpu but ${wheel.sha256}, which this release was tested with`,
    );
  }
  const url = `https://download.pytorch.org/libtorch/${variant}/libtorch-shared-with-deps-${libtorchVersion}%2B${variant}.zip`;
  if (sha256) return { url, sha256 };
  throw libtorchError(
    `Expected the SHA-256 of ${url} but this release knows none for ${variant}. Give it with --sha256, or use PyTorch's own installation: \`python3 -m pip install torch==${libtorchVersion}\` and LIBTORCH_USE_PYTORCH=1`,
  );
}

/** Gets an archive, and moves what is in it into the cache. */
async function install(
  variant: string,
  environment: NodeJS.ProcessEnv = process.env,
  log: (line: string) => void,
  download: (root: string, work: string) => Promise<string>,
): Promise<LibtorchTree> {
  const target = cacheDirectory(environment, variant);
  const remedy = `Run \`rm -r "${target}"\` and fetch it again`;
  const inspect = () => inspectTree(target, `the cache "${target}"`, { headers: true, remedy });
  if (existsSync(target)) return inspect();
  const root = cacheRoot(environment);
  mkdirSync(root, { recursive: true });
  using _ = lock(path.join(root, `${path.basename(target)}.lock`));
  // Beside the target: a rename within one file system is atomic.
  const work = mkdtempSync(path.join(root, "fetch-"));
  const forget = () => rmSync(work, { recursive: true, force: true });
  process.once("exit", forget);
  try {
    const archive = await download(root, work);
    log("Unpacking");
    const unpacked = path.join(work, "unpacked");
    await unpack(archive, unpacked);
    renameSync(unpacked, target);
    rmSync(archive, { force: true });
  } finally {
    forget();
    process.off("exit", forget);
  }
  return inspect();
}

async function unpack(archive: string, folder: string): Promise<void> {
  try {
    await unpackLibtorch(archive, folder);
  } catch (error) {
    throw libtorchError(
      `Expected to unpack ${path.basename(archive)} into "${folder}" but received: ${(error as Error).message}. It needs 800 MB of space`,
      error,
    );
  }
}
