// What a sweep over mixing ratios costs against the same done ratio by ratio, on a pretrained model with its own stories,
// GSM8K and MMLU; that sources which are the same have one λc at every ratio; and what it says against real mixture batches
// with ten times the data.
// npm run build && node bench/mix.mjs. The folder of real data is CRITICAL_SHARPNESS_DATA.
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import {
  AdamW,
  Batch,
  criticalSharpness,
  jsonLinesTexts,
  loadModel,
  loadTokenizer,
  sweepMix,
  TokenBatches,
  templateText,
  tokenizeCorpus,
} from "../dist/index.js";
import { equalSourceRows } from "./mix-equal-sources.mjs";
import { teacherRows } from "./mix-teachers.mjs";
import { figure, spread, writeResults } from "./shared/results.mjs";
import { adamw } from "./shared/teachers.mjs";
import { inTurns, quantile, ratio as timeRatio } from "./shared/timing.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const real = process.env.CRITICAL_SHARPNESS_DATA ?? path.resolve(here, "../../shared/data");
const directory = path.join(real, "stories260k");
if (!existsSync(directory)) throw new Error(`Expected the real data in "${real}" (CRITICAL_SHARPNESS_DATA)`);

const ratios = Array.from({ length: 11 }, (_, i) => i / 10);
const accumulate = 6;
const rows = 10;
const sequence = 64;
const tolerance = 1e-3;
const rounds = 3;
const model = await loadModel(directory);

/** Token batches of a file's texts. */
async function open(file, text) {
  const tokenizer = await loadTokenizer(path.join(directory, "tokenizer.json"));
  const texts = jsonLinesTexts([path.join(real, file)], text);
  const stream = await tokenizeCorpus(file, texts, tokenizer, { endOfText: false, limit: 100_000 });
  return new TokenBatches(stream, { size: rows, sequence, seed: 1, sampling: "epochs" });
}
const stories = await open("stories260k/sampled-stories.jsonl", "text");
const gsm8k = await open("gsm8k/train.jsonl", templateText("{question}\n{answer}"));
const mmlu = await open("mmlu/test.jsonl", templateText("{question}\n{choices}"));
const taken = async (source, from, count) =>
  Promise.all(Array.from({ length: count }, (_, i) => source.training(from + i)));
const varied = await taken(stories, 1, accumulate);
const rest = await taken(gsm8k, 1, accumulate);
const judged = {
  stories: await taken(stories, accumulate + 1, 1),
  gsm8k: await taken(gsm8k, accumulate + 1, 1),
  mmlu: await taken(mmlu, 1, 1),
};
const asBatches = (all) => all.map(Batch.tokens);
const update = { varied: asBatches(varied), rest: asBatches(rest) };
const tasks = Object.fromEntries(Object.entries(judged).map(([name, all]) => [name, asBatches(all)]));
const batches = Object.values(tasks).flat();

/** A batch of the first sequences of one and of the other. */
function joined([a, ofA], [b, ofB]) {
  const pick = (key) =>
    Int32Array.from([...a[key].subarray(0, ofA * sequence), ...b[key].subarray(0, ofB * sequence)]);
  return Batch.tokens({ inputIds: pick("inputIds"), labels: pick("labels"), shape: [ofA + ofB, sequence] });
}
/** The batches of the mixture of a ratio r/10. */
const mixture = (r) => varied.map((_, i) => joined([varied[i], r], [rest[i], rows - r]));

let cost;
let measurements;
async function sweep() {
  ({
    measurements,
    costs: [cost],
  } = await sweepMix({
    model,
    update,
    evaluate: tasks,
    ratios,
    accumulate,
    repeats: 1,
    optimizer: { type: "adamw", ...adamw },
    tolerance,
  }));
  return { seconds: cost.backwardSeconds };
}
const mixtures = ratios.map((_, r) => mixture(r));
/** The backward passes of all ratios, one ratio after the other. */
async function direct() {
  for (const own of mixtures)
    for (const batch of [...own, ...batches]) (await model.gradient(batch)).gradient.dispose();
}
const times = await inTurns({ sweep, direct }, { rounds, warmup: 1 });
const backward = timeRatio(times, "direct", "sweep");
const oneRatio = rows * (accumulate + batches.length);
const ours = cost.updateRows + rows * cost.evaluatePasses;

// λc directly, from each mixture's own batches.
let worst = 0;
for (const [r, ratio] of ratios.entries()) {
  const optimizer = new AdamW(model, { learningRate: 1, ...adamw });
  for (const batch of mixture(r)) {
    const { gradient } = await model.gradient(batch);
    await optimizer.accumulate(gradient);
    gradient.dispose();
    batch.dispose();
  }
  const direction = await optimizer.direction();
  optimizer.dispose();
  for (const [task, [batch]] of Object.entries(tasks)) {
    const gradient = await model.gradient(batch);
    const expected = await criticalSharpness({ model, batch, direction, gradient, tolerance });
    gradient.gradient.dispose();
    const found = measurements.find((m) => m.ratio === ratio && m.task === task).measurement;
    const same = found.status === expected.status;
    const distance =
      expected.status === "converged"
        ? Math.abs(found.criticalSharpness / expected.criticalSharpness - 1)
        : 0;
    worst = Math.max(worst, same ? distance : Number.POSITIVE_INFINITY);
  }
  direction.dispose();
}

await writeResults("mix", "Sweeps over mixing ratios", [
  {
    what: "11 ratios × 3 tasks: sequences through backward passes against those of one ratio",
    bar: "≤ 2×",
    measured: figure(ours / oneRatio),
    met: ours / oneRatio <= 2,
    detail: `${cost.updateRows} for the updates, in ${cost.updatePasses} passes, and ${rows * cost.evaluatePasses} for the slopes against ${rows * accumulate} and ${rows * batches.length}; beside them ${cost.forwardPasses} forward passes, ${figure(cost.forwardPasses / (ratios.length * batches.length))} for each λc within ${tolerance}. The pretrained model of 260 K parameters, stories and GSM8K, judged by both and MMLU; ${accumulate} gradients of ${rows} × ${sequence} tokens`,
  },
  {
    what: "the same ratio by ratio: backward time against the sweep's",
    bar: "≥ 4×",
    measured: spread(backward),
    met: backward.median >= 4,
    detail: `${figure(quantile(times.direct, 0.5))} s against ${figure(quantile(times.sweep, 0.5))} s, in turns, ${rounds} rounds: ${ratios.length * oneRatio} sequences against ${ours}, whose passes are of one sequence each: the least favourable case`,
  },
  {
    what: "the same ratio by ratio: λc, largest difference",
    bar: `≤ ε = ${tolerance}`,
    measured: figure(worst),
    met: worst <= tolerance,
    detail: `every ratio and task, float32, AdamW; the status is the same everywhere`,
  },
  ...(await equalSourceRows(model, directory)),
  ...(await teacherRows()),
]);
