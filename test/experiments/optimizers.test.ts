import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import {
  type MixConfigurationInput,
  measureCheckpoints,
  measureMix,
  type TrainConfigurationInput,
  type TrainEvent,
  train,
  writeReport,
} from "../../lib/experiments/index.js";
import { loadModel } from "../../lib/models/index.js";
import { kinds, ruleOf } from "../../lib/optimizers/index.js";
import { gptRun, readMetrics, temporaryFolder, withoutSeconds } from "./helpers.js";
import { makeMix } from "./mix-helpers.js";
import { makeCheckpoints, smallSeries, textFile } from "./series-helpers.js";

const folder = temporaryFolder();
const place = (name: string) => path.join(folder, name);
const text = place("text.txt");
writeFileSync(text, "It was the best of times, it was the worst of times. ".repeat(40));

/** Every rule of the registry, by its name and the defaults of its schema alone. */
describe.each(kinds)("a configuration's optimizer of type %s", (type) => {
  const { metric } = ruleOf({ type });
  const hessian = { every: 4, tolerance: 0.1 };
  const configuration = {
    ...gptRun(text),
    optimizer: { type, learningRate: 0.002 },
    hessian,
  } as TrainConfigurationInput;

  it("trains, stops and goes on to the bit, and has a report", async () => {
    await train(configuration, { directory: place(`${type} whole`) });
    const [directory, stop] = [place(`${type} stopped`), new AbortController()];
    const onProgress = (event: TrainEvent) => {
      if (event.type === "step" && event.step === 6) stop.abort();
    };
    await expect(train(configuration, { directory, signal: stop.signal, onProgress })).rejects.toMatchObject({
      code: "ABORT_ERR",
    });
    expect((await train(configuration, { directory })).resumedFrom).toBe(6);
    const [metrics, whole] = [readMetrics(directory), readMetrics(place(`${type} whole`))];
    expect(withoutSeconds(metrics)).toEqual(withoutSeconds(whole));
    const digest = async (where: string) => {
      using model = await loadModel(path.join(where, "checkpoint"));
      return await model.digest();
    };
    expect(await digest(directory)).toBe(await digest(place(`${type} whole`)));

    const curvatures = metrics.filter((record) => record.type === "curvature");
    expect(curvatures.length).toBeGreaterThan(2);
    for (const { threshold, preconditioned, hessian: found } of curvatures) {
      expect(found.eigenvalue).toBeGreaterThan(0);
      expect(threshold === null).toBe(metric === null);
      expect(preconditioned === null).toBe(metric !== "diagonal");
    }
    const report = await writeReport(directory);
    expect(JSON.stringify(report)).toContain("report");
    expect(existsSync(path.join(directory, "report.html"))).toBe(true);
  });

  it("measures checkpoints, and refuses λmax(P⁻¹H) at once where there is no P", async () => {
    const checkpoints = await makeCheckpoints(place(`${type} models`), 2);
    const series = { ...smallSeries(textFile(folder)), optimizer: { type } };
    const { checkpoints: found } = await measureCheckpoints(series, {
      directory: place(`${type} series`),
      checkpoints,
    });
    for (const { criticalSharpness } of found as { criticalSharpness: { mean: number | null } }[])
      expect(criticalSharpness.mean).toBeGreaterThan(0);
    const withHessian = measureCheckpoints(
      { ...series, hessian: { tolerance: 0.1 } },
      { directory: place(`${type} hessian`), checkpoints: checkpoints.slice(0, 1) },
    );
    const outcome = JSON.stringify(
      await withHessian.catch((error: { code: string; message: string }) => [error.code, error.message]),
    );
    expect(outcome.includes("has no P"), outcome).toBe(metric === null);
  });

  it("makes the gradients of a mix into Δ", async () => {
    const { configuration: mix } = await makeMix(place(`${type} mix`));
    const { points } = await measureMix(
      { ...mix, optimizer: { type } as MixConfigurationInput["optimizer"], repeats: 1 },
      { directory: place(`${type} mix run`) },
    );
    expect(points.length).toBeGreaterThan(0);
  });
});
