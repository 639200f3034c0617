import path from "node:path";
import * as z from "zod";
import { AbortError, throwIfAborted } from "../errors.js";
import { callback, instance, name, type OptionsOf, signalSchema } from "../options/index.js";
import { type Group, groupSchema } from "../ranks/index.js";
import { versions } from "../torch/index.js";
import {
  badRun,
  kindOf,
  notARun,
  prepareDirectory,
  readConfiguration,
  readStored,
  runFiles,
  writable,
} from "./directory.js";
import type { Kind, KindHeader, RecordOf, RecordSchemas, StoredRun } from "./kind.js";
import { RunLock } from "./lock.js";
import { RunLog, readRecords } from "./log.js";
import type { Sink } from "./sinks/sink.js";

/** What every experiment that is a run takes beside its configuration. */
export function runOptions<Event>() {
  return {
    /** The run's directory: a new one, or that of the same configuration, whose run goes on. */
    directory: name,
    /** Removes a run that is in the directory and starts again. */
    fresh: z.boolean().default(false),
    /** Stops the run; the same call goes on from there. */
    signal: signalSchema.optional(),
    /** Called for each event, in order. What it throws ends the run. */
    onProgress: callback<(event: Event) => void>().default(() => () => {}),
    /** Where else events go, see `Sink`. */
    sinks: z
      .array(instance<Sink>("a sink, which has a function receive,", (sink) => "receive" in sink))
      .readonly()
      .default([]),
  };
}

/** What an experiment takes besides that several ranks can make together. */
export const rankOptions = {
  /**
   * The ranks that make the run together, of `joinGroup`. The records are those of one process, bit for bit; the first rank writes them,
   * and events are told there alone. A run that stops goes on with any number of ranks.
   */
  group: groupSchema.optional(),
};

export type RankOptions = OptionsOf<typeof rankOptions>;

type RunShape<Event> = ReturnType<typeof runOptions<Event>>;

export type RunOptions<Event> = OptionsOf<RunShape<Event>>;
export type CheckedRunOptions<Event> = z.core.$InferObjectOutput<RunShape<Event>, Record<never, never>> & {
  group?: Group | undefined;
};

/** A run that is under way: its directory, which no other run works in, and where its records and events go. */
export class Run<Event extends { type: string }, Schemas extends RecordSchemas> implements AsyncDisposable {
  readonly directory: string;
  /** Stops the run. Of several ranks it stops all, and only where they ask `isStopped`. */
  readonly signal: AbortSignal | undefined;
  readonly group: Group | undefined;
  readonly #stop: AbortController | undefined;
  readonly #kind: Kind;
  readonly #records: Schemas;
  readonly #lock: RunLock | undefined;
  readonly #options: CheckedRunOptions<Event>;
  #log: RunLog<Schemas> | undefined;

  private constructor(
    kind: Kind,
    records: Schemas,
    options: CheckedRunOptions<Event>,
    lock: RunLock | undefined,
  ) {
    this.directory = options.directory;
    this.group = options.group;
    this.#stop = this.group && this.group.size > 1 ? new AbortController() : undefined;
    this.signal = this.#stop?.signal ?? options.signal;
    this.#options = options;
    this.#kind = kind;
    this.#records = records;
    this.#lock = lock;
  }

  /**
   * Starts a run in its directory, or goes on with the one that is there; `openLog` comes next.
   *
   * @throws CriticalSharpnessError `ERR_RUN_DIRECTORY`, `ERR_RUN_LOCKED`; AbortError.
   */
  static async open<
    Event extends { type: string },
    Configuration extends object,
    Schemas extends RecordSchemas,
  >(
    kind: Kind<Configuration, Schemas>,
    configuration: Configuration,
    options: CheckedRunOptions<Event>,
  ): Promise<Run<Event, Schemas>> {
    const { directory, fresh, signal, group } = options;
    if (!group || group.size === 1) throwIfAborted(signal);
    // Sinks take any kind: to them its configuration and its records are objects, no more.
    const erased = kind as unknown as Kind;
    const run = (lock?: RunLock) => new Run<Event, Schemas>(erased, kind.records, options, lock);
    if (group && !group.isFirst) {
      await group.meet();
      return run();
    }
    return writable(directory, async () => {
      const lock = await RunLock.acquire(directory);
      try {
        await prepareDirectory(kind, directory, configuration, { fresh, versions: await versions() });
        await group?.meet();
        return run(lock);
      } catch (error) {
        await lock[Symbol.asyncDispose]();
        throw error;
      }
    });
  }

