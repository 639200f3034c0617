import { spawnSync } from "node:child_process";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { diagnose } from "../../lib/torch/diagnose.js";
import { loadedLibtorch, native } from "../../lib/torch/load.js";
import { folder, tree } from "./support.js";

const compiled = (file: string) =>
  JSON.stringify(pathToFileURL(path.resolve(import.meta.dirname, "../../dist", file)).href);

/** Runs a module's text on the compiled files with other variables; what it printed, as JSON. */
function inProcess(text: string, variables: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", text], {
    encoding: "utf8",
    env: { ...process.env, ...variables },
  });
  return { status, stderr, printed: stdout ? JSON.parse(stdout) : undefined };
}

const loading = `
  const { native } = await import(${compiled("torch/load.js")});
  try { native(); console.log("{}") } catch ({ code, message }) { console.log(JSON.stringify({ code, message })) }`;

it("loads from the sources, once, with libtorch before it", () => {
  expect(native()).toBe(native());
  expect(loadedLibtorch()?.root).toBeTruthy();
});

describe("loading that fails says so, each time, and ends no process", () => {
  it("no such folder", () => {
    const { status, printed } = inProcess(loading, {
      CRITICAL_SHARPNESS_LIBTORCH: path.join(folder(), "gone"),
    });
    expect(status).toBe(0);
    expect(printed.code).toBe("ERR_LIBTORCH_NOT_FOUND");
  });

  it("another version: before any of it is loaded", () => {
    const { printed } = inProcess(loading, { CRITICAL_SHARPNESS_LIBTORCH: tree("2.14.1") });
    expect(printed.code).toBe("ERR_LIBTORCH_VERSION");
  });

  it("no addon", () => {
    // node-gyp-build reads the first of these: a folder without a build.
    const { printed } = inProcess(loading, { CRITICAL_SHARPNESS_PREBUILD: folder() });
    expect(printed.code).toBe("ERR_ADDON_LOAD");
    expect(printed.message).toContain("In a source checkout run `npm run build`");
  });
});

it("the search needs no libtorch", () => {
  const text = `
    const { findCriticalLearningRate } = await import(${compiled("search/index.js")});
    const { criticalLearningRate } = await findCriticalLearningRate((x) => x * x - x, { initialLearningRate: 0.3 });
    console.log(criticalLearningRate);`;
  const { printed, stderr } = inProcess(text, { CRITICAL_SHARPNESS_LIBTORCH: path.join(folder(), "gone") });
  expect(stderr).toBe("");
  expect(Math.abs(printed - 1)).toBeLessThan(1 / 16);
});

describe("diagnosis", () => {
  it("of an installation that works", async () => {
    const found = await diagnose();
    expect(found).toMatchObject({ node: process.versions.node, problem: null });
    expect(found.libtorch?.root).toBe(loadedLibtorch()?.root);
    expect(found.native?.builtFor).toContain(found.wanted.built);
    expect(found.packageVersion).toMatch(/^\d+\.\d+\.\d+/);
    expect(found.places.length).toBeGreaterThan(0);
  });

  it("of one that does not: the reason, and the places", () => {
    const gone = path.join(folder(), "gone");
    const text = `
      const { diagnose } = await import(${compiled("torch/diagnose.js")});
      console.log(JSON.stringify(await diagnose()));`;
    const { printed } = inProcess(text, { CRITICAL_SHARPNESS_LIBTORCH: gone });
    expect(printed).toMatchObject({
      libtorch: null,
      native: null,
      problem: { code: "ERR_LIBTORCH_NOT_FOUND", message: expect.stringContaining(gone) },
      places: [{ name: "the variable CRITICAL_SHARPNESS_LIBTORCH", folder: gone, problem: null }],
    });
  });
});
