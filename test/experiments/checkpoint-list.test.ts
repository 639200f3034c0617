import { mkdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import {
  findCheckpoints,
  listCheckpoints,
  parseCheckpointName,
} from "../../lib/experiments/checkpoints/checkpoint-list.js";
import { temporaryFolder } from "./helpers.js";

describe("the step in a checkpoint's name", () => {
  it.each([
    ["step1000", 1000, null],
    ["step-1000", 1000, null],
    ["global_step143000", 143000, null],
    ["checkpoint_1000", 1000, null],
    ["checkpoint-500", 500, null],
    ["iter_0000100", 100, null],
    ["1000-tokens8B", 1000, 8e9],
    ["step1000-tokens4B", 1000, 4e9],
    ["stage1-step928646-tokens3896B", 928646, 3896e9],
    ["step5-tokens1.5T", 5, 1.5e12],
    ["00100", 100, null],
    ["pythia-70m-step512", 512, null],
    ["olmo-2-7b", 2, null],
    ["step_0100", 100, null],
    ["epoch-2", 2, null],
    ["epoch_3", 3, null],
    ["epoch=4", 4, null],
    ["epoch-2-step-400", 400, null],
    ["final", null, null],
    ["best", null, null],
    ["v2", null, null],
  ])("%s", (name, step, tokens) => {
    expect(parseCheckpointName(name)).toMatchObject({ step, tokens });
  });
});

describe("checkpoints of a pattern", () => {
  const folder = temporaryFolder();
  const make = (...names: string[]) => {
    for (const name of names) mkdirSync(path.join(folder, name), { recursive: true });
  };

  it("are ordered by the number, not by the letters", async () => {
    make("a/step1000", "a/step20", "a/step3", "a/other");
    const found = await findCheckpoints([path.join(folder, "a/step*")]);
    expect(found.map(({ name, step }) => [name, step])).toEqual([
      ["step3", 3],
      ["step20", 20],
      ["step1000", 1000],
    ]);
    expect(found[0]?.directory).toBe(path.join(folder, "a/step3"));
  });

  it("have stages before steps", async () => {
    make("b/stage2-step1-tokens1B", "b/stage1-step9-tokens2B", "b/stage1-step2-tokens1B");
    const found = await findCheckpoints([path.join(folder, "b/*")]);
    expect(found.map(({ name }) => name)).toEqual([
      "stage1-step2-tokens1B",
      "stage1-step9-tokens2B",
      "stage2-step1-tokens1B",
    ]);
  });

  it("have as much of their path as tells them apart", async () => {
    make("c/step1/hf", "c/step2/hf");
    const found = await findCheckpoints([path.join(folder, "c/*/hf")]);
    expect(found.map(({ name, step }) => [name, step])).toEqual([
      ["step1/hf", 1],
      ["step2/hf", 2],
    ]);
  });

  it("without a step stand behind those that have one, as they were given", async () => {
    make("f/checkpoint-100", "f/checkpoint-20", "f/checkpoint-160", "f/final", "f/best");
    const all = await findCheckpoints([path.join(folder, "f/*")]);
    expect(all.map(({ name, step }) => [name, step])).toEqual([
      ["checkpoint-20", 20],
      ["checkpoint-100", 100],
      ["checkpoint-160", 160],
      ["best", null],
      ["final", null],
    ]);
    const given = await findCheckpoints(
      ["final", "checkpoint-1*", "best"].map((n) => path.join(folder, "f", n)),
    );
    expect(given.map(({ name }) => name)).toEqual(["checkpoint-100", "checkpoint-160", "final", "best"]);
  });

  it("stand as they were given where a name has no step, each once", async () => {
    make("d/base", "d/step7");
    const paths = ["d/step7", "d/base", "d/step7"].map((name) => path.join(folder, name));
    expect((await findCheckpoints(paths)).map(({ name }) => name)).toEqual(["step7", "base"]);
    expect(listCheckpoints(paths).map(({ name }) => name)).toEqual(["step7", "base"]);
  });

  it("are missed where there is none", async () => {
    await expect(findCheckpoints([path.join(folder, "none*")])).rejects.toMatchObject({
      code: "ERR_CHECKPOINTS",
    });
  });
});
