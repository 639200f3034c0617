import type { FileHandle } from "node:fs/promises";
import { openFile } from "../open-file.js";
import type { MetricsRecord, StepRecord, ValidationRecord } from "./records.js";

/** A run's metrics.jsonl: a line for each record, in the file as soon as `append` is done. */
export class MetricsLog implements AsyncDisposable {
  readonly #file: FileHandle;
  /** The last records of their kind. */
  lastStep: StepRecord | undefined;
  lastValidation: ValidationRecord | undefined;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /**
   * Opens the log to go on after `step`: what was written of later steps, which are made again, and a last line that was
   * cut short are removed.
   */
  static async open(path: string, step: number): Promise<MetricsLog> {
    const file = await openFile(path, "a+");
    try {
      const log = new MetricsLog(file);
      await file.truncate(log.#keep(await file.readFile(), step));
      return log;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async append(record: MetricsRecord): Promise<void> {
    await this.#file.appendFile(`${JSON.stringify(record)}\n`);
    this.#remember(record);
  }

  /** What was appended is on the disk, not only with the operating system. */
  async sync(): Promise<void> {
    await this.#file.datasync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  /** The bytes of the whole lines that belong to steps up to `step`. */
  #keep(content: Buffer, step: number): number {
    let start = 0;
    for (let end = content.indexOf(10); end >= 0; end = content.indexOf(10, start)) {
      let record: MetricsRecord;
      try {
        record = JSON.parse(content.toString("utf8", start, end));
      } catch {
        break;
      }
      if (!(record?.step <= step)) break;
      this.#remember(record);
      start = end + 1;
    }
    return start;
  }

  #remember(record: MetricsRecord): void {
    if (record.type === "step") this.lastStep = record;
    if (record.type === "validation") this.lastValidation = record;
  }
}
