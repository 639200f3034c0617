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
import { inspectTree, type LibtorchTree, libtorchError, libtorchVersion } from "./libtorch-tree.js";
import { cacheDirectory } from "./paths.js";
import { lastLine, pythonCommand } from "./python.js";

// PyTorch's CPU build. One wheel for everybody, whatever Python is at hand, so that its digest is always the same.
const wheel = {
  requirement: `torch==${libtorchVersion}+cpu`,
  options: [
    "--python-version=3.11",
    "--implementation=cp",
    "--abi=cp311",
    "--platform=manylinux_2_28_x86_64",
  ],
  sha256: "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",
};
/** PyTorch's own package index: it has the CPU build, PyPI only the one for CUDA. */
const cpuIndex = "https://download.pytorch.org/whl/cpu";

export interface FetchOptions {
  environment?: NodeJS.ProcessEnv;
  /** Told what is being done. */
  log?: (line: string) => void;
}

/**
 * Downloads the libtorch that a source checkout is built with, checks its digest and unpacks it into the cache, which has
 * the whole tree or none.
 *
 * @throws CriticalSharpnessError `ERR_LIBTORCH_NOT_FOUND` saying what failed and what else can be done.
 */
export async function fetchLibtorch({
  environment = process.env,
  log = console.log,
}: FetchOptions = {}): Promise<LibtorchTree> {
  if (process.platform !== "linux" || process.arch !== "x64")
    throw libtorchError(
      `Expected linux-x64 to download a libtorch for but received ${process.platform}-${process.arch}. ${otherWays}`,
    );
  const target = cacheDirectory(environment);
  const parent = path.dirname(target);
  mkdirSync(parent, { recursive: true });
  // Beside the target: a rename within one file system is atomic.
  const work = mkdtempSync(path.join(parent, "fetch-"));
  const forget = () => rmSync(work, { recursive: true, force: true });
  process.once("exit", forget);
  try {
    log(`Fetching libtorch ${libtorchVersion} (190 MB) into ${parent}`);
    const file = download(work, environment);
    await checkDigest(file);
    const unpacked = unpack(file, path.join(work, "unpacked"), environment);
    if (!existsSync(target)) renameSync(unpacked, target);
  } finally {
    forget();
    process.off("exit", forget);
  }
  return inspectTree(target, `the cache "${target}"`, { headers: true });
}

const otherWays = `Set CRITICAL_SHARPNESS_LIBTORCH to the folder of a libtorch ${libtorchVersion}, or LIBTORCH_USE_PYTORCH=1 to use python3's PyTorch`;

/** The wheel, downloaded into a folder. */
function download(folder: string, environment: NodeJS.ProcessEnv): string {
  const python = pythonCommand(environment);
  const fixed = ["download", "--no-deps", "--only-binary=:all:", `--dest=${folder}`, ...wheel.options];
  const pip = (options: string[], timeout: number) => {
    const { status, stderr, error } = spawnSync(
      python,
      ["-m", "pip", ...fixed, ...options, wheel.requirement],
      {
        encoding: "utf8",
        env: environment,
        stdio: ["ignore", "inherit", "pipe"],
        timeout,
      },
    );
    return status === 0 ? undefined : lastLine(stderr) || error?.message || "nothing";
  };
  const minutes = 60_000;
  // The configured index first: some have the CPU build, and on some machines no other can be reached. There pip would wait
  // long for one that never answers, hence few and short tries.
  const failure =
    pip([], 30 * minutes) &&
    pip([`--extra-index-url=${cpuIndex}`, "--timeout=15", "--retries=1"], 30 * minutes);
  if (failure) {
    const remedy = /No module named pip|ENOENT/.test(failure)
      ? "On Debian or Ubuntu run `apt-get install python3-pip`. Or set"
      : "Set";
    throw libtorchError(
      `Expected to download ${wheel.requirement} with \`${python} -m pip\` but received: ${failure}. ${otherWays.replace("Set", remedy)}`,
    );
  }
  const name = readdirSync(folder).find((entry) => entry.endsWith(".whl"));
  if (!name)
    throw libtorchError(`Expected a wheel of ${wheel.requirement} from pip but received none. ${otherWays}`);
  return path.join(folder, name);
}

async function checkDigest(file: string): Promise<void> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  const digest = hash.digest("hex");
  if (digest === wheel.sha256) return;
  throw libtorchError(
    `Expected SHA-256 ${wheel.sha256} for ${path.basename(file)} but received ${digest}: the package index serves another file. ${otherWays}`,
  );
}

/** The folder torch/ of the wheel, which is a zip archive. */
function unpack(file: string, folder: string, environment: NodeJS.ProcessEnv): string {
  const { status, stderr, error } = spawnSync(
    pythonCommand(environment),
    ["-m", "zipfile", "-e", file, folder],
    { encoding: "utf8", env: environment, stdio: ["ignore", "ignore", "pipe"] },
  );
  if (status !== 0)
    throw libtorchError(
      `Expected to unpack ${path.basename(file)} into "${folder}" but received: ${lastLine(stderr) || error?.message}. It needs 800 MB of space`,
    );
  return path.join(folder, "torch");
}
