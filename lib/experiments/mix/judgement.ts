import {
  byteTokenizer,
  loadTokenizer,
  type MultipleChoiceQuestion,
  multipleChoiceQuestions,
  type TextTokenizer,
} from "../../data/index.js";
import { throwIfAborted } from "../../errors.js";
import { Batch, type Model } from "../../models/index.js";
import { defaultSequence } from "../training-data.js";
import { choiceTokenizer, type MixConfiguration } from "./mix-configuration.js";
import type { MixData } from "./mix-data.js";
import type { MixCellRecord } from "./mix-records.js";

/** What a trained model is judged by. */
interface Judge {
  data: MixData;
  configuration: MixConfiguration;
  signal: AbortSignal | undefined;
}

/** Losses by task, and the part of questions answered rightly by their name. */
export interface Judgement {
  tasks: Record<string, number>;
  choices: Record<string, number>;
}

type Questions = Record<string, TokenizedQuestion[]>;

/** A choice as tokens: a sequence, and from which place on its labels belong to the choice. */
interface Option {
  tokens: number[];
  from: number;
}

export interface TokenizedQuestion {
  options: Option[];
  answer: number;
}

/** Questions as tokens: `question`, "Answer:" on a line of its own and a choice after it, the end nearest the choice kept. */
export function tokenizeQuestions(
  questions: readonly MultipleChoiceQuestion[],
  tokenizer: TextTokenizer,
  contextLength: number,
): TokenizedQuestion[] {
  const encode = (text: string) =>
    Array.from(tokenizer.encodeDocument?.(text, { endOfText: false }) ?? tokenizer.encode(text));
  return questions.map(({ question, choices, answer }) => {
    const prompt = `${question}\nAnswer:`;
    const known = encode(prompt).length;
    const options = choices.map((choice) => {
      const tokens = encode(`${prompt} ${choice}`);
      const cut = Math.max(0, tokens.length - contextLength - 1);
      // At least the last token is the choice's, however the tokenizer joins it with what stands before.
      const from = Math.min(known, tokens.length - 1) - cut;
      return { tokens: tokens.slice(cut), from: Math.max(1, from) };
    });
    return { options, answer };
  });
}

/** Part of the questions whose right choice has the highest likelihood: Σ ln p of its tokens, by one forward pass each. */
export async function choiceAccuracy(
  model: Model,
  questions: readonly TokenizedQuestion[],
  signal?: AbortSignal,
): Promise<number> {
  let right = 0;
  for (const { options, answer } of questions) {
    throwIfAborted(signal);
    const likelihoods: number[] = [];
    for (const option of options) likelihoods.push(await logLikelihood(model, option));
    if (likelihoods.indexOf(Math.max(...likelihoods)) === answer) right++;
  }
  return right / questions.length;
}

async function logLikelihood(model: Model, { tokens, from }: Option): Promise<number> {
  const inputIds = Uint32Array.from(tokens.slice(0, -1));
  const labels = Int32Array.from(tokens.slice(1), (token, i) => (i + 1 >= from ? token : -100));
  using batch = Batch.tokens({ inputIds, labels, shape: [1, inputIds.length] });
  return -(await model.loss(batch)) * batch.count;
}

/** The multiple-choice questions of a configuration. */
export async function openQuestions(configuration: MixConfiguration, model: Model): Promise<Questions> {
  const { choices } = configuration.train;
  const questions: Questions = {};
  if (Object.keys(choices).length === 0) return questions;
  const file = choiceTokenizer(configuration);
  const tokenizer = file === "bytes" ? byteTokenizer : await loadTokenizer(file);
  for (const [name, { files, limit }] of Object.entries(choices))
    questions[name] = tokenizeQuestions(
      await multipleChoiceQuestions(files, limit),
      tokenizer,
      defaultSequence(model.config),
    );
  return questions;
}

/** What judgements must share to be compared. */
export function judgementSetup(
  { configuration, data }: Pick<Judge, "configuration" | "data">,
  questions: Questions,
): MixCellRecord["setup"] {
  const { steps, batches } = configuration.train;
  const available = Math.min(batches, ...data.tasks.map((name) => Math.max(1, data.judgeBatches(name))));
  const choices = Object.entries(questions).map(([name, all]) => [name, all.length]);
  return { steps, batches: available, choices: Object.fromEntries(choices) };
}

/** The loss of each task's held-out batches that no sweep saw, and the accuracy on questions. */
export async function judge(judged: Judge, model: Model, questions: Questions): Promise<Judgement> {
  const { data, configuration, signal } = judged;
  const { batches } = judgementSetup(judged, questions);
  const tasks: Judgement["tasks"] = {};
  for (const name of data.tasks) {
    let [sum, count] = [0, 0];
    for (let i = 0; i < batches; i++) {
      const batch = await data.judge(name, i);
      const options = { microBatch: configuration.batch.microBatch, signal };
      sum += batch.count * (await model.loss(batch, options));
      count += batch.count;
    }
    tasks[name] = sum / count;
  }
  const choices: Judgement["choices"] = {};
  for (const [name, all] of Object.entries(questions))
    choices[name] = await choiceAccuracy(model, all, signal);
  return { tasks, choices };
}
