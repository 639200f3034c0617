// How far can a policy gradient's step go before the pre-training loss rises? Relative critical sharpness across objectives
// (Kalra et al. 2026, definition 4.1): Δ is AdamW's update of a policy gradient, judged by the next-token loss on pre-training text.
//
//   node examples/objectives/policy-gradient.mjs <model directory> <tokens of pre-training text.safetensors>
//
// Without arguments, a small GPT-2 on the State of the Union, with AdamW's first steps on the text before.
import {
  AdamW,
  Batch,
  byteTokenizer,
  createModel,
  loadBatch,
  loadModel,
  random,
  relativeCriticalSharpness,
  stateOfTheUnionTexts,
} from "critical-sharpness";

const [directory, file] = process.argv.slice(2);
const [rows, length] = [8, 64];

/** Sequences of the text from byte `start` on. */
async function textBatch(start) {
  let text = "";
  for await (const document of stateOfTheUnionTexts()) {
    text += document.text;
    if (text.length > start + rows * (length + 1)) break;
  }
  const ids = byteTokenizer.encode(text.slice(start));
  const at = (shift) =>
    Int32Array.from({ length: rows * length }, (_, i) => ids[Math.floor(i / length) * (length + 1) + (i % length) + shift]);
  return Batch.tokens({ inputIds: at(0), labels: at(1), shape: [rows, length] });
}

const model = directory
  ? await loadModel(directory)
  : await createModel({ model_type: "gpt2", vocab_size: 256, n_positions: length, n_embd: 64, n_layer: 2, n_head: 4 });
const pretraining = file ? await loadBatch(file) : await textBatch(0);
if (!directory) {
  const optimizer = new AdamW(model, { learningRate: 3e-3, weightDecay: 0 });
  for (let step = 0; step < 60; step++) {
    const batch = await textBatch(1000 * step);
    await optimizer.accumulateFrom(batch);
    await optimizer.step();
    batch.dispose();
  }
}

// What the policy said, and how much better than usual each answer was: here, for the sake of the example, random tokens that are
// rewarded for every space. In a real run these are samples of the model with their advantages.
const draw = random(7);
const vocabulary = model.config.vocab_size;
const said = Int32Array.from({ length: rows * (length + 1) }, () => Math.floor(draw.uniform() * vocabulary));
const reward = Array.from({ length: rows }, (_, row) =>
  said.subarray(row * (length + 1), (row + 1) * (length + 1)).reduce((sum, id) => sum + Number(id % 8 === 0), 0),
);
const mean = reward.reduce((a, b) => a + b) / rows;
const deviation = Math.sqrt(reward.reduce((sum, r) => sum + (r - mean) ** 2, 0) / rows) || 1;
const shifted = (by) =>
  Int32Array.from({ length: rows * length }, (_, i) => said[Math.floor(i / length) * (length + 1) + (i % length) + by]);
const policy = Batch.tokens({
  inputIds: shifted(0),
  labels: shifted(1),
  shape: [rows, length],
  weights: reward.map((r) => (r - mean) / deviation),
});

// Δ of the policy's own optimizer.
const optimizer = new AdamW(model, { learningRate: 1e-4, weightDecay: 0 });
for (let i = 0; i < 5; i++) await optimizer.accumulateFrom(policy);
const direction = await optimizer.direction();
const judged = await relativeCriticalSharpness({ model, direction, evaluate: { policy, "pre-training": pretraining } });
for (const [name, { status, criticalLearningRate }] of Object.entries(judged))
  console.log(
    status === "converged"
      ? `The loss of the ${name} falls along Δ up to η = ${criticalLearningRate.toPrecision(3)}.`
      : `The loss of the ${name}: ${status}${status === "non-descent" ? ", it rises from the first step on" : ""}.`,
  );
