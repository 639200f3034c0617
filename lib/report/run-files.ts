import { open, readFile } from "node:fs/promises";
import path from "node:path";
import { CriticalSharpnessError } from "../errors.js";
import { runFiles, runKinds } from "../experiments/run-directory.js";
import { isSound } from "./record-shapes.js";

/** The config.json of a run of one kind. */
export async function readStored(
  directory: string,
  kind: keyof typeof runKinds,
): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = await readFile(path.join(directory, runFiles.configuration), "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const received =
      code === "ENOENT" || code === "ENOTDIR"
        ? `one without a config.json. Make a run first: critical-sharpness train <config> --out ${directory}`
        : message;
    throw badRun("a run", directory, received, error);
  }
  try {
    const stored: unknown = JSON.parse(text);
    if (isObject(stored) && runKinds[kind].every((key) => key in stored)) return stored;
  } catch {
    // Said below: not a run's either way.
  }
  throw badRun("a run", directory, "one whose config.json is not a run's");
}

/** Whether a directory is that of a run of one kind. */
export async function isRunOf(directory: string, kind: keyof typeof runKinds): Promise<boolean> {
  return readStored(directory, kind).then(
    () => true,
    () => false,
  );
}

/** The records of a metrics.jsonl, a last line that is cut short left out; none where there is no file. */
export async function* readLines(directory: string): AsyncGenerator<Record<string, unknown>> {
  const file = await open(path.join(directory, runFiles.metrics)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw badRun("a readable metrics.jsonl", directory, error.message, error);
  });
  if (!file) return;
  let damaged = 0;
  let count = 0;
  try {
    for await (const line of file.readLines()) {
      count++;
      // Only a last line may be cut short; what stands after a damaged one cannot be relied on.
      if (damaged > 0)
        throw badRun("JSON in every line of metrics.jsonl", directory, `something else in line ${damaged}`);
      const record = parsed(line);
      if (record === undefined) damaged = count;
      if (!isObject(record)) continue;
      if (!isSound(record))
        throw badRun("the records of a run in metrics.jsonl", directory, `something else in line ${count}`);
      yield record;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw badRun("a readable metrics.jsonl", directory, (error as Error).message, error);
  }
}

/** undefined if it is no JSON. */
function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function badRun(
  what: string,
  directory: string,
  received: string,
  cause?: unknown,
): CriticalSharpnessError {
  return new CriticalSharpnessError(
    "ERR_RUN_DIRECTORY",
    `Expected ${what} for the run directory "${directory}" but received ${received}`,
    { cause },
  );
}
