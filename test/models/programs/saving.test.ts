import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { train } from "../../../lib/experiments/index.js";
import { readSafetensorsHeader } from "../../../lib/files/index.js";
import { loadModel } from "../../../lib/models/index.js";
import { oraclePython } from "../../oracle.js";
import { opened, place } from "./fixtures.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-saving-"));
const inside = (name: string) => path.join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a program's weights", () => {
  it("are saved as a state_dict, with buffers and every name of a tied parameter", async () => {
    for (const name of ["cnn-train", "tied"]) {
      const { model } = await opened(name);
      await model.save(inside(name));
      using again = await loadModel(inside(name));
      expect(await again.digest()).toBe(await model.digest());
      using separate = await loadModel(place(name), {
        weights: path.join(inside(name), "model.safetensors"),
      });
      expect(await separate.digest()).toBe(await model.digest());
      model.dispose();
    }
    const { tensors } = await readSafetensorsHeader(path.join(inside("cnn-train"), "model.safetensors"));
    expect([...tensors.keys()].some((key) => key.endsWith("running_mean"))).toBe(true);
  });

  it.skipIf(!oraclePython)("are what load_state_dict takes, strictly", async () => {
    const script = `
import sys
sys.path.insert(0, ${JSON.stringify(import.meta.dirname)})
import export
from safetensors.torch import load_file
for name in ["cnn-train", "tied"]:
    export.PROGRAMS[name]()[0].load_state_dict(load_file(f"${folder}/{name}/model.safetensors"), strict=True)
`;
    execFileSync(oraclePython as string, ["-c", script], { stdio: ["ignore", "ignore", "pipe"] });
  });

  it("take buffers along that a pass has moved", async () => {
    const { model, batch } = await opened("cnn-train");
    const [before, loss] = [await model.digest(), await model.loss(batch)];
    await model.moveBuffers(batch);
    const after = await model.digest();
    expect(after).not.toBe(before);
    // In train() a loss is of the batch's own statistics.
    expect(await model.loss(batch)).toBe(loss);
    await model.save(inside("moved"));
    using again = await loadModel(inside("moved"));
    expect(await again.digest()).toBe(after);
    for (const owned of [model, batch]) owned.dispose();
  });

  it("cannot move where the program returns its buffers", async () => {
    const { model, batch } = await opened("cnn-decomposed");
    await expect(model.moveBuffers(batch)).rejects.toThrow(/without run_decompositions/);
    for (const owned of [model, batch]) owned.dispose();
  });

  it("that are another model's are refused by name", async () => {
    await expect(loadModel(place("mlp"), { weights: inside("tied") })).rejects.toMatchObject({
      code: "ERR_MODEL_FILE",
    });
    await expect(loadModel(place("mlp"), { dtype: "float64" })).rejects.toThrow(
      /"float32", in which the program/,
    );
    await writeFile(inside("config.json"), '{"model_type": "program"}');
    await expect(loadModel(folder)).rejects.toMatchObject({ code: "ERR_MODEL_FILE" });
  });
});

describe("a run of a program", () => {
  it("trains on the rows of a safetensors file, goes on after a stop, and moves buffers", async () => {
    const fixture = path.dirname(place("mlp"));
    const configuration = {
      model: { directory: place("cnn-train") },
      data: { type: "tensors", files: [path.join(fixture, "cnn-train.safetensors")] },
      batch: { size: 4 },
      buffers: "moved",
      optimizer: { type: "sgd", learningRate: 0.05 },
      steps: 6,
      measure: { every: 2 },
      hessian: { every: 5 },
      checkpoint: { every: 3 },
    } as const;
    await train(configuration, { directory: inside("whole") });
    using first = await loadModel(place("cnn-train"));
    using last = await loadModel(path.join(inside("whole"), "checkpoint"));
    expect(await last.digest()).not.toBe(await first.digest());
    const stop = new AbortController();
    const stopped = train(configuration, {
      directory: inside("stopped"),
      signal: stop.signal,
      onProgress: (event) => {
        if (event.type === "step" && event.step === 4) stop.abort();
      },
    });
    await expect(stopped).rejects.toThrow();
    await train(configuration, { directory: inside("stopped") });
    using again = await loadModel(path.join(inside("stopped"), "checkpoint"));
    expect(await again.digest()).toBe(await last.digest());
  });
});
