import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { CriticalSharpnessError } from "../../errors.js";

/**
 * Makes a file for as long as this process works on something. One that a process left behind which is no more is taken over.
 *
 * @throws CriticalSharpnessError `ERR_LOCKED` if another process has it.
 */
export function lock(file: string): Disposable {
  for (;;) {
    try {
      writeFileSync(file, `${process.pid}`, { flag: "wx" });
      const release = () => rmSync(file, { force: true });
      process.once("exit", release);
      return {
        [Symbol.dispose]() {
          process.off("exit", release);
          release();
        },
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const owner = ownerOf(file);
    if (owner !== undefined && isRunning(owner))
      throw new CriticalSharpnessError(
        "ERR_LOCKED",
        `Expected to be the only process that downloads into this cache but process ${owner} does so too. Wait for it, or run \`rm "${file}"\` if that is another program`,
      );
    rmSync(file, { force: true });
  }
}

function ownerOf(file: string): number | undefined {
  try {
    return Number(readFileSync(file, "utf8")) || undefined;
  } catch {
    return undefined; // released meanwhile
  }
}

function isRunning(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
