// `npm run bench:gpu`: what a perturbed pass, a training step and a measurement cost on a GPU, in bfloat16 with float32 weights,
// against plain passes and eager PyTorch. Needs a Python with a CUDA PyTorch and safetensors (CRITICAL_SHARPNESS_PYTHON).
// CRITICAL_SHARPNESS_DEVICE=cpu tries it out, in small, where there is no GPU; nothing is written then.
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { AdamW, createModel, loadModel, SharpnessMeter } from "../dist/index.js";
import { native } from "../dist/torch/load.js";
import { startPeer } from "./peers/python.mjs";
import { measurementsBeside, ourStep, withMeter, writeSeries } from "./shared/beside-peer.mjs";
import { gpt, tokenBatch } from "./shared/models.mjs";
import { bytes, figure, spread, writeResults } from "./shared/results.mjs";
import { inTurns, mean, median, ratio } from "./shared/timing.mjs";

const device = process.env.CRITICAL_SHARPNESS_DEVICE || "cuda:0";
const onGpu = device !== "cpu";
const dtype = onGpu ? "bfloat16" : "float32";
const settings = { learningRate: 3e-4, betas: [0.9, 0.95], weightDecay: 0.1, initialLearningRate: 1e-2 };
const { initialLearningRate, ...adamw } = settings;
const sizes = onGpu ? { large: "124 M", small: "1 M" } : { large: "0.1 M", small: "0.1 M" };
const rounds = onGpu ? 30 : 2;

/** Operations of a forward pass: two a weight and token, and causal attention's. */
function operations({ n_embd, n_layer, vocab_size }, rows, sequence) {
  const weights = n_layer * 12 * n_embd ** 2 + vocab_size * n_embd;
  return rows * sequence * (2 * weights + 2 * n_layer * sequence * n_embd);
}

async function perturbedPasses(config, rate) {
  const model = await createModel(config, { seed: 1, dtype, device });
  const rows = [];
  for (const sequences of onGpu ? [16, 32, 64] : [2]) {
    const { batch } = tokenBatch(config, sequences);
    const { gradient } = await model.gradient(batch, { microBatch: 8 });
    const optimizer = new AdamW(model, adamw);
    await optimizer.accumulate(gradient);
    const stored = await optimizer.direction();
    const made = await optimizer.direction({ stored: false });
    const moved = (direction) => () => model.loss(batch, { perturbation: { direction, learningRate: 1e-4 } });
    const calls = { plain: () => model.loss(batch), stored: moved(stored), made: moved(made) };
    const times = await inTurns(calls, { rounds, warmup: 3 });
    const tokens = sequences * config.n_positions;
    const plain = median(times.plain);
    const share = operations(config, sequences, config.n_positions) / plain / rate;
    for (const [kind, what] of [
      ["stored", "a stored Δ"],
      ["made", "AdamW's Δ, made of θ, m and v on the way"],
    ]) {
      const measured = ratio(times, kind, "plain");
      rows.push({
        what: `perturbed / plain forward pass, ${what}, GPT-2 of ${sizes.large}, ${tokens} tokens`,
        bar: kind === "stored" ? "≤ 1.02" : "–",
        measured: spread(measured),
        met: kind === "stored" ? measured.median <= 1.02 : null,
        detail: `${figure(median(times[kind]) * 1000)} ms against ${figure(plain * 1000)} ms`,
      });
    }
    rows.push({
      what: `plain forward pass, GPT-2 of ${sizes.large}, ${tokens} tokens: share of the matrix-product rate`,
      bar: "stated",
      measured: figure(share),
      detail: `of ${figure(rate / 1e12)} TFLOP/s, PyTorch's product of 8192 × 8192 matrices in ${dtype}`,
    });
    for (const thing of [made, stored, optimizer, gradient, batch]) thing.dispose();
  }
  model.dispose();
  return rows;
}

/** The same batches for both sides, of `tokenBatch`. */
async function makeBatches(config, sequences, count, file) {
  const made = Array.from({ length: count }, (_, i) => tokenBatch(config, sequences, config.n_positions, i));
  await writeSeries(file, [sequences, config.n_positions], made);
  return made.map(({ batch }) => batch);
}

