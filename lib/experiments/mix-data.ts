import {
  MixtureBatches,
  normalizedShares,
  splitStream,
  type TokenBatch,
  TokenBatches,
  type TokenStream,
  varyShare,
} from "../data/index.js";
import { Batch, type Model } from "../models/index.js";
import { badConfiguration } from "./configuration-errors.js";
import type { MixConfiguration } from "./mix-configuration.js";
import { openData } from "./open-data.js";
import { checkFit, defaultSequence } from "./training-data.js";

/**
 * The batches of a mix: of its two parts, of its tasks and of whole mixtures. A source's end is kept out of all mixtures: it
 * judges. A batch belongs to this until the next of its kind.
 */
export class MixData implements AsyncDisposable {
  readonly #configuration: MixConfiguration;
  readonly #sequence: number;
  readonly #opened: TokenStream[] = [];
  /** What mixtures are made of, by source. */
  readonly #parts: Record<string, TokenStream> = {};
  readonly #tasks: Record<string, TokenBatches> = {};
  readonly #made = new Map<string, Batch>();
  #varied: TokenBatches | undefined;
  #rest: MixtureBatches | undefined;

  private constructor(configuration: MixConfiguration, sequence: number) {
    this.#configuration = configuration;
    this.#sequence = sequence;
  }

  /** @throws CriticalSharpnessError `ERR_DATA`, `ERR_FILE`; `ERR_CONFIGURATION` if the data do not fit the model. */
  static async open(configuration: MixConfiguration, model: Model): Promise<MixData> {
    const { sources, tasks, vary, batch, withoutTask, evaluate } = configuration;
    const data = new MixData(configuration, batch.sequence ?? defaultSequence(model.config));
    const judge = evaluate.size ?? 2 * batch.size;
    try {
      for (const [name, { data: section }] of Object.entries(sources)) {
        const [mixed, held] = splitStream(await data.#open(name, section, model), evaluate.fraction);
        data.#parts[name] = mixed;
        if (!withoutTask.includes(name)) data.#tasks[name] = data.#cut(held, judge);
      }
      for (const [name, { data: section }] of Object.entries(tasks))
        data.#tasks[name] = data.#cut(await data.#open(name, section, model), judge);
      data.#varied = data.#cut(data.#parts[vary] as TokenStream, batch.size);
      const { [vary]: _, ...others } = data.#shares;
      data.#rest = data.#mixture(others);
      return data;
    } catch (error) {
      await data[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Names of the tasks. */
  get tasks(): string[] {
    return Object.keys(this.#tasks);
  }

  /** Batches of a task that differ. */
  taskBatches(name: string): number {
    return (this.#tasks[name] as TokenBatches).trainingBatches;
  }

  /** Batches of the varied source that differ. */
  get variedBatches(): number {
    return (this.#varied as TokenBatches).trainingBatches;
  }

  async varied(index: number): Promise<Batch> {
    return this.#keep("varied", await (this.#varied as TokenBatches).training(index + 1));
  }

  async rest(index: number): Promise<Batch> {
    return this.#keep("rest", await (this.#rest as MixtureBatches).training(index + 1));
  }

  /** A held-out batch of a task, from 0. */
  async task(name: string, index: number): Promise<Batch> {
    return this.#keep(`task ${name}`, await (this.#tasks[name] as TokenBatches).training(index + 1));
  }

  /** Batches of the mixture in which the varied source has a ratio; the step counts from 1. */
  mixture(ratio: number): (step: number) => Promise<Batch> {
    const batches = this.#mixture(varyShare(this.#shares, this.#configuration.vary, ratio));
    return async (step) => this.#keep("mixture", await batches.training(step));
  }

  get #shares(): Record<string, number> {
    const shares = Object.entries(this.#configuration.sources).map(([name, { share }]) => [name, share]);
    return normalizedShares(Object.fromEntries(shares));
  }

  #mixture(shares: Record<string, number>): MixtureBatches {
    const streams = Object.keys(shares).map((name) => [name, this.#parts[name] as TokenStream]);
    return new MixtureBatches(Object.fromEntries(streams), shares, this.#how(this.#configuration.batch.size));
  }

  #cut(stream: TokenStream, size: number): TokenBatches {
    return new TokenBatches(stream, { ...this.#how(size), sampling: "epochs" });
  }

  #how(size: number) {
    const { batch, seed } = this.#configuration;
    return { size, sequence: this.#sequence, documents: batch.documents, seed };
  }

  async #open(
    name: string,
    section: MixConfiguration["sources"][string]["data"],
    model: Model,
  ): Promise<TokenStream> {
    const opened = await openData(section, this.#configuration.seed);
    if (!("read" in opened))
      throw badConfiguration(
        `Expected text or tokens for the data of "${name}" but received examples`,
        undefined,
      );
    this.#opened.push(opened);
    checkFit(opened, model.config, this.#configuration);
    return opened;
  }

  #keep(kind: string, data: TokenBatch): Batch {
    const batch = Batch.tokens(data);
    this.#made.get(kind)?.dispose();
    this.#made.set(kind, batch);
    return batch;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const batch of this.#made.values()) batch.dispose();
    for (const stream of this.#opened) await stream[Symbol.asyncDispose]();
  }
}
