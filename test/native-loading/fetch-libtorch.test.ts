import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { lock, placeOf } from "../../lib/torch/download/files.js";
import { fetchLibtorch } from "../../lib/torch/download/index.js";
import { platformOf } from "../../lib/torch/libtorch.js";
import { cacheDirectory, cacheRoot } from "../../lib/torch/locate-libtorch.js";
import { serve, sha256, status, whole } from "./servers.js";
import { bare, failure } from "./support.js";
import { wheelLike } from "./zip.js";

describe("fetching libtorch", () => {
  const { wheel } = platformOf() ?? {};
  const quiet = { log: () => {}, patience: 1, attempts: 2 };

  it("an archive whose digest is given: unpacked into the cache at once, the archive gone", async () => {
    const archive = wheelLike({
      "libtorch/lib/libtorch_cpu.so": "torch",
      "libtorch/lib/libc10.so": "c10",
      "libtorch/lib/libtorch_cuda.so": "cuda",
      "libtorch/include/ATen/core/Tensor.h": "header",
      "libtorch/build-version": "2.13.0+cu130\n",
      "libtorch/share/cmake/Torch/TorchConfig.cmake": "",
    });
    const { url, asked } = await serve(whole(archive));
    const environment = bare();
    const fetch = () =>
      fetchLibtorch({ ...quiet, environment, variant: "cu130", url, sha256: sha256(archive) });
    const tree = await fetch();
    const root = cacheDirectory(environment, "cu130");
    expect(tree).toMatchObject({ root, version: "2.13.0", cuda: true });
    expect(readdirSync(root).sort()).toEqual(["build-version", "include", "lib"]);
    expect(readdirSync(cacheRoot(environment))).toEqual([path.basename(root)]);
    await fetch();
    expect(asked).toHaveLength(1);
  });

  it("an archive that is damaged or none: nothing is left in its place", async () => {
    const environment = bare();
    for (const archive of [
      Buffer.from("no archive at all"),
      wheelLike({ "torch/lib/a": "a" }).subarray(30),
    ]) {
      const { url } = await serve(whole(archive));
      const { message } = await failure(() =>
        fetchLibtorch({ ...quiet, environment, variant: "cu130", url, sha256: sha256(archive) }),
      );
      expect(message).toMatch(/^Expected to unpack .*\.part into ".*" but received: .*800 MB of space$/);
      expect(existsSync(cacheDirectory(environment, "cu130"))).toBe(false);
    }
  });

  it("names that lead out of the folder are refused", async () => {
    const environment = bare();
    const archive = wheelLike({ "torch/lib/../../../outside": "a" });
    const { url } = await serve(whole(archive));
    const fetch = () =>
      fetchLibtorch({ ...quiet, environment, variant: "cu130", url, sha256: sha256(archive) });
    expect((await failure(fetch)).message).toContain("invalid relative path");
  });

  it.runIf(wheel)("another file than PyTorch's wheel is refused; no digest, no download", async () => {
    const { url, asked } = await serve(whole());
    const environment = bare();
    const other = await failure(() => fetchLibtorch({ ...quiet, environment, url }));
    expect(other.message).toContain(`Expected SHA-256 ${wheel?.sha256} for ${url} but received`);
    const unknown = await failure(() => fetchLibtorch({ ...quiet, environment, variant: "cu130", url }));
    expect(unknown.message).toContain("this release knows none for cu130. Give it with --sha256");
    const changed = await failure(() =>
      fetchLibtorch({ ...quiet, environment, url, sha256: "0".repeat(64) }),
    );
    expect(changed.message).toContain("Expected no --sha256 for cpu");
    expect(asked).toHaveLength(1);
  });

  it("one process at a time; what an ended process locked is free", async () => {
    const environment = bare();
    const root = cacheRoot(environment);
    const file = path.join(root, `${path.basename(cacheDirectory(environment))}.lock`);
    mkdirSync(root);
    {
      using _ = lock(file);
      const { code, message } = await failure(() =>
        fetchLibtorch({ ...quiet, environment, url: "http://x/" }),
      );
      expect(code).toBe("ERR_LOCKED");
      expect(message).toContain(`process ${process.pid} does so too`);
    }
    expect(existsSync(file)).toBe(false);
    const child = spawn(process.execPath, ["-e", ""]);
    await new Promise((resolve) => child.on("exit", resolve));
    writeFileSync(file, `${child.pid}`);
    using _ = lock(file);
    expect(readFileSync(file, "utf8")).toBe(`${process.pid}`);
  });

  it("takes of a wheel what a libtorch is", () => {
    expect(placeOf("torch/lib/libc10.so")).toBe("lib/libc10.so");
    expect(placeOf("torch/version.py")).toBe("version.py");
    expect(placeOf("torch-2.13.0+cpu.dist-info/licenses/LICENSE")).toBe("licenses/LICENSE");
    for (const name of ["torch/nn/functional.py", "torch/lib/", "functorch/lib/a.so", "libtorch/share/a"])
      expect(placeOf(name)).toBeUndefined();
  });

  it("is a command: one message and exit code 1", async () => {
    const { url } = await serve(status(404));
    const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
    const environment = bare({ NO_PROXY: "127.0.0.1" });
    const child = spawn(process.execPath, [main, "fetch-libtorch", "--url", url, "--json"], {
      env: environment,
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (text) => (stdout += text));
    child.stderr.on("data", (text) => (stderr += text));
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(1);
    expect(stdout).toBe("");
    expect(stderr).toBe(
      `Fetching ${url}\nerror: Expected to download ${url} but received: HTTP status 404. Behind a proxy set HTTPS_PROXY\n`,
    );
    expect(readdirSync(cacheRoot(environment))).toEqual([]);
  });
});