/** What both sides need to train a model of a size: its directory, batches, and PyTorch beside it. */
async function againstPyTorch(size, sequences, count, folder, body) {
  const config = gpt(size);
  const directory = path.join(folder, `${size.replace(" ", "")}-${sequences}`);
  const first = await createModel(config, { seed: 1 });
  await first.save(directory);
  first.dispose();
  const file = path.join(directory, "batches.safetensors");
  const batches = await makeBatches(config, sequences, count, file);
  const { threads } = await native().info();
  const peer = startPeer("training.py", [
    directory,
    file,
    `${threads}`,
    "fused",
    JSON.stringify({ ...settings, device, dtype }),
  ]);
  try {
    const model = await loadModel(directory, { dtype, device });
    const optimizer = new AdamW(model, adamw);
    const result = await body({ config, model, optimizer, batches, peer });
    optimizer.dispose();
    model.dispose();
    return result;
  } finally {
    peer.stop();
    for (const batch of batches) batch.dispose();
  }
}

const training = (size, sequences, bar, folder, rate) =>
  againstPyTorch(size, sequences, 8, folder, async ({ config, model, optimizer, batches, peer }) => {
    const next = { ours: 0, pytorch: 0 };
    const take = (name) => next[name]++ % batches.length;
    const times = await inTurns(
      {
        ours: () => ourStep(model, optimizer, batches[take("ours")]),
        pytorch: () => peer.ask({ command: "step", batch: take("pytorch") }),
      },
      { rounds, warmup: 5 },
    );
    const measured = ratio(times, "ours", "pytorch");
    const share = (3 * operations(config, sequences, config.n_positions)) / median(times.ours) / rate;
    return {
      what: `training step / PyTorch eager (autocast, AdamW fused=True), GPT-2 of ${size}`,
      bar: `≤ ${bar}`,
      measured: spread(measured),
      met: measured.median <= bar,
      detail: `${figure(median(times.ours) * 1000)} ms against ${figure(median(times.pytorch) * 1000)} ms, ${sequences * config.n_positions} tokens, ${rounds} pairs; ${figure(share)} of the matrix-product rate`,
    };
  });

const trained = onGpu ? 96 : 4;
const cold = onGpu ? 8 : 1;

const measuring = (size, sequences, folder) =>
  againstPyTorch(
    size,
    sequences,
    trained + cold + rounds,
    folder,
    async ({ model, optimizer, batches, peer }) => {
      const measures = { ours: withMeter(new SharpnessMeter({ initialLearningRate })) };
      const found = await measurementsBeside(peer, { model, optimizer, batches, measures, trained, cold });
      const of = (value) => mean(found.map(value));
      const whole = of(({ ours }) => ours.seconds) / of(({ peer: theirs }) => theirs.seconds);
      const apart = median(found.map(({ ours, peer: theirs }) => ours.eta / theirs.eta));
      return {
        what: `a whole warm measurement of λc / PyTorch transcription of the paper's procedure, GPT-2 of ${size}`,
        bar: "≤ 0.5",
        measured: figure(whole),
        met: whole <= 0.5,
        detail: `Δ and search at ε = 1/16 in ${rounds} training steps after ${trained + cold}: ${figure(of(({ ours }) => ours.seconds) * 1000)} ms and ${figure(of(({ ours }) => ours.passes))} passes against ${figure(of(({ peer: theirs }) => theirs.seconds) * 1000)} ms and ${figure(of(({ peer: theirs }) => theirs.passes))}; ηc apart by a factor of ${figure(apart)} in the median`,
      };
    },
  );

async function memoryRow() {
  const { peak, reserved } = await native().deviceMemory(device, false);
  return {
    what: "memory of the GPU in all of this, our side",
    bar: "–",
    measured: bytes(peak),
    detail: `most in tensors at once; ${bytes(reserved)} from the driver`,
  };
}

async function deviceName() {
  const { cuda } = await native().info();
  const found = cuda.devices[Number(device.split(":")[1] ?? 0)];
  return `${found.name}, driver for CUDA ${cuda.driver}`;
}

async function rows(folder) {
  const rate = await againstPyTorch(
    sizes.small,
    1,
    1,
    folder,
    async ({ peer }) => (await peer.ask({ command: "matmul" })).rate,
  );
  return [
    ...(await perturbedPasses(gpt(sizes.large), rate)),
    await training(sizes.large, 16, 1, folder, rate),
    await training(sizes.small, 8, 0.9, folder, rate),
    await measuring(sizes.large, 16, folder),
    await memoryRow(),
  ];
}

const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-bench-"));
try {
  // Says what is missing where there is no such device.
  (await createModel(gpt("0.1 M"), { device })).dispose();
  const made = await rows(folder);
  if (onGpu) await writeResults("gpu", `On a GPU: ${await deviceName()}`, made);
  else console.log(JSON.stringify(made, null, 2));
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
