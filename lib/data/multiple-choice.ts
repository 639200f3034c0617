import { badData, textLines } from "../files/index.js";
import { checkNumber, checkStrings } from "../options/index.js";
import { parseLine } from "./texts.js";

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
