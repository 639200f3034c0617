// The time of a forward pass at θ − ηΔ over that of a plain one, and what a measurement needs beside the weights.
import { createModel } from "../dist/index.js";
import { gpt, tokenBatch } from "./shared/models.mjs";
import { spread } from "./shared/results.mjs";
import { inTurns, ratio } from "./shared/timing.mjs";

export async function perturbationRows() {
  const rows = [];
  for (const tokens of [512, 2048]) {
    const config = gpt("10 M");
    const model = await createModel(config, { seed: 1 });
    const { batch } = tokenBatch(config, tokens / 256);
    const { gradient: direction } = await model.gradient(batch);
    const pass = (mode) => () =>
      model.loss(batch, mode && { perturbation: { direction, learningRate: 1e-3, mode } });
    const times = await inTurns(
      { plain: pass(), view: pass("view"), "in-place": pass("in-place") },
      { rounds: 24 },
    );
    for (const mode of ["view", "in-place"]) {
      const measured = ratio(times, mode, "plain");
      rows.push({
        what: `perturbed / plain forward, ${mode}, ${tokens} tokens`,
        bar: tokens >= 2048 ? "≤ 1.05" : "",
        measured: spread(measured),
        met: tokens >= 2048 ? measured.median <= 1.05 : null,
        detail: `GPT-2 of ${(model.parameterCount / 1e6).toFixed(1)} M, float32; median and quartiles of 24 pairs`,
      });
    }
    for (const owner of [model, batch, direction]) owner.dispose();
  }
  return rows;
}
