import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { libtorchVersion } from "../../lib/torch/libtorch.js";
import { cacheDirectory, locateLibtorch, platformPackage } from "../../lib/torch/locate-libtorch.js";
import { bare, command, failure, folder, note, tree } from "./support.js";

const locate = (variables: Record<string, string>, noteFile = note()) =>
  locateLibtorch({ environment: bare(variables), noteFile });

describe("the order of places", () => {
  it("takes a folder that CRITICAL_SHARPNESS_LIBTORCH names before everything else", () => {
    const first = tree(libtorchVersion);
    const found = locate(
      { CRITICAL_SHARPNESS_LIBTORCH: first, LIBTORCH: tree(libtorchVersion), LIBTORCH_USE_PYTORCH: "1" },
      note({ root: tree(libtorchVersion), version: libtorchVersion }),
    );
    expect(found).toEqual({
      source: "the variable CRITICAL_SHARPNESS_LIBTORCH",
      root: first,
      libraryDirectory: path.join(first, "lib"),
      version: libtorchVersion,
      cuda: false,
      remedy: expect.stringContaining("Set CRITICAL_SHARPNESS_LIBTORCH to the folder"),
    });
  });

  it("takes LIBTORCH, and sees that it is a CUDA build", () => {
    const root = tree(libtorchVersion, { "lib/libtorch_cuda.so": "cuda" });
    expect(locate({ LIBTORCH: root })).toMatchObject({ source: "the variable LIBTORCH", root, cuda: true });
  });

  it("does not look at a variable that is empty", () => {
    const root = tree(libtorchVersion);
    expect(locate({ CRITICAL_SHARPNESS_LIBTORCH: "", LIBTORCH: root }).root).toBe(root);
  });

  it("asks Python for its PyTorch where LIBTORCH_USE_PYTORCH is 1, and only there", () => {
    const root = tree(libtorchVersion);
    const PYTHON = command(`echo '${root}'`);
    expect(locate({ LIBTORCH_USE_PYTORCH: "1", PYTHON }).root).toBe(root);
    const built = tree(libtorchVersion);
    const noteFile = note({ root: built, version: libtorchVersion });
    expect(locate({ LIBTORCH_USE_PYTORCH: "0", PYTHON }, noteFile).root).toBe(built);
  });

  it("takes the tree of the build before the cache, and the cache when that tree is gone", () => {
    const environment = bare();
    const cache = cacheDirectory(environment);
    tree(libtorchVersion, {}, cache);
    const built = tree(libtorchVersion);
    const noteFile = note({ root: built, version: libtorchVersion });
    expect(locateLibtorch({ environment, noteFile }).root).toBe(built);
    rmSync(built, { recursive: true });
    expect(locateLibtorch({ environment, noteFile }).root).toBe(cache);
  });

  it("does without a note that cannot be read", () => {
    const environment = bare();
    tree(libtorchVersion, {}, cacheDirectory(environment));
    for (const content of ["{", "null", "[]", '{"root": 1}'])
      expect(locateLibtorch({ environment, noteFile: note(content) }).root).toBe(cacheDirectory(environment));
  });
});

describe("a folder that is named and cannot be used", () => {
  it.each(["CRITICAL_SHARPNESS_LIBTORCH", "LIBTORCH"])("%s: no such folder", async (variable) => {
    const gone = path.join(folder(), "gone");
    // Another place has one: it is not taken.
    const noteFile = note({ root: tree(libtorchVersion), version: libtorchVersion });
    expect(await failure(() => locate({ [variable]: gone }, noteFile))).toEqual({
      code: "ERR_LIBTORCH_NOT_FOUND",
      message: `Expected a libtorch folder for the variable ${variable} but received "${gone}", which does not exist. Set ${variable} to the folder of a libtorch ${libtorchVersion} that has lib/ and include/, or unset it`,
    });
  });

  it("a file in place of a folder", async () => {
    const { message } = await failure(() => locate({ LIBTORCH: note("{}") }));
    expect(message).toContain("which is no folder");
  });

  it("half unpacked: a library is missing or empty, or the headers are", async () => {
    const root = tree(libtorchVersion, { "lib/libtorch_cpu.so": "" });
    const { message } = await failure(() => locate({ LIBTORCH: root }));
    expect(message).toContain(`received "${root}" without lib/libtorch_cpu.so`);
    rmSync(path.join(root, "lib/libc10.so"));
    expect((await failure(() => locate({ LIBTORCH: root }))).message).toContain("without lib/libc10.so");
    const headless = tree(libtorchVersion);
    rmSync(path.join(headless, "include"), { recursive: true });
    const build = () => locateLibtorch({ purpose: "build", environment: bare({ LIBTORCH: headless }) });
    expect((await failure(build)).message).toContain("without include/ATen/core/Tensor.h");
    expect(locate({ LIBTORCH: headless }).root).toBe(headless);
  });

  it("no version", async () => {
    const root = tree(libtorchVersion, { "version.py": "" });
    const { code, message } = await failure(() => locate({ LIBTORCH: root }));
    expect(code).toBe("ERR_LIBTORCH_NOT_FOUND");
    expect(message).toContain("Expected a libtorch that tells its version");
  });

  it("half unpacked in the cache: the command that removes it", async () => {
    const environment = bare();
    const cache = cacheDirectory(environment);
    mkdirSync(path.join(cache, "lib"), { recursive: true });
    const { message } = await failure(() => locateLibtorch({ environment, noteFile: note() }));
    expect(message).toContain(`without lib/libc10.so. Run \`rm -r "${cache}"\`, then \`npm run build\``);
  });
});

