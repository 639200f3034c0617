import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { fetchLibtorchWithPip } from "../../lib/torch/download/index.js";
import { cacheDirectory } from "../../lib/torch/locate-libtorch.js";
import { bare, command, failure, folder } from "./support.js";

const quiet = () => {};

/** What is left in the cache after a failure. */
const left = (environment: NodeJS.ProcessEnv) => readdirSync(path.dirname(cacheDirectory(environment)));

describe.runIf(process.platform === "linux" && process.arch === "x64")(
  "fetching with pip, without a network",
  () => {
    it("no Python", async () => {
      const environment = bare({ PYTHON: path.join(folder(), "python9") });
      const { code, message } = await failure(() => fetchLibtorchWithPip({ environment, log: quiet }));
      expect(code).toBe("ERR_LIBTORCH_NOT_FOUND");
      expect(message).toMatch(
        /^Expected to download torch==2\.13\.0\+cpu with `.*python9 -m pip` but received: .*ENOENT/,
      );
      expect(message).toContain("apt-get install python3-pip");
      expect(left(environment)).toEqual([]);
    });

    it("no pip", async () => {
      const environment = bare({ PYTHON: command('echo "$0: No module named pip" >&2; exit 1') });
      const { message } = await failure(() => fetchLibtorchWithPip({ environment, log: quiet }));
      expect(message).toContain(
        "No module named pip. On Debian or Ubuntu run `apt-get install python3-pip`. Or set",
      );
    });

    it("no such wheel: asks the configured index, then PyTorch's, each once", async () => {
      const calls = path.join(folder(), "calls");
      const environment = bare({
        PYTHON: command(`echo "$@" >> '${calls}'; echo 'ERROR: No matching distribution' >&2; exit 1`),
      });
      const { message } = await failure(() => fetchLibtorchWithPip({ environment, log: quiet }));
      expect(message).toContain(
        "received: ERROR: No matching distribution. Set CRITICAL_SHARPNESS_LIBTORCH to the folder",
      );
      const asked = readFileSync(calls, "utf8").trim().split("\n");
      expect(asked).toHaveLength(2);
      expect(asked[0]).not.toContain("--extra-index-url");
      expect(asked[1]).toMatch(/--extra-index-url=\S+ --timeout=15 --retries=1/);
      for (const call of asked) {
        expect(call).toMatch(/^-m pip download --no-deps .* torch==2\.13\.0\+cpu$/);
        expect(call).toContain("--python-version=3.11");
      }
      expect(left(environment)).toEqual([]);
    });

    it("another file than expected: nothing is unpacked", async () => {
      const environment = bare({
        PYTHON: command(`
        for argument in "$@"; do case "$argument" in --dest=*) echo fake > "\${argument#--dest=}/torch.whl";; zipfile) touch "$XDG_CACHE_HOME/unpacked";; esac; done`),
      });
      const { code, message } = await failure(() => fetchLibtorchWithPip({ environment, log: quiet }));
      expect(code).toBe("ERR_LIBTORCH_NOT_FOUND");
      expect(message).toMatch(
        /^Expected SHA-256 6746db[0-9a-f]{58} for torch\.whl but received [0-9a-f]{64}: the package index/,
      );
      expect(existsSync(path.join(environment.XDG_CACHE_HOME as string, "unpacked"))).toBe(false);
      expect(left(environment)).toEqual([]);
    });
  },
);
