// Two sources that are one have one λc at every ratio: the same texts in two orders, and a perceptron's examples of one distribution.
import path from "node:path";
import {
  Batch,
  jsonLinesTexts,
  loadTokenizer,
  summarizeMix,
  sweepMix,
  TokenBatches,
  tokenizeCorpus,
} from "../dist/index.js";
import { figure } from "./shared/results.mjs";
import { adamw, examplesOf, perceptron } from "./shared/teachers.mjs";

const nullRatios = [0, 0.25, 0.5, 0.75, 1];
const nullRepeats = 60;
const nullSweeps = 100;

/** Batches of a model's own stories, of which the one before is no longer needed. */
async function storiesOf(directory) {
  const storyTexts = jsonLinesTexts([path.join(directory, "sampled-stories.jsonl")], "text");
  const storyStream = await tokenizeCorpus(
    "stories",
    storyTexts,
    await loadTokenizer(path.join(directory, "tokenizer.json")),
    {},
  );
  return (seed, size) => {
    const source = new TokenBatches(storyStream, { size, sequence: 32, seed, sampling: "anywhere" });
    let last;
    return async (index) => {
      last?.dispose();
      last = Batch.tokens(await source.training(index + 1));
      return last;
    };
  };
}

async function equalSources(given, make, optimizer, steps) {
  const { measurements: found } = await sweepMix({
    model: given,
    update: { varied: make(1, 8), rest: make(2, 8) },
    evaluate: { held: make(3, 32) },
    ratios: nullRatios,
    accumulate: steps,
    repeats: nullRepeats,
    optimizer,
  });
  const { points, recommendation } = summarizeMix(found);
  const sharpness = points.map((point) => point.criticalSharpness);
  return { spread: Math.max(...sharpness) / Math.min(...sharpness), sharpness, recommendation };
}
const sgd = { type: "sgd" };

/** @param model the one of the folder, with its stories and its tokenizer beside it */
export async function equalSourceRows(model, directory) {
  const textsOf = await storiesOf(directory);
  let falseDecisions = 0;
  for (let i = 0; i < nullSweeps; i++) {
    const { measurements: found } = await sweepMix({
      model: perceptron,
      update: { varied: examplesOf(`null ${i} 1`, "a", 8), rest: examplesOf(`null ${i} 2`, "a", 8) },
      evaluate: { held: examplesOf(`null ${i} 3`, "a", 32) },
      ratios: nullRatios,
      repeats: 8,
      optimizer: sgd,
    });
    if (summarizeMix(found).recommendation.decided) falseDecisions++;
  }
  const equal = {
    "a perceptron, SGD": await equalSources(
      perceptron,
      (key, size) => examplesOf(`equal ${key}`, "a", size),
      sgd,
      1,
    ),
    "a perceptron, AdamW": await equalSources(
      perceptron,
      (key, size) => examplesOf(`equal ${key}`, "a", size),
      { type: "adamw", ...adamw, weightDecay: 0 },
      10,
    ),
    "the pretrained model on its stories, AdamW": await equalSources(
      model,
      textsOf,
      { type: "adamw", ...adamw, weightDecay: 0 },
      4,
    ),
  };
  return [
    ...Object.entries(equal).map(([name, { spread: found, sharpness, recommendation }]) => ({
      what: `both sources the same: largest λc over 5 ratios ÷ smallest; ${name}`,
      bar: "≤ 1.3, undecided",
      measured: `${figure(found)}, ${recommendation.decided ? "decided" : "undecided"}`,
      met: found <= 1.3 && !recommendation.decided,
      detail: `batches of 8, ${nullRepeats} repeats: ${sharpness.map((value) => figure(value)).join(", ")}`,
    })),
    {
      what: "both sources the same: sweeps that decide",
      bar: "≤ 5 %",
      measured: `${falseDecisions} of ${nullSweeps}`,
      met: falseDecisions <= 0.05 * nullSweeps,
      detail: `a perceptron, SGD, batches of 8, 8 repeats, one task: noise that is far from normal`,
    },
  ];
}
