import { type FileHandle, readFile, rename, writeFile } from "node:fs/promises";
import { CriticalSharpnessError } from "../errors.js";
import { openFile } from "../open-file.js";

/** A file of JSON Lines that only grows: a line is in the file as soon as `append` is done. */
export class AppendLog<Record> implements AsyncDisposable {
  readonly #file: FileHandle;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /**
   * Opens a log to go on.
   *
   * @param select which of the records that are there stay; a last line that was cut short does not
   */
  static async open<Record>(
    path: string,
    select: (records: Record[]) => Record[],
  ): Promise<{ log: AppendLog<Record>; kept: Record[] }> {
    const content = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "";
      throw error;
    });
    const kept = select(parse<Record>(content, path));
    const text = kept.map(line).join("");
    if (text !== content) {
      await writeFile(`${path}.tmp`, text);
      await rename(`${path}.tmp`, path);
    }
    return { log: new AppendLog<Record>(await openFile(path, "a")), kept };
  }

  async append(record: Record): Promise<void> {
    await this.#file.appendFile(line(record));
  }

  /** What was appended is on the disk, not only with the operating system. */
  async sync(): Promise<void> {
    await this.#file.datasync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

const line = (record: unknown) => `${JSON.stringify(record)}\n`;

function parse<Record>(content: string, path: string): Record[] {
  const lines = content.split("\n");
  const last = lines.pop() as string;
  return [...lines, ...(last === "" ? [] : [last])].flatMap((text, i): Record[] => {
    try {
      return [JSON.parse(text)];
    } catch (error) {
      // Only the last line may be cut short; what stands after another damaged one would be lost.
      if (i >= lines.length) return [];
      throw new CriticalSharpnessError(
        "ERR_RUN_DIRECTORY",
        `Expected JSON in every line for "${path}" but received something else in line ${i + 1}`,
        { cause: error },
      );
    }
  });
}
