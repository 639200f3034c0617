import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";
import { afterAll, describe, expect, it } from "vitest";
import { train } from "../../lib/experiments/index.js";
import { tensorBoard } from "../../lib/runs/index.js";
import { EventFile } from "../../lib/runs/sinks/tensorboard.js";
import { mlpRun, readMetrics } from "../experiments/helpers.js";
import { oraclePython } from "../oracle.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Loaded = {
  scalars: Record<string, [step: number, value: number][]>;
  images: Record<string, [step: number, width: number, height: number][]>;
};

const reader = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator, IMAGES, SCALARS
events = EventAccumulator(sys.argv[1], size_guidance={SCALARS: 0, IMAGES: 0})
for _ in sys.stdin:
    events.Reload()
    tags = events.Tags()
    print(json.dumps({
        "scalars": {t: [[e.step, e.value] for e in events.Scalars(t)] for t in tags["scalars"]},
        "images": {t: [[e.step, e.width, e.height] for e in events.Images(t)] for t in tags["images"]},
    }), flush=True)
`;

/** TensorBoard's own reader of a folder; each call reads what was written since the one before. */
function tensorboardOf(directory: string) {
  const python = spawn(oraclePython as string, ["-c", reader, directory], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const lines = readline.createInterface({ input: python.stdout })[Symbol.asyncIterator]();
  return {
    async reload(): Promise<Loaded> {
      python.stdin.write("\n");
      return JSON.parse((await lines.next()).value);
    },
    [Symbol.dispose]: () => python.kill(),
  };
}

describe.skipIf(oraclePython === undefined)("TensorBoard", () => {
  it("reads event files while they grow", async () => {
    const directory = path.join(folder, "growing");
    await using events = await EventFile.create(directory);
    using tensorboard = tensorboardOf(directory);
    await events.scalars(1, { loss: 0.5, skipped: NaN });
    expect((await tensorboard.reload()).scalars).toEqual({ loss: [[1, 0.5]] });
    await events.scalars(2, { loss: 0.25, λc: 1e30 });
    await events.scalars(2 ** 40, { loss: -1 });
    const { scalars } = await tensorboard.reload();
    expect(scalars.loss).toEqual([
      [1, 0.5],
      [2, 0.25],
      [2 ** 40, -1],
    ]);
    expect(scalars.λc?.[0]?.[1]).toBeCloseTo(1e30, -24);
  }, 60_000);

  it("has the numbers of a run's metrics, those from before it went on once, and its figures", async () => {
    const directory = path.join(folder, "run");
    const stop = new AbortController();
    const sinks = [tensorBoard()];
    const onProgress = (event: { type: string; step?: number }) => {
      if (event.type === "step" && event.step === 5) stop.abort();
    };
    await expect(train(mlpRun, { directory, sinks, signal: stop.signal, onProgress })).rejects.toThrow();
    await train(mlpRun, { directory, sinks: [tensorBoard()] });
    using tensorboard = tensorboardOf(path.join(directory, "tensorboard"));
    const { scalars, images } = await tensorboard.reload();
    const steps = readMetrics(directory).filter((record) => record.type === "step");
    expect(scalars["loss/training"]).toEqual(steps.map(({ step, loss }) => [step, Math.fround(loss)]));
    const measured = steps.flatMap(({ step, measurement }) =>
      measurement?.criticalSharpness != null ? [[step, Math.fround(measurement.criticalSharpness)]] : [],
    );
    expect(scalars["sharpness/critical"]).toEqual(measured);
    expect(Object.keys(images)).toContain("critical-sharpness");
    for (const [[step, width, height]] of Object.values(images) as [[number, number, number]][]) {
      expect(step).toBe(12);
      expect(width / height).toBeGreaterThan(1);
    }
  }, 120_000);
});
