import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { trainKind } from "../../lib/experiments/train/index.js";
import { gather } from "../../lib/experiments/train/train-records.js";
import { readRun as readStoredRun } from "../../lib/runs/index.js";
import { landscape, measurement, step, temporaryFolder, writeRun } from "./helpers.js";

const readRun = async (directory: string) => gather(await readStoredRun(trainKind, directory));
const folder = temporaryFolder();
const place = (name: string) => path.join(folder, name);

describe("reading a run", () => {
  it("sorts its records by their type", async () => {
    const lines = [
      step(1),
      step(2, { measurement: measurement(10) }),
      landscape,
      { type: "validation", step: 2, loss: 3 },
    ];
    const run = await readRun(writeRun(place("whole"), lines));
    expect([...run.steps].map((record) => record.step)).toEqual([1, 2]);
    expect(run.steps.at(1)?.measurement).toMatchObject({ criticalSharpness: 10, status: "converged" });
    expect(run.landscape).toEqual(landscape);
    expect(run.validations).toEqual([{ type: "validation", step: 2, loss: 3 }]);
    expect(run.configuration).toMatchObject({ steps: 500, optimizer: { type: "sgd", momentum: 0 } });
    expect(run.facts.created).toBe("2026-01-02T03:04:05.678Z");
    expect(run.facts.versions.libtorch).toBe("2.13.0");
  });
  it("passes over a last line that is cut short, wherever it is cut", async () => {
    const last = JSON.stringify(step(3));
    for (const length of [1, 10, last.length - 1]) {
      const run = await readRun(writeRun(place("cut"), [step(1), step(2), last.slice(0, length)]));
      expect([...run.steps].map((record) => record.step)).toEqual([1, 2]);
    }
    const zeros = await readRun(writeRun(place("cut"), [step(1), "\0\0\0\0"]));
    expect(zeros.steps).toHaveLength(1);
  });
  it("takes a last line that only lacks its end", async () => {
    const run = await readRun(writeRun(place("unended"), [step(1), JSON.stringify(step(2))]));
    expect(run.steps).toHaveLength(2);
  });
  it("passes over records of other types", async () => {
    const lines = [{ type: "hessian", step: 1, eigenvalues: [1] }, step(1), "null\n", "7\n", "[1]\n"];
    const run = await readRun(writeRun(place("others"), lines));
    expect(run.steps).toHaveLength(1);
  });
});

describe("what is no run", () => {
  const refused = (directory: string) => readRun(directory).catch((error) => error);

  it.each([
    ["missing", () => place("nowhere")],
    ["empty", () => temporaryFolder()],
    ["without a step", () => writeRun(place("empty"), [])],
    ["with the beginning of a step", () => writeRun(place("begun"), ['{"type":"st'])],
  ])("%s: tells how to make one", async (_, make) => {
    const directory = make();
    const error = await refused(directory);
    expect(error.code).toBe("ERR_RUN_DIRECTORY");
    expect(error.message).toMatch(/^Expected .* for the run directory ".*" but received /);
    expect(error.message).toContain(`critical-sharpness train <config> --out ${directory}`);
  });
  it("before its first step there is no metrics.jsonl", async () => {
    const directory = writeRun(place("before"), []);
    rmSync(path.join(directory, "metrics.jsonl"));
    expect((await refused(directory)).message).toContain("without a step");
  });
  it("names a damaged line, unless it is the last", async () => {
    const error = await refused(writeRun(place("damaged"), [step(1), '{"type":\n', step(3)]));
    expect(error.code).toBe("ERR_RUN_DIRECTORY");
    expect(error.message).toContain("line 2");
  });
  it.each(["[]", "{}", "not JSON"])("refuses %s as its config.json", async (text) => {
    const directory = writeRun(place("foreign"), [step(1)]);
    writeFileSync(path.join(directory, "config.json"), text);
    expect((await refused(directory)).code).toBe("ERR_RUN_DIRECTORY");
  });
  it("names the key of a configuration that was spoilt", async () => {
    const directory = writeRun(place("spoilt"), [step(1)]);
    const file = path.join(directory, "config.json");
    writeFileSync(file, '{"data":{"type":"synthetic"},"steps":1,"model":{},"batch":{}}');
    const error = await refused(directory);
    expect(error.code).toBe("ERR_CONFIGURATION");
    expect(error.message).toContain("config.json");
  });
});
