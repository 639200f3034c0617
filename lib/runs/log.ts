import { type FileHandle, open } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { openFile } from "../files/index.js";
import { badRun } from "./directory.js";
import type { RecordOf, RecordSchemas } from "./kind.js";

/**
 * A run's metrics.jsonl: a line for each record, in the file as soon as `append` is done, and never changed again. What is not
 * finite is written as null.
 */
export class RunLog<Schemas extends RecordSchemas> implements AsyncDisposable {
  readonly #file: FileHandle;
  /** Records in the file. */
  count: number;

  private constructor(file: FileHandle, count: number) {
    this.#file = file;
    this.count = count;
  }

  /**
   * Opens a log to go on. With the first record of which `take` says no it ends, as it does with a last line that was cut short: what
   * comes after was written since the state from which the run goes on, and is made again.
   *
   * @param relied how many records that state relies on: a damaged line behind them ends the log too
   * @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` naming a damaged line among those, or telling that some are missing.
   */
  static async open<Schemas extends RecordSchemas>(
    file: string,
    schemas: Schemas,
    { take, relied = Infinity }: { take: (record: RecordOf<Schemas>) => boolean; relied?: number },
  ): Promise<RunLog<Schemas>> {
    const handle = await openFile(file, "a+");
    try {
      let [end, count] = [0, 0];
      try {
        for await (const line of readRecords(file, schemas)) {
          if (!line.whole || !line.isObject || (line.record && !take(line.record))) break;
          end = line.end;
          count++;
        }
      } catch (error) {
        if (count < relied) throw error;
      }
      if (count < relied && relied < Infinity)
        throw badRun(`at least ${relied} records in metrics.jsonl`, path.dirname(file), `${count}`);
      await handle.truncate(end);
      return new RunLog<Schemas>(handle, count);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async append(record: RecordOf<Schemas>): Promise<void> {
    await this.#file.appendFile(`${JSON.stringify(record)}\n`);
    this.count++;
  }

  /** What was appended is on the disk, not only with the operating system. */
  async sync(): Promise<void> {
    await this.#file.datasync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

/** A line of a log. */
export interface LogLine<Schemas extends RecordSchemas> {
  /** Undefined of a record whose type is none of the kind's: that of a later version, and nobody's business. */
  record: RecordOf<Schemas> | undefined;
  isObject: boolean;
  /** Whether its end is there; a record may be whole without. */
  whole: boolean;
  /** Bytes of the file up to and with it. */
  end: number;
}

/**
 * The records of a log, one at a time; none where there is no file. A last line that is cut short is passed over.
 *
 * @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` naming a damaged line, or a record that is none.
 */
export async function* readRecords<Schemas extends RecordSchemas>(
  file: string,
  schemas: Schemas,
): AsyncGenerator<LogLine<Schemas>> {
  const records = new Map(Object.entries(schemas).map(([type, schema]) => [type, typed(type, schema)]));
  let number = 0;
  for await (const { text, whole, end } of readLines(file)) {
    number++;
    const parsed = parseLine(text);
    if (parsed === undefined) {
      if (!whole) return;
      throw badRun(
        "JSON in every line of metrics.jsonl",
        path.dirname(file),
        `something else in line ${number}`,
      );
    }
    const schema = records.get(String((parsed as { type?: unknown } | null)?.type));
    const record = schema?.safeParse(parsed);
    if (record && !record.success)
      throw badRun(
        "the records of a run in metrics.jsonl",
        path.dirname(file),
        `something else in line ${number}`,
        record.error,
      );
    const isObject = typeof parsed === "object" && parsed !== null;
    yield { record: record?.data as RecordOf<Schemas> | undefined, isObject, whole, end };
  }
}

const typed = (type: string, schema: z.ZodObject) => z.object({ type: z.literal(type), ...schema.shape });

function parseLine(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Lines with the place of their ends in bytes. The last may lack its own. */
async function* readLines(file: string): AsyncGenerator<{ text: string; whole: boolean; end: number }> {
  const handle = await open(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw badRun("a readable metrics.jsonl", path.dirname(file), error.message, error);
  });
  if (!handle) return;
  let rest: Buffer = Buffer.alloc(0);
  let end = 0;
  try {
    for await (const chunk of handle.createReadStream({ highWaterMark: 1 << 20 })) {
      const bytes = Buffer.concat([rest, chunk as Buffer]);
      let start = 0;
      for (let stop = bytes.indexOf(10); stop >= 0; stop = bytes.indexOf(10, start)) {
        end += stop + 1 - start;
        yield { text: bytes.toString("utf8", start, stop), whole: true, end };
        start = stop + 1;
      }
      rest = bytes.subarray(start);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw badRun("a readable metrics.jsonl", path.dirname(file), (error as Error).message, error);
  }
  if (rest.length > 0) yield { text: rest.toString("utf8"), whole: false, end: end + rest.length };
}
