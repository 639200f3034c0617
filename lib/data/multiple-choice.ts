import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { checkNumber, checkStrings } from "../checks.js";
import { badData, unreadable } from "./errors.js";

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
  for (const file of checkStrings(files, "files")) {
    const input = createReadStream(file, "utf8");
    let number = 0;
    try {
      for await (const line of createInterface({ input, crlfDelay: Infinity })) {
        number++;
        if (line.trim() !== "") questions.push(parseQuestion(line, `line ${number} of "${file}"`));
        if (questions.length === limit) return questions;
      }
    } catch (error) {
      throw (error as NodeJS.ErrnoException).syscall ? unreadable("a readable file", file, error) : error;
    } finally {
      input.destroy();
    }
  }
  if (questions.length === 0) throw badData("questions", `"${files.join(", ")}"`, "none");
  return questions;
}

function parseQuestion(line: string, source: string): MultipleChoiceQuestion {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw badData("JSON", source, (error as Error).message);
  }
  const { question, choices, answer } = (value ?? {}) as Partial<MultipleChoiceQuestion>;
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
