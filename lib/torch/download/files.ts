import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  createReadStream,
  createWriteStream,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { openPromise } from "yauzl";
import { CriticalSharpnessError } from "../../errors.js";
import { isRunning } from "../host.js";
import { libtorchError, libtorchVersion, type Platform } from "../libtorch.js";
import { lastLine, pythonCommand } from "../python.js";

/** What ends the messages of downloads that fail. */
export const otherWays = `Set CRITICAL_SHARPNESS_LIBTORCH to the folder of a libtorch ${libtorchVersion}, or LIBTORCH_USE_PYTORCH=1 to use python3's PyTorch`;

/** A file's SHA-256 in hexadecimal digits. */
export async function digestOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

/**
 * Unpacks the libtorch in one of PyTorch's wheels or in the official archive, both zip files: the libraries, the headers,
 * the version, and the licences.
 *
 * @param folder where to; it is made
 * @throws Error if the archive is damaged, has names that lead out of it, or the disk is full.
 */
export async function unpackLibtorch(archive: string, folder: string): Promise<void> {
  const zip = await openPromise(archive, { strictFileNames: true });
  const made = new Set<string>();
  for await (const entry of zip.eachEntry()) {
    const place = placeOf(entry.fileName);
    if (place === undefined) continue;
    const file = path.join(folder, place);
    const directory = path.dirname(file);
    if (!made.has(directory)) await mkdir(directory, { recursive: true });
    made.add(directory);
    await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(file));
  }
}

/** Where in a libtorch a file of an archive belongs; undefined: nowhere. */
export function placeOf(name: string): string | undefined {
  if (name.endsWith("/")) return undefined;
  const [, own] = /^(?:lib)?torch\/((?:lib|include)\/.*|version\.py|build-version)$/.exec(name) ?? [];
  const [, licence] = /^torch-[^/]+\.dist-info\/(licenses\/.*)$/.exec(name) ?? [];
  return own ?? licence;
}

/**
 * Makes a file for as long as this process works on something. One that a process left behind which is no more is taken over.
 *
 * @throws CriticalSharpnessError `ERR_LOCKED` if another process has it.
 */
export function lock(file: string): Disposable {
  for (;;) {
    try {
      writeFileSync(file, `${process.pid}`, { flag: "wx" });
      const release = () => rmSync(file, { force: true });
      process.once("exit", release);
      return {
        [Symbol.dispose]() {
          process.off("exit", release);
          release();
        },
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const owner = ownerOf(file);
    if (owner !== undefined && isRunning(owner))
      throw new CriticalSharpnessError(
        "ERR_LOCKED",
        `Expected to be the only process that downloads into this cache but process ${owner} does so too. Wait for it, or run \`rm "${file}"\` if that is another program`,
      );
    rmSync(file, { force: true });
  }
}

function ownerOf(file: string): number | undefined {
  try {
    return Number(readFileSync(file, "utf8")) || undefined;
  } catch {
    return undefined; // released meanwhile
  }
}

/** PyTorch's own package index: it has the CPU build, PyPI only the one for CUDA. */
const cpuIndex = "https://download.pytorch.org/whl/cpu";
const minutes = 60_000;

/**
 * Downloads a platform's wheel into a folder with Python's pip: some machines reach nothing but the index that pip is
 * configured with. It always takes the same wheel, whatever Python is at hand.
 *
 * @returns the file
 * @throws CriticalSharpnessError `ERR_LIBTORCH_NOT_FOUND` saying what pip said.
 */
export function downloadWithPip(folder: string, { wheel }: Platform, environment: NodeJS.ProcessEnv): string {
  const python = pythonCommand(environment);
  const version = decodeURIComponent(wheel.url.split("/").pop() as string).split("-")[1];
  const wanted = `torch==${version ?? libtorchVersion}`;
  const fixed = [
    "download",
    "--no-deps",
    "--only-binary=:all:",
    `--dest=${folder}`,
    "--python-version=3.11",
    "--implementation=cp",
    "--abi=cp311",
    `--platform=${wheel.pipPlatform}`,
  ];
  const pip = (options: string[]) => {
    const { status, stderr, error } = spawnSync(python, ["-m", "pip", ...fixed, ...options, wanted], {
      encoding: "utf8",
      env: environment,
      stdio: ["ignore", "inherit", "pipe"],
      timeout: 30 * minutes,
    });
    return status === 0 ? undefined : lastLine(stderr) || error?.message || "nothing";
  };
  // The configured index first. Where no other can be reached, pip would wait long for one that never answers: few and short
  // tries.
  const failure = pip([]) && pip([`--extra-index-url=${cpuIndex}`, "--timeout=15", "--retries=1"]);
  if (failure) {
    const remedy = /No module named pip|ENOENT/.test(failure)
      ? `On Debian or Ubuntu run \`apt-get install python3-pip\`. Or ${otherWays[0]?.toLowerCase()}${otherWays.slice(1)}`
      : otherWays;
    throw libtorchError(
      `Expected to download ${wanted} with \`${python} -m pip\` but received: ${failure}. ${remedy}`,
    );
  }
  const name = readdirSync(folder).find((entry) => entry.endsWith(".whl"));
  if (!name) throw libtorchError(`Expected a wheel of ${wanted} from pip but received none. ${otherWays}`);
  return path.join(folder, name);
}