describe("versions", () => {
  it.each([
    ["version.py", "__version__ = '2.13.4+cu130'\n"],
    ["build-version", "2.13.4+cpu\n"],
    ["package.json", '{ "name": "libs", "libtorch": "2.13.4" }'],
    ["include/torch/headeronly/version.h", '#define TORCH_VERSION "2.13.4"\n'],
  ])("reads %s", (file, text) => {
    const root = tree(libtorchVersion);
    rmSync(path.join(root, "version.py"));
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), text);
    expect(locate({ LIBTORCH: root }).version).toBe("2.13.4");
  });

  it.each(["2.12.9", "2.14.0", "3.13.0", "1.13.0"])("to run: %s is refused", async (version) => {
    const root = tree(version);
    expect(await failure(() => locate({ LIBTORCH: root }))).toEqual({
      code: "ERR_LIBTORCH_VERSION",
      message: `Expected libtorch ${libtorchVersion} for the variable LIBTORCH but received ${version} in "${root}": C++ interfaces differ between minor versions. Set LIBTORCH to the folder of a libtorch ${libtorchVersion} that has lib/ and include/, or unset it, or run \`npm run build\` in a source checkout to build against it`,
    });
  });

  it("to run: the version that a source checkout was built against counts", async () => {
    const root = tree("2.14.1");
    const noteFile = note({ root, version: "2.14.1" });
    expect(locate({}, noteFile).version).toBe("2.14.1");
    const { message } = await failure(() => locate({ LIBTORCH: tree(libtorchVersion) }, noteFile));
    expect(message).toContain("Expected libtorch 2.14.1 for the variable LIBTORCH");
  });

  it("to build: from 2.11 up", async () => {
    const build = (version: string) =>
      locateLibtorch({ purpose: "build", environment: bare({ LIBTORCH: tree(version) }) });
    for (const version of ["2.11.0", "2.13.1", "2.20.0"]) expect(build(version).version).toBe(version);
    for (const version of ["2.10.3", "1.13.1", "3.0.0"])
      expect(await failure(() => build(version))).toMatchObject({
        code: "ERR_LIBTORCH_VERSION",
        message: expect.stringContaining(`Expected libtorch 2.11 or later for the variable LIBTORCH`),
      });
  });
});

describe("Python's PyTorch", () => {
  it("no Python", async () => {
    const environment = { LIBTORCH_USE_PYTORCH: "1", PYTHON: path.join(folder(), "python9") };
    const { code, message } = await failure(() => locate(environment));
    expect(code).toBe("ERR_LIBTORCH_NOT_FOUND");
    expect(message).toContain(
      `Expected a Python that runs for LIBTORCH_USE_PYTORCH=1 but "${environment.PYTHON}" says:`,
    );
    expect(message).toContain("Set PYTHON to the python3 whose PyTorch to use");
  });

  it("a Python that fails: its last line", async () => {
    const PYTHON = command("echo noise >&2; echo 'SyntaxError: too old' >&2; exit 1");
    const { message } = await failure(() => locate({ LIBTORCH_USE_PYTORCH: "1", PYTHON }));
    expect(message).toContain("says: SyntaxError: too old. ");
  });

  it("no PyTorch: the command that installs it", async () => {
    const PYTHON = command("echo");
    expect(await failure(() => locate({ LIBTORCH_USE_PYTORCH: "1", PYTHON }))).toEqual({
      code: "ERR_LIBTORCH_NOT_FOUND",
      message: `Expected PyTorch for LIBTORCH_USE_PYTORCH=1 but "${PYTHON}" has none. Run \`${PYTHON} -m pip install torch==${libtorchVersion}\`, or set PYTHON to the python3 that has it`,
    });
  });
});

it("nothing anywhere: the places and every remedy in one line", async () => {
  const { code, message } = await failure(() => locate({}));
  expect(code).toBe("ERR_LIBTORCH_NOT_FOUND");
  expect(message).toMatch(
    /^Expected libtorch 2\.13\.0 but found none in the libtorch of this build, the package .*, the cache "/,
  );
  for (const remedy of [
    `npm install ${platformPackage}@`,
    "npm run build",
    "CRITICAL_SHARPNESS_LIBTORCH",
    "LIBTORCH_USE_PYTORCH=1",
  ])
    expect(message).toContain(remedy);
  expect(message).not.toContain("\n");
});
