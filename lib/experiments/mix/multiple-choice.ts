import type { TextTokenizer } from "../../data/index.js";
import { parseLine } from "../../data/texts.js";
import { throwIfAborted } from "../../errors.js";
import { badData, textLines } from "../../files/index.js";
import { Batch, type Model } from "../../models/index.js";
import { checkNumber, checkStrings } from "../../options/index.js";

export interface MultipleChoiceQuestion {
  question: string;
  choices: string[];
  /** The place of the right choice. */
  answer: number;
}

/**
 * Questions from JSON Lines files in the layout of MMLU: `{"question", "choices": […], "answer": place}`; other keys are
 * passed over.
 *
 * @param limit so many at most, the first
 * @throws CriticalSharpnessError `ERR_FILE`, `ERR_DATA` naming file and line.
 */
export async function multipleChoiceQuestions(
  files: readonly string[],
  limit = Number.MAX_SAFE_INTEGER,
): Promise<MultipleChoiceQuestion[]> {
  checkNumber(limit, "limit", { minimum: 1, integer: true });
  const questions: MultipleChoiceQuestion[] = [];
  for (const file of checkStrings(files, "files"))
    for await (const { text, number } of textLines(file)) {
      if (text.trim() !== "") questions.push(parseQuestion(text, `line ${number} of "${file}"`));
      if (questions.length === limit) return questions;
    }
  if (questions.length === 0) throw badData("questions", `"${files.join(", ")}"`, "none");
  return questions;
}

function parseQuestion(line: string, source: string): MultipleChoiceQuestion {
  const { question, choices, answer } = (parseLine(line, source) ?? {}) as Partial<MultipleChoiceQuestion>;
  const sound =
    typeof question === "string" &&
    Array.isArray(choices) &&
    choices.length > 1 &&
    choices.every((choice) => typeof choice === "string") &&
    Number.isSafeInteger(answer) &&
    (answer as number) >= 0 &&
    (answer as number) < choices.length;
  if (!sound)
    throw badData(
      '{"question": text, "choices": at least two, "answer": the place of one}',
      source,
      "something else",
    );
  return { question, choices, answer: answer as number };
}

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
