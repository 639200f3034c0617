import { parentPort, workerData } from "node:worker_threads";

/** Trains and measures in both forms with the package at `index`; gives what came of it as text. */
export async function measuring(index) {
  const { Batch, Sgd, SharpnessMeter, createModel, criticalSharpness } = await import(index);
  const config = { model_type: "mlp", layer_sizes: [4, 32, 3], activation: "tanh", loss: "mse" };
  const model = await createModel(config, { seed: 5 });
  const batch = Batch.examples({
    inputs: Float32Array.from({ length: 80 }, (_, i) => Math.sin(i)),
    targets: Float32Array.from({ length: 60 }, (_, i) => Math.cos(i)),
    shape: [20],
  });
  const optimizer = new Sgd(model, { learningRate: 0.05 });
  const meter = new SharpnessMeter({ perturbation: "in-place" });
  const said = [];
  for (let step = 0; step < 30; step++) {
    const gradient = await model.gradient(batch, { microBatch: 7 });
    await optimizer.accumulate(gradient);
    const direction = await optimizer.direction();
    const line = { model, batch, direction, gradient };
    const digest = await model.digest();
    // At once: neither may see what the other does to the weights.
    const both = await Promise.all([meter.measure(line), criticalSharpness({ ...line, tolerance: 1e-3 })]);
    if ((await model.digest()) !== digest) throw new Error("the weights changed");
    said.push(...both.map((result) => [result.status, result.criticalLearningRate, result.evaluations]));
    await optimizer.step();
    for (const used of [gradient.gradient, direction]) used.dispose();
  }
  said.push(await model.digest());
  for (const used of [model, batch, optimizer]) used.dispose();
  return JSON.stringify(said);
}

if (workerData?.index) parentPort.postMessage(await measuring(workerData.index));
