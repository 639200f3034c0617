import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { inspectTree, type LibtorchTree, libtorchVersion } from "../../lib/torch/libtorch.js";

import { locateLibtorch } from "../../lib/torch/locate-libtorch.js";
import { bare, failure, folder, note, tree } from "./support.js";

interface Variant {
  nvcc?: string;
  note?: string;
  problem?: string;
}
const { cudaOf, cudaVariant } = (await import(
  new URL("../../scripts/cuda-tools.mjs", import.meta.url).href
)) as {
  cudaOf(libtorch: { root: string }): string | undefined;
  cudaVariant(choice: string | undefined, libtorch: LibtorchTree): Variant;
};

/** A folder with a bin/nvcc that says its version. */
function toolkit(release: string, root = folder()): { root: string; nvcc: string } {
  const nvcc = path.join(root, "bin/nvcc");
  mkdirSync(path.dirname(nvcc), { recursive: true });
  writeFileSync(nvcc, `#!/bin/sh\necho "Cuda compilation tools, release ${release}, V${release}.1"\n`);
  chmodSync(nvcc, 0o755);
  return { root, nvcc };
}

const versionFile = (cuda: string) =>
  `__version__ = '${libtorchVersion}+cu${cuda.replace(".", "")}'\ncuda: Optional[str] = '${cuda}'\n`;
const cpu = () => inspectTree(tree(libtorchVersion), "a test");
const cudaTree = (root = folder()) =>
  inspectTree(
    tree(libtorchVersion, { "lib/libtorch_cuda.so": "cuda", "version.py": versionFile("13.0") }, root),
    "a test",
  );

const variables = ["CUDACXX", "CUDA_HOME", "CUDA_PATH", "PATH"];
const before = variables.map((name) => process.env[name]);
beforeEach(() => {
  for (const name of variables) delete process.env[name];
  process.env.PATH = folder();
});
afterEach(() => {
  for (const [i, name] of variables.entries())
    if (before[i] === undefined) delete process.env[name];
    else process.env[name] = before[i];
});

describe("whether a build has CUDA", () => {
  it("follows libtorch and nvcc, or the flag", () => {
    const { root, nvcc } = toolkit("13.0");
    process.env.CUDA_HOME = root;
    expect(cudaVariant(undefined, cudaTree())).toEqual({ nvcc });
    expect(cudaVariant("--cuda", cudaTree())).toEqual({ nvcc });
    expect(cudaVariant("--no-cuda", cudaTree())).toEqual({});
    expect(cudaVariant(undefined, cpu())).toEqual({});
  });

  it("is said where it was asked for and libtorch has none", () => {
    const { problem } = cudaVariant("--cuda", cpu());
    expect(problem).toMatch(/^Expected a CUDA build of libtorch for --cuda but received a CPU build, a test/);
    expect(problem).toContain("LIBTORCH_USE_PYTORCH=1");
  });
});

describe("nvcc", () => {
  it("is found beside PyTorch, where pip puts it", () => {
    const site = folder();
    const { nvcc } = toolkit("13.0", path.join(site, "nvidia/cu13"));
    expect(cudaVariant("--cuda", cudaTree(path.join(site, "torch")))).toEqual({ nvcc });
  });

  it("is of libtorch's major version of CUDA: others are passed over", () => {
    const old = toolkit("12.8");
    const right = toolkit("13.1");
    process.env.CUDACXX = old.nvcc;
    process.env.CUDA_HOME = right.root;
    expect(cudaVariant("--cuda", cudaTree())).toEqual({ nvcc: right.nvcc });
  });

  it("that is missing stops --cuda, and is a note without it", () => {
    const old = toolkit("12.8");
    process.env.CUDACXX = old.nvcc;
    const libtorch = cudaTree();
    // A machine of ours may have a toolkit in /usr/local/cuda.
    const { problem } = cudaVariant("--cuda", {
      ...libtorch,
      root: tree("9.9.9", { "version.py": versionFile("99.0") }),
    });
    expect(problem).toContain(`Expected nvcc of CUDA 99.0 but received ${old.nvcc} of CUDA 12.8`);
    expect(problem).toContain('pip install "nvidia-cuda-nvcc==99.0.*"');
    const { note: said, nvcc } = cudaVariant(undefined, {
      ...libtorch,
      root: tree("9.9.9", { "version.py": versionFile("99.0") }),
    });
    expect(nvcc).toBeUndefined();
    expect(said).toMatch(/^without CUDA, though libtorch has it: Expected nvcc/);
  });

  it("knows what libtorch was built for", () => {
    expect(cudaOf(cudaTree())).toBe("13.0");
    expect(cudaOf({ root: tree(libtorchVersion) })).toBeUndefined();
    const official = tree(libtorchVersion, {
      "version.py": "",
      "build-version": `${libtorchVersion}+cu130\n`,
    });
    expect(cudaOf({ root: official })).toBe("13.0");
  });
});

describe("an addon that was built with CUDA", () => {
  it("is not run on a CPU libtorch, which lacks what it calls", async () => {
    const built = cudaTree();
    const noteFile = note({ root: built.root, version: libtorchVersion, cuda: true });
    expect(locateLibtorch({ environment: bare(), noteFile }).root).toBe(built.root);
    const environment = bare({ CRITICAL_SHARPNESS_LIBTORCH: tree(libtorchVersion) });
    const { code, message } = await failure(() => locateLibtorch({ environment, noteFile }));
    expect(code).toBe("ERR_LIBTORCH_VERSION");
    expect(message).toMatch(
      /^Expected a CUDA build of libtorch for the variable CRITICAL_SHARPNESS_LIBTORCH, since/,
    );
    expect(message).toContain("npm run build -- --no-cuda");
  });
});
