// What the CUDA variant needs beside a CUDA build of libtorch: nvcc.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

/** The version of CUDA that a libtorch was built for, "13.0"; undefined where it does not say, or is a CPU build. */
export function cudaOf(libtorch) {
  const read = (file, pattern) => {
    const full = path.join(libtorch.root, file);
    return existsSync(full) ? pattern.exec(readFileSync(full, "utf8"))?.[1] : undefined;
  };
  const name = read("build-version", /\+cu(\d+)/); // of an official archive: 2.13.0+cu130
  return read("version.py", /^cuda\b.*= '([\d.]+)'/m) ?? name?.replace(/(\d)$/, ".$1");
}

/** What `nvcc --version` says: { release: "13.0" }; undefined if it does not run. */
function releaseOf(nvcc) {
  const { status, stdout } = spawnSync(nvcc, ["--version"], { encoding: "utf8" });
  return status === 0 ? /release ([\d.]+)/.exec(stdout)?.[1] : undefined;
}

/**
 * nvcc for a CUDA libtorch: of the variable CUDACXX or CUDA_HOME; beside libtorch, where pip's nvidia-cuda-nvcc has it; on the
 * PATH; in /usr/local/cuda. The first that runs and is of libtorch's major version of CUDA.
 *
 * @returns {{ nvcc: string } | { problem: string }}
 */
export function findNvcc(libtorch) {
  const { CUDACXX, CUDA_HOME, CUDA_PATH, PATH = "" } = process.env;
  const wanted = cudaOf(libtorch);
  const major = wanted?.split(".")[0];
  const folders = [
    ...[CUDA_HOME, CUDA_PATH].filter(Boolean).map((home) => path.join(home, "bin")),
    path.join(libtorch.root, `../nvidia/cu${major}/bin`),
    ...PATH.split(path.delimiter),
    "/usr/local/cuda/bin",
  ];
  const files = [...(CUDACXX ? [CUDACXX] : []), ...folders.map((folder) => path.join(folder, "nvcc"))];
  const seen = [];
  for (const nvcc of files.filter((file) => existsSync(file))) {
    const release = releaseOf(nvcc);
    if (release !== undefined && (major === undefined || release.split(".")[0] === major)) return { nvcc };
    seen.push(`${nvcc} ${release === undefined ? "does not run" : `of CUDA ${release}`}`);
  }
  return {
    problem: `Expected nvcc of CUDA ${wanted ?? "(the version of libtorch)"} but received ${seen.join(", ") || "none"}. Install NVIDIA's toolkit, or run \`python3 -m pip install "nvidia-cuda-nvcc==${wanted ?? "13.0"}.*" "nvidia-cuda-crt==${wanted ?? "13.0"}.*" "nvidia-nvvm==${wanted ?? "13.0"}.*" "nvidia-cuda-cccl==${wanted ?? "13.0"}.*"\` beside PyTorch, or set CUDA_HOME`,
  };
}

/**
 * Whether the CUDA variant is to be built, and with what: `--cuda` demands it, `--no-cuda` leaves it out; else it is built if
 * libtorch is a CUDA build and nvcc is there.
 *
 * @returns {{ nvcc?: string, note?: string, problem?: string }}
 */
export function cudaVariant(choice, libtorch) {
  if (choice === "--no-cuda") return {};
  if (!libtorch.cuda)
    return choice === "--cuda"
      ? {
          problem: `Expected a CUDA build of libtorch for --cuda but received a CPU build, ${libtorch.source}: "${libtorch.root}". Set LIBTORCH_USE_PYTORCH=1 (and PYTHON) for a PyTorch with CUDA, or CRITICAL_SHARPNESS_LIBTORCH`,
        }
      : {};
  const found = findNvcc(libtorch);
  if ("nvcc" in found) return found;
  if (choice === "--cuda") return found;
  return { note: `without CUDA, though libtorch has it: ${found.problem}` };
}
