import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { hostProblem } from "../../lib/torch/host.js";

import { libtorchVersion, platformOf } from "../../lib/torch/libtorch.js";
import { remedyFor } from "../../lib/torch/load.js";
import { platformPackage } from "../../lib/torch/locate-libtorch.js";
import {
  builtWithCuda,
  compile,
  installed,
  libtorch,
  linkedTree,
  loading,
  moduleIn,
  run,
} from "./installed.js";
import { folder, tree } from "./support.js";

// Each way in which a user's installation can fail, forced in a process of its own, and the whole message read.

const supported = platformOf()?.released === true;
const wanted = { CRITICAL_SHARPNESS_LIBTORCH: libtorch };
/** Node.js says that the C library is another. */
const pretend = (header: object) => [
  "--import",
  `data:text/javascript,process.report.getReport = () => (${JSON.stringify({ header })})`,
];
const docker = 'docker run --rm -it -v "$PWD:/app" -w /app node:22-bookworm-slim bash';

describe.runIf(supported && process.platform === "linux")("an installation that cannot work says why", () => {
  const root = installed();
  const found = (cache: string) =>
    `Expected libtorch ${libtorchVersion} but found none in the package ${platformPackage}, the cache "${cache}"`;
  const ways = `Run \`npm install ${platformPackage}@${libtorchVersion}\` or \`npx critical-sharpness fetch-libtorch\`, or set CRITICAL_SHARPNESS_LIBTORCH to a libtorch folder, or LIBTORCH_USE_PYTORCH=1 to use python3's PyTorch`;
  const XDG_CACHE_HOME = folder();
  const cache = path.join(XDG_CACHE_HOME, `critical-sharpness/libtorch-${libtorchVersion}-cpu`);

  it("the package with libtorch was left out", () => {
    expect(run(loading(root), { XDG_CACHE_HOME })).toMatchObject({
      status: 0,
      stderr: "",
      printed: {
        code: "ERR_LIBTORCH_NOT_FOUND",
        message: `${found(cache)}. The package is an optional dependency, which \`--omit=optional\` and a lockfile from another platform leave out. ${ways}`,
      },
    });
  });

  it("there is another platform's package: a lockfile or node_modules of another machine", () => {
    const other = path.join(root, "node_modules/@critical-sharpness/libtorch-darwin-arm64");
    mkdirSync(other, { recursive: true });
    const { printed } = run(loading(root), { XDG_CACHE_HOME });
    rmSync(path.dirname(other), { recursive: true });
    expect(printed.message).toBe(
      `${found(cache)}. There is @critical-sharpness/libtorch-darwin-arm64: node_modules or its lockfile comes from another platform. ${ways}`,
    );
  });

  it("the package is half unpacked: the folder to remove, since npm takes it for whole", () => {
    const own = path.join(root, "node_modules", platformPackage);
    tree(libtorchVersion, { "lib/libtorch_cpu.so": "" }, own);
    const { printed } = run(loading(root), { XDG_CACHE_HOME });
    rmSync(path.dirname(own), { recursive: true });
    expect(printed).toEqual({
      code: "ERR_LIBTORCH_NOT_FOUND",
      message: `Expected a whole libtorch (lib/ with libtorch_cpu and libc10) for the package ${platformPackage} but received "${own}" without lib/libtorch_cpu.so. Run \`rm -r "${own}"\`, then \`npm install ${platformPackage}@${libtorchVersion}\``,
    });
  });

  it("musl", () => {
    const { printed } = run(loading(root), { XDG_CACHE_HOME }, { flags: pretend({}) });
    expect(printed.message).toBe(
      `${found(cache)}. Expected linux-x64 with glibc 2.28 or later but received another C library (musl, as in Alpine Linux), which libtorch is not built for. Run Node.js on a newer or another system, as with \`${docker}\``,
    );
  });

  it("glibc is too old: when libtorch is not there, and when it does not load", () => {
    const old = { flags: pretend({ glibcVersionRuntime: "2.17" }) };
    const said = `Expected linux-x64 with glibc 2.28 or later but received glibc 2.17. Run Node.js on a newer or another system, as with \`${docker}\``;
    expect(run(loading(root), { XDG_CACHE_HOME }, old).printed.message).toBe(`${found(cache)}. ${said}`);
    const lib = path.join(linkedTree(), "lib/libc10.so");
    rmSync(lib);
    compile(lib, 'extern "C" void nowhere(); void f() { nowhere(); }');
    const { printed } = run(
      loading(root),
      { CRITICAL_SHARPNESS_LIBTORCH: path.dirname(path.dirname(lib)) },
      old,
    );
    expect(printed.code).toBe("ERR_LIBTORCH_LOAD");
    expect(printed.message).toMatch(
      /libc10\.so" but the system says: .*undefined symbol: nowhere\. Expected linux/,
    );
    expect(printed.message).toContain(said);
  });

  it("another version", () => {
    const other = tree("2.14.1");
    expect(run(loading(root), { CRITICAL_SHARPNESS_LIBTORCH: other }).printed).toEqual({
      code: "ERR_LIBTORCH_VERSION",
      message: `Expected libtorch ${libtorchVersion} for the variable CRITICAL_SHARPNESS_LIBTORCH but received 2.14.1 in "${other}": C++ interfaces differ between minor versions. Set CRITICAL_SHARPNESS_LIBTORCH to the folder of a libtorch ${libtorchVersion} that has lib/ and include/, or unset it`,
    });
  });

  const remedy = `Set CRITICAL_SHARPNESS_LIBTORCH to the folder of a libtorch ${libtorchVersion} that has lib/ and include/, or unset it`;
  const whole = (lib: string) =>
    `Expected a whole library for the variable CRITICAL_SHARPNESS_LIBTORCH but received "${lib}"`;
  const header = readFileSync(path.join(libtorch, "lib/libc10.so"));
  const arm = Buffer.from(header);
  arm.writeUInt16LE(183, 18);
  // Of its table of sections, which not every tool leaves at the very end.
  const end = Number(header.readBigUInt64LE(40)) + header.readUInt16LE(58) * header.readUInt16LE(60);
  it.each([
    ["ends early", header.subarray(0, 100_000), `it ends after 100000 of ${end} bytes`],
    ["is for another processor", arm, "it is for arm64, not x64"],
    ["is none", Buffer.from("version https://git-lfs.github.com/spec/v1\n"), "it is no shared library"],
  ])("a library %s", (_, bytes, problem) => {
    const lib = path.join(linkedTree(), "lib/libc10.so");
    rmSync(lib);
    writeFileSync(lib, bytes);
    const { status, printed } = run(loading(root), {
      CRITICAL_SHARPNESS_LIBTORCH: path.dirname(path.dirname(lib)),
    });
    expect(status).toBe(0);
    expect(printed).toEqual({ code: "ERR_LIBTORCH_LOAD", message: `${whole(lib)}: ${problem}. ${remedy}` });
  });

  it("a file that this user may not read", () => {
    const other = tree(libtorchVersion);
    const lib = path.join(other, "lib/libc10.so");
    chmodSync(lib, 0);
    // Whoever may read everything gives that up.
    const nobody = process.getuid?.() === 0 ? "process.setgid(65534); process.setuid(65534);" : "";
    const text = `const load = await import(${moduleIn(root, "torch/load")}); ${nobody} ${loading(root)}`;
    for (const file of [path.dirname(other), other]) chmodSync(file, 0o755);
    expect(run(text, { CRITICAL_SHARPNESS_LIBTORCH: other }).printed).toEqual({
      code: "ERR_LIBTORCH_LOAD",
      message: `${whole(lib)}: this user may not read it (EACCES). Run \`chmod -R a+rX "${other}"\``,
    });
  });

  it("what the system's loader says has a remedy each", () => {
    const own = { libraryDirectory: "/t/lib", cuda: false } as Parameters<typeof remedyFor>[2];
    const say = (message: string, cuda = false) => remedyFor(message, "/t/lib/a.so", { ...own, cuda });
    expect(say("libstdc++.so.6: version `GLIBCXX_3.4.22' not found")).toContain("`unset LD_LIBRARY_PATH`");
    expect(say("libgomp.so.1: cannot allocate memory in static TLS block")).toContain(
      '`LD_PRELOAD="/t/lib/libgomp.so.1" node …`',
    );
    expect(say("libcudart.so.13: cannot open shared object file: No such file", true)).toContain(
      "a CUDA libtorch without its CUDA libraries",
    );
    expect(say("anything else")).toContain('`ldd "/t/lib/a.so"`');
  });

  it("other platforms are told what there is", () => {
    const said = hostProblem({ os: "win32", cpu: "x64", glibc: null });
    expect(said).toMatch(
      /^Expected linux-x64 with glibc 2\.28 or later for the prebuilt .* received win32-x64\. /,
    );
    expect(hostProblem({ os: "linux", cpu: "x64", glibc: "2.28" })).toBeUndefined();
    expect(hostProblem({ os: "linux", cpu: "x64", glibc: "3.1" })).toBeUndefined();
  });

  describe("something else in the process has loaded a libtorch", () => {
    const open = (file: string) =>
      // 0x1000: it stays loaded, though it is no addon.
      `try { process.dlopen({ exports: {} }, ${JSON.stringify(file)}, 0x1002) } catch {}`;

    it.skipIf(builtWithCuda)("of the same version: it is used, and computes", () => {
      const other = tree(libtorchVersion);
      const { printed } = run(loading(root, open(path.join(libtorch, "lib/libtorch_cpu.so"))), {
        CRITICAL_SHARPNESS_LIBTORCH: other,
      });
      expect(printed).toMatchObject({ libtorchVersion, flashAttention: true });
    });

    it("of another version: which, where, and what to do", () => {
      const other = tree("2.12.1");
      const lib = path.join(other, "lib/libtorch_cpu.so");
      compile(lib, "int other;");
      expect(run(loading(root, open(lib)), wanted).printed).toEqual({
        code: "ERR_LIBTORCH_VERSION",
        message: `Expected libtorch ${libtorchVersion} but another module of this process has loaded libtorch 2.12.1, "${lib}": C++ interfaces differ between minor versions, and a process can have one libtorch. Import critical-sharpness before the module that loads it, or use critical-sharpness in a process of its own (\`child_process.fork\`)`,
      });
    });

    it("of an unknown version that does not fit", () => {
      const lib = path.join(folder(), "libtorch_cpu.so");
      compile(lib, "int other;");
      const { printed } = run(loading(root, open(lib)), wanted);
      expect(printed.code).toBe("ERR_ADDON_LOAD");
      expect(printed.message).toMatch(
        /Another module of this process has loaded the libtorch in .*does not fit it/,
      );
    });
  });

  describe("a CUDA libtorch is loaded in a child process first", () => {
    const cuda = (source: string) => {
      const root = linkedTree();
      compile(path.join(root, "lib/libtorch_cuda.so"), source);
      return { CRITICAL_SHARPNESS_LIBTORCH: root };
    };
    it("that ends by a signal: an error here", () => {
      const variables = cuda("__attribute__((constructor)) static void f() { *(volatile int*)0 = 1; }");
      const { status, signal, printed } = run(loading(root), variables);
      expect([status, signal]).toEqual([0, null]);
      expect(printed).toEqual({
        code: "ERR_LIBTORCH_LOAD",
        message: `Expected a CUDA libtorch that loads for the variable CRITICAL_SHARPNESS_LIBTORCH but received "${variables.CRITICAL_SHARPNESS_LIBTORCH}": a child process that tried was ended by SIGSEGV. Run \`nvidia-smi\` to see whether the driver works and which CUDA version it supports, or use a CPU libtorch: unset CRITICAL_SHARPNESS_LIBTORCH, LIBTORCH and LIBTORCH_USE_PYTORCH`,
      });
      expect(run(loading(root), { ...variables, CRITICAL_SHARPNESS_PROBE: "0" }).signal).toBe("SIGSEGV");
    });
    it("that fails: what it said", () => {
      const { printed } = run(loading(root), cuda("void nowhere(); void f() { nowhere(); }"));
      expect(printed.message).toMatch(
        /a child process that tried ended with 1 and said: .*libtorch_cuda\.so" but the system says: .*undefined symbol/,
      );
    });
    it.skipIf(builtWithCuda)("that succeeds", () => {
      expect(run(loading(root), cuda("int works;")).printed).toMatchObject({ libtorchVersion });
    });
  });

  describe("a second copy of the package in a process", () => {
    const second = installed("2.0.0");
    const message = (own: string, other: string) =>
      `Expected one copy of critical-sharpness in a process but received a second: "${own}" beside "${other}". Run \`npm ls critical-sharpness\` to see what depends on each and \`npm dedupe\` to make them one, or use the second in a process of its own`;
    const addon = (folder: string) =>
      path.join(folder, "node_modules/critical-sharpness/prebuilds/linux-x64/critical-sharpness.glibc.node");

    it("is an error, and the first goes on", () => {
      const { printed } = run(
        `const [a, b] = [await import(${moduleIn(root, "torch/load")}), await import(${moduleIn(second, "torch/load")})];
        await a.native().info();
        let said; try { b.native() } catch ({ code, message }) { said = { code, message } }
        console.log(JSON.stringify({ said, works: await a.native().info() }));`,
        wanted,
      );
      expect(printed.works).toMatchObject({ libtorchVersion });
      expect(printed.said).toEqual({
        code: "ERR_DUPLICATE_PACKAGE",
        message: message(addon(second), addon(root)),
      });
    });

    it("in a worker thread too", () => {
      const worker = `import(${moduleIn(second, "torch/load")}).then(({ native }) => native()).catch(({ code }) =>
        require("node:worker_threads").parentPort.postMessage(code))`;
      const { printed } = run(
        `import { Worker } from "node:worker_threads";
        const { native } = await import(${moduleIn(root, "torch/load")});
        await native().info();
        const code = await new Promise((resolve) => new Worker(${JSON.stringify(worker)}, { eval: true, execArgv: [] }).on("message", resolve));
        console.log(JSON.stringify({ code, works: await native().info() }));`,
        wanted,
      );
      expect(printed).toMatchObject({ code: "ERR_DUPLICATE_PACKAGE", works: { libtorchVersion } });
    });
  });
});