  /** The records that are in the log, a last line that was cut short left out. */
  async *recorded(): AsyncGenerator<RecordOf<Schemas>> {
    for await (const { record, whole } of readRecords(this.#file, this.#records))
      if (record && whole) yield record;
  }

  /** Opens the log to go on, see `RunLog.open`. */
  async openLog(from: Parameters<typeof RunLog.open<Schemas>>[2]): Promise<void> {
    // All have read what is recorded before the first one writes.
    await this.group?.meet();
    if (!this.#lock) return;
    this.#log = await RunLog.open(this.#file, this.#records, from);
    const run = { kind: this.#kind, directory: this.directory, past: () => this.recorded() };
    for (const sink of this.#options.sinks) await sink.begin?.(run);
  }

  get #file(): string {
    return path.join(this.directory, runFiles.metrics);
  }

  /** Number of records in the log. */
  get count(): number {
    return this.#log?.count ?? 0;
  }

  /** Writes a record, and tells of it. */
  async record(record: RecordOf<Schemas> & Event): Promise<void> {
    await this.#log?.append(record);
    await this.tell(record);
  }

  /** Tells of an event that is not written. */
  async tell(event: Event): Promise<void> {
    if (!this.#lock) return;
    this.#options.onProgress(event);
    for (const sink of this.#options.sinks) await sink.receive(event);
  }

  /** What was recorded is on the disk, not only with the operating system. */
  async sync(): Promise<void> {
    await this.#log?.sync();
  }

  /** Whether the run is to stop, as all ranks learn at once when one of them was asked to. */
  async isStopped(): Promise<boolean> {
    if (this.#stop && !this.#stop.signal.aborted) {
      const { signal } = this.#options;
      if (await this.group?.any(signal?.aborted ?? false)) this.#stop.abort(signal?.reason);
    }
    return this.signal?.aborted ?? false;
  }

  /** @throws AbortError if the run is to stop. */
  async throwIfStopped(): Promise<void> {
    if (await this.isStopped()) throw this.stopped();
  }

  stopped(): AbortError {
    return new AbortError(this.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#log?.[Symbol.asyncDispose]();
      if (this.#lock) for (const sink of this.#options.sinks) await sink[Symbol.asyncDispose]?.();
    } finally {
      await this.#lock?.[Symbol.asyncDispose]();
    }
  }
}

/**
 * The kind of the run in a directory.
 *
 * @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if there is no run, or one of a kind that is not among these.
 */
export async function findKind<K extends KindHeader>(directory: string, kinds: readonly K[]): Promise<K> {
  const stored = await readStored(directory);
  if (!stored)
    throw badRun(
      "a run",
      directory,
      `one without a config.json. Make a run first: ${howTo(kinds[0], directory)}`,
    );
  const kind = kindOf(stored, kinds);
  if (kind) return kind;
  throw notARun(directory);
}

/**
 * A run of a kind as its directory has it, be it under way.
 *
 * @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if there is no such run; `ERR_CONFIGURATION` if its config.json was changed
 *   into one that is none.
 */
export async function readRun<Configuration extends object, Schemas extends RecordSchemas>(
  kind: Kind<Configuration, Schemas>,
  directory: string,
): Promise<StoredRun<Configuration, Schemas>> {
  await findKind(directory, [kind]);
  const stored = (await readStored(directory)) as Record<string, unknown>;
  return {
    directory,
    ...(await readConfiguration(kind, directory, stored)),
    async *records() {
      for await (const { record } of readRecords(path.join(directory, runFiles.metrics), kind.records))
        if (record) yield record;
    },
  };
}

/** The command that makes a run of a kind. */
function howTo(kind: KindHeader | undefined, directory: string): string {
  return `critical-sharpness ${kind?.usage} --out ${directory}`;
}
