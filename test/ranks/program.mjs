// What a rank runs, and one process alone: all that a training and its measurements give, on standard output as JSON.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  AdamW,
  Batch,
  createModel,
  criticalSharpness,
  Direction,
  joinGroup,
  loadModel,
  SharpnessMeter,
} from "critical-sharpness";

const { config, rows, length, microBatch, dtype, device, folder } = JSON.parse(process.argv[2]);
const group = await joinGroup({ joinTimeout: 60, timeout: 60 });
const model = await createModel(config, { seed: 3, dtype, device, group });
const ids = (seed) => Int32Array.from({ length: rows * length }, (_, i) => (i * 7919 + seed * 104729 + (i % 13) * i) % config.vocab_size);
const batch = Batch.tokens({ inputIds: ids(1), labels: ids(2), shape: [rows, length] });

const found = { size: group.size, losses: [], lambda: [] };
const optimizer = new AdamW(model, { learningRate: 1e-2, weightDecay: 0.1 });
const meter = new SharpnessMeter({ microBatch });
for (let step = 0; step < 2; step++) {
  const { loss, gradientNorm } = await optimizer.accumulateFrom(batch, { microBatch });
  found.losses.push(loss, gradientNorm);
  const direction = await optimizer.direction({ stored: step === 1 });
  found.losses.push(await model.loss(batch, { microBatch, perturbation: { direction, learningRate: 1e-3 } }));
  const { criticalSharpness, evaluations } = await meter.measure({ model, batch, direction });
  found.lambda.push(criticalSharpness, evaluations);
  await optimizer.step();
}
{
  const gradient = (await model.gradient(batch, { microBatch })).gradient;
  const direction = await optimizer.direction();
  const result = await criticalSharpness({ model, batch, direction, microBatch });
  found.lambda.push(result.criticalSharpness, result.criticalLearningRate, await gradient.norm(), await gradient.dot(direction));
}
found.digest = await model.digest();
await model.save(`${folder}/model`);
await optimizer.save(`${folder}/state.safetensors`);
await group.meet();
for (const file of ["model/model.safetensors", "state.safetensors"])
  found[file] = createHash("sha256").update(readFileSync(`${folder}/${file}`)).digest("hex");
// A file of any number of ranks is one of any other.
const again = await loadModel(`${folder}/model`, { dtype, device, group });
found.again = (await again.digest()) === found.digest;
const restored = new AdamW(again, { learningRate: 1e-2, weightDecay: 0.1 });
await restored.load(`${folder}/state.safetensors`);
const direction = await restored.direction();
found.restored = await direction.norm();
// Factors, as an adapter gives them, beside weights as they are and in bfloat16.
const numbers = (count, k) => Float32Array.from({ length: count }, (_, i) => Math.sin(k * (i + 1)) / 16);
const factors = (model) =>
  Direction.from(
    model,
    Object.fromEntries(
      model.parameters
        .filter(({ shape }) => shape.length === 2)
        .map(({ name, shape: [rows, columns] }, k) => [
          name,
          { left: numbers(rows * 2, k + 1), right: numbers(2 * columns, k + 2), rank: 2 },
        ]),
    ),
  );
const narrow = await loadModel(`${folder}/model`, { dtype: "bfloat16", parameterDtype: "bfloat16", device, group });
const { gradient: steepest } = await narrow.gradient(batch, { microBatch });
for (const [of, direction] of [
  [again, factors(again)],
  [narrow, factors(narrow)],
  [narrow, steepest],
]) {
  const result = await criticalSharpness({ model: of, batch, direction, microBatch });
  found.lambda.push(result.status, result.criticalSharpness, await direction.norm(), await direction.dot(direction));
}
if (group.isFirst) console.log(JSON.stringify(found));
