import { randomUUID } from "node:crypto";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { CriticalSharpnessError } from "../errors.js";
import { isRunning } from "../torch/index.js";

/** Who holds a directory, as its lock says. */
interface Holder {
  pid: number;
  host: string;
  /** When the process was started, in the words of its system: a number that is taken again belongs to another process. */
  started: string;
  id: string;
}

/**
 * The lock of a run directory, a file of that name with its holder in it. One whose process is dead is taken over; of a process on
 * another machine nobody here can tell.
 */
export class RunLock implements AsyncDisposable {
  readonly #file: string;
  readonly #holder: Holder;

  private constructor(file: string, holder: Holder) {
    this.#file = file;
    this.#holder = holder;
  }

  /** @throws CriticalSharpnessError `ERR_RUN_LOCKED` naming the process that has it. */
  static async acquire(directory: string): Promise<RunLock> {
    const file = path.join(directory, "lock");
    const started = (await startOf(process.pid)) ?? "";
    const holder: Holder = { pid: process.pid, host: os.hostname(), started, id: randomUUID() };
    const own = `${file}.${holder.id}`;
    await writeFile(own, `${JSON.stringify(holder)}\n`);
    try {
      if (await claim(own, file)) return new RunLock(file, holder);
      const dead = await deadHolder(directory, file);
      if (dead) await succeed(directory, file, { own, dead });
      else if (!(await claim(own, file))) throw locked(directory, await readHolder(file));
      return new RunLock(file, holder);
    } finally {
      await rm(own, { force: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if ((await readHolder(this.#file))?.id === this.#holder.id) await rm(this.#file, { force: true });
  }
}

/** Whether the file did not exist and is now what was written: a link is made whole or not at all, and by one process only. */
function claim(own: string, file: string): Promise<boolean> {
  return link(own, file).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "EEXIST") return false;
      throw error;
    },
  );
}

/** The dead process that has the lock; undefined where nobody has it. @throws where a live one does. */
async function deadHolder(directory: string, file: string): Promise<Holder | undefined> {
  const holder = await readHolder(file);
  if (!holder) return undefined;
  if (await isAlive(holder)) throw locked(directory, holder);
  return holder;
}

/**
 * Takes the place of a dead holder. Who may do so is settled by a second file, named after the dead one; whoever made it looks once
 * more, since another may have succeeded and removed its own meanwhile.
 */
async function succeed(
  directory: string,
  file: string,
  { own, dead }: { own: string; dead: Holder },
): Promise<void> {
  const mark = `${file}.after.${dead.id}`;
  if (!(await claim(own, mark))) {
    // One that died between both files left its mark behind.
    if (await deadHolder(directory, mark)) await rm(mark, { force: true });
    if (!(await claim(own, mark))) throw locked(directory, await readHolder(mark));
  }
  try {
    const now = await readHolder(file);
    if (now?.id !== dead.id) throw locked(directory, now);
    await rename(own, file);
  } finally {
    await rm(mark, { force: true });
  }
}

/** What a lock says; undefined of one that is not there. One that says nothing is of a process that died writing it. */
async function readHolder(file: string): Promise<Holder | undefined> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const nobody: Holder = { pid: 0, host: os.hostname(), started: "", id: "nobody" };
  try {
    return { ...nobody, ...JSON.parse(text) };
  } catch {
    return nobody;
  }
}

async function isAlive({ pid, host, started }: Holder): Promise<boolean> {
  if (host !== os.hostname()) return true;
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  if (!isRunning(pid)) return false;
  const now = await startOf(pid);
  return now === undefined || started === "" || now === started;
}

/** When a process was started, where the system says. */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // The name, in parentheses, may hold anything; the time is the twentieth word behind it.
  return text?.slice(text.lastIndexOf(")") + 2).split(" ")[19];
}

function locked(directory: string, holder: Holder | undefined): CriticalSharpnessError {
  const who = holder ? `process ${holder.pid} on ${holder.host}` : "another process";
  return new CriticalSharpnessError(
    "ERR_RUN_LOCKED",
    `Expected a directory that no process works in for the run directory "${directory}" but received one that ${who} has. ` +
      "Wait for it, stop it, or choose another directory" +
      (holder && holder.host !== os.hostname()
        ? `; if it is dead, remove ${path.join(directory, "lock")}`
        : ""),
  );
}
