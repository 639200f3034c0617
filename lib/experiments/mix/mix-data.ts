import {
  MixtureBatches,
  normalizedShares,
  openData,
  splitStream,
  type TokenBatch,
  TokenBatches,
  type TokenStream,
  varyShare,
} from "../../data/index.js";
import { badData } from "../../files/index.js";
import { Batch, type Model } from "../../models/index.js";
import { badConfiguration } from "../../options/index.js";
import { checkFit, defaultSequence } from "../training-data.js";
import type { MixConfiguration } from "./mix-configuration.js";
import type { MixSweepOptions } from "./sweep-options.js";

/** Part of what is held out of mixtures, its end, that judges training alone: no sweep sees it. */
const judging = 1 / 3;

/**
 * The batches of a mix: of its sources, of its tasks and of whole mixtures. A source's end is kept out of all mixtures: it judges,
 * one part of it in sweeps, another after training. A batch belongs to this until the next of its kind.
 */
export class MixData implements AsyncDisposable {
  readonly #configuration: MixConfiguration;
  readonly #sequence: number;
  readonly #opened: TokenStream[] = [];
  /** What mixtures are made of, by source. */
  readonly #parts: Record<string, TokenStream> = {};
  readonly #sources: Record<string, TokenBatches> = {};
  readonly #tasks: Record<string, TokenBatches> = {};
  /** What judges training, by task; undefined where there is too little. */
  readonly #judges: Record<string, TokenBatches | undefined> = {};
  readonly #made = new Map<string, Batch>();

  private constructor(configuration: MixConfiguration, sequence: number) {
    this.#configuration = configuration;
    this.#sequence = sequence;
  }

  /** @throws CriticalSharpnessError `ERR_DATA`, `ERR_FILE`; `ERR_CONFIGURATION` if the data do not fit the model. */
  static async open(configuration: MixConfiguration, model: Model): Promise<MixData> {
    const { sources, tasks, vary, batch, withoutTask, evaluate } = configuration;
    const data = new MixData(configuration, batch.sequence ?? defaultSequence(model.config));
    const size = evaluate.size ?? 2 * batch.size;
    const task = (name: string, held: TokenStream) => {
      const [sweeping, judge] = data.#judged(held);
      data.#tasks[name] = data.#cut(sweeping, size);
      data.#judges[name] = judge && data.#cut(judge, size);
    };
    try {
      for (const [name, { data: section }] of Object.entries(sources)) {
        const [mixed, held] = splitStream(await data.#open(name, section, model), evaluate.fraction);
        data.#parts[name] = mixed;
        if (!withoutTask.includes(name)) task(name, held);
      }
      for (const [name, { data: section }] of Object.entries(tasks))
        task(name, await data.#open(name, section, model));
      for (const [name, share] of Object.entries(varyShare(data.#shares, vary, 0))) {
        // As much as a source gives to one batch at any ratio, and one for the remainder.
        const rows = name === vary ? batch.size : Math.min(batch.size, Math.ceil(share * batch.size) + 1);
        data.#sources[name] = data.#cut(data.#parts[name] as TokenStream, rows);
      }
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

  /** Batches of a source that differ. */
  sourceBatches(name: string): number {
    return (this.#sources[name] as TokenBatches).trainingBatches;
  }

  /** The varied source and the rest, as `sweepMix` takes them. */
  get update(): MixSweepOptions["update"] {
    const { vary } = this.#configuration;
    const batches = (name: string) => async (index: number) =>
      this.#keep(`source ${name}`, await (this.#sources[name] as TokenBatches).training(index + 1));
    const rest = Object.entries(this.#shares).flatMap(([name, share]) =>
      name === vary ? [] : [[name, { share, batches: batches(name) }]],
    );
    return { varied: batches(vary), rest: Object.fromEntries(rest) };
  }

  /** A held-out batch of a task for the sweep, from 0. */
  async task(name: string, index: number): Promise<Batch> {
    return this.#keep(`task ${name}`, await (this.#tasks[name] as TokenBatches).training(index + 1));
  }

  /** Batches of a task that differ and that no sweep sees. @throws CriticalSharpnessError `ERR_DATA` where there is none. */
  judgeBatches(name: string): number {
    return this.#judge(name).trainingBatches;
  }

  /** One of them, from 0. */
  async judge(name: string, index: number): Promise<Batch> {
    return this.#keep(`judge ${name}`, await this.#judge(name).training(index + 1));
  }

  #judge(name: string): TokenBatches {
    const judge = this.#judges[name];
    if (judge) return judge;
    throw badData(
      "three times as many tokens, or documents, as a sequence needs, a third of which judges training,",
      `the held-out part of "${name}"`,
      "fewer",
    );
  }

  /** What is held out, cut in two between sequences or documents. */
  #judged(held: TokenStream): [sweep: TokenStream, judge: TokenStream | undefined] {
    const { batch } = this.#configuration;
    const { length, documents = [] } = held;
    const apart = batch.documents === "apart";
    const whole = apart ? documents.length : Math.floor((length - 1) / this.#sequence);
    const last = Math.floor(whole * judging);
    if (last < 1) return [held, undefined];
    const from = apart ? (documents.at(-1 - last) as number) : length - 1 - last * this.#sequence;
    return splitStream(apart ? held : { ...held, documents: undefined }, 1 - from / length);
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
