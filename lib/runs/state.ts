import { access, link, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import { CriticalSharpnessError } from "../errors.js";
import { openFile } from "../files/index.js";
import type { Group } from "../ranks/index.js";

const stateFile = "state.json";

/**
 * A folder with everything from which a run goes on: files, and a state.json which is written last. It is replaced as a whole:
 * whenever its writer is killed, `find` finds the old one or the new one.
 */
export class StateFolder<State extends object> {
  readonly folder: string;
  readonly #accepts: (state: Partial<State>) => boolean;

  readonly #group: Group | undefined;

  /**
   * @param name of the folder in the run's directory
   * @param accepts whether a state.json has what it should
   * @param group the ranks that make the run together, which all call the members, in one order: the first one writes
   */
  constructor(
    directory: string,
    name: string,
    accepts: (state: Partial<State>) => boolean,
    group?: Group | undefined,
  ) {
    this.folder = path.join(directory, name);
    this.#accepts = accepts;
    this.#group = group;
  }

  /** @param write writes the files into a folder that nobody else sees yet, and gives the state */
  async save(write: (folder: string) => Promise<State>): Promise<void> {
    const { next, previous } = this.#places;
    if (!this.#writes) {
      await write(next);
      await this.#group?.meet();
      return;
    }
    await rm(next, { recursive: true, force: true });
    await mkdir(next);
    const state = await write(next);
    const file = path.join(next, stateFile);
    {
      await using handle = await openFile(`${file}.tmp`, "w");
      await handle.writeFile(`${JSON.stringify(state)}\n`);
      await handle.sync();
    }
    await rename(`${file}.tmp`, file);
    await this.#settle();
    await rm(previous, { recursive: true, force: true });
    await this.#group?.meet();
  }

  /** @throws CriticalSharpnessError `ERR_CHECKPOINT` if it is damaged. */
  async find(): Promise<State | undefined> {
    if (this.#writes) await this.#settle();
    await this.#group?.meet();
    if (!(await exists(this.folder))) return undefined;
    const file = path.join(this.folder, stateFile);
    let state: Partial<State> | null;
    try {
      state = JSON.parse(await readFile(file, "utf8"));
    } catch (error) {
      throw damaged(file, (error as Error).message);
    }
    if (typeof state !== "object" || state === null || !this.#accepts(state))
      throw damaged(file, "another kind of JSON");
    return state as State;
  }

  /** Puts a file of the state that is there into the folder of the next one, where it is the same. */
  async reuse(file: string, folder: string): Promise<void> {
    if (this.#writes) await link(path.join(this.folder, file), path.join(folder, file));
  }

  /** Keeps what is there in a folder of its own, whole or not at all. Files are linked, not copied: they are replaced, never changed. */
  async keep(folder: string): Promise<void> {
    if (!this.#writes || (await exists(folder))) return;
    await rm(`${folder}.next`, { recursive: true, force: true });
    await mkdir(`${folder}.next`, { recursive: true });
    for (const file of await readdir(this.folder))
      await link(path.join(this.folder, file), path.join(`${folder}.next`, file));
    await rename(`${folder}.next`, folder);
  }

  async remove(): Promise<void> {
    // All have read what they need of it.
    await this.#group?.meet();
    if (!this.#writes) return;
    for (const place of [this.folder, ...Object.values(this.#places)])
      await rm(place, { recursive: true, force: true });
  }

  get #writes(): boolean {
    return this.#group?.isFirst ?? true;
  }

  get #places() {
    return { next: `${this.folder}.next`, previous: `${this.folder}.previous` };
  }

  /** Puts a complete next one in the place of the current one, or the previous one back: folders cannot be swapped in one go. */
  async #settle(): Promise<void> {
    const { next, previous } = this.#places;
    if (await exists(path.join(next, stateFile))) {
      if (await exists(this.folder)) {
        await rm(previous, { recursive: true, force: true });
        await rename(this.folder, previous);
      }
      await rename(next, this.folder);
    } else if (!(await exists(this.folder)) && (await exists(path.join(previous, stateFile)))) {
      await rename(previous, this.folder);
    }
  }
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

function damaged(file: string, received: string): CriticalSharpnessError {
  return new CriticalSharpnessError(
    "ERR_CHECKPOINT",
    `Expected the state of a run for "${file}" but received ${received}. Start the run afresh`,
  );
}

/** Saves so often that it takes at most a tenth of the time, whatever there is to save. */
export class SavingPace {
  readonly #save: () => Promise<void>;
  readonly #group: Group | undefined;
  #saved = performance.now();
  /** Of one save, in milliseconds. */
  #duration = 0;

  /** @param group the ranks that save together, at the pace of whichever is the most patient */
  constructor(save: () => Promise<void>, group: Group | undefined) {
    this.#save = save;
    this.#group = group;
  }

  /** Saves, if the last one is long enough ago. */
  async perhaps(): Promise<void> {
    const started = performance.now();
    const isEarly = started - this.#saved < 10 * this.#duration;
    if (await (this.#group?.any(isEarly) ?? isEarly)) return;
    await this.#save();
    this.#saved = performance.now();
    this.#duration = this.#saved - started;
  }
}
