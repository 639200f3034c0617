import type { MultipleChoiceQuestion, TextTokenizer } from "../../data/index.js";
import { throwIfAborted } from "../../errors.js";
import { Batch, type Model } from "../../models/index.js";

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
