// Time from the start of `node` to the first λc of a small MLP, in a process of its own each round.
import { spawnSync } from "node:child_process";
import { figure, spread } from "./shared/results.mjs";
import { median, quantile } from "./shared/timing.mjs";

const module = (name) => JSON.stringify(new URL(`../dist/${name}.js`, import.meta.url).href);

// performance.now() counts from the start of the process.
const program = `
  const marks = { node: performance.now() };
  const { Batch, createModel, criticalSharpness } = await import(${module("index")});
  const { native } = await import(${module("torch/load")});
  marks.import = performance.now();
  native();
  marks.load = performance.now();
  const model = await createModel({ model_type: "mlp", layer_sizes: [16, 40, 5], activation: "gelu", loss: "cross_entropy" });
  const inputs = Float32Array.from({ length: 16 * 64 }, (_, i) => Math.sin(i));
  const batch = Batch.examples({ inputs, targets: BigInt64Array.from({ length: 64 }, (_, i) => BigInt(i % 5)), shape: [64] });
  const gradient = await model.gradient(batch);
  const { status } = await criticalSharpness({ model, batch, direction: gradient.gradient, gradient });
  marks.measured = performance.now();
  console.log(JSON.stringify({ status, ...marks }));`;

const rounds = 20;

export function firstMeasurementRows() {
  const times = [];
  for (let round = -2; round < rounds; round++) {
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
      encoding: "utf8",
    });
    if (stderr) throw new Error(stderr);
    const marks = JSON.parse(stdout);
    if (marks.status !== "converged") throw new Error(marks.status);
    if (round >= 0) times.push(marks);
  }
  const over = (part) => {
    const seconds = times.map((marks) => part(marks) / 1000);
    return { median: median(seconds), low: quantile(seconds, 0.25), high: quantile(seconds, 0.75) };
  };
  const load = over((t) => t.load - t.import);
  const share = (part) => `${figure(over(part).median)} s`;
  return [
    {
      what: "time from `node` to the first λc of a small MLP",
      bar: "stated",
      measured: `${spread(over((t) => t.measured))} s`,
      met: null,
      detail: `${rounds} processes, median and quartiles, files in the cache of the system: Node.js ${share((t) => t.node)}, imports ${share((t) => t.import - t.node)}, libtorch and the addon ${share((t) => t.load - t.import)}, model, gradient and measurement ${share((t) => t.measured - t.load)}`,
    },
    {
      what: "of it: loading libtorch and the addon",
      bar: "≤ 0.5 s",
      measured: `${spread(load)} s`,
      met: load.high <= 0.5,
      detail: "the same processes; libtorch as it is in PyTorch's wheel",
    },
  ];
}
