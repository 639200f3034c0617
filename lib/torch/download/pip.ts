import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import { libtorchVersion, type Platform } from "../libtorch-release.js";
import { libtorchError } from "../libtorch-tree.js";
import { lastLine, pythonCommand } from "../python.js";
import { otherWays } from "./files.js";

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
