import * as z from "zod";
import { expected } from "../errors.js";
import { badData } from "../files/index.js";
import { checkNumber, count, fraction, type OptionsOf, readOptions, seedSchema } from "../options/index.js";
import { permutation, random } from "./random.js";
import { checkStream, type TokenStream } from "./tokens.js";

/** Token sequences with their labels, row-major; the labels are the inputs shifted by one, −100 where there is none. */
export interface TokenBatch {
  kind: "tokens";
  inputIds: Uint32Array;
  labels: Int32Array;
  shape: [batch: number, sequence: number];
}

const tokenBatchShape = {
  /** Sequences in a batch. */
  size: count,
  /** Tokens in a sequence. */
  sequence: count,
  seed: seedSchema,
  /** Part of the stream, its end, that only validation sees. Default 0. */
  validationFraction: fraction.default(0),
  /**
   * `joined` (default): sequences go from one document into the next, as in pre-training. `apart`: each keeps to one
   * document, and where that ends before the sequence does, the labels are −100, which no loss counts. A model that looks
   * back only never sees another document then.
   */
  documents: z.enum(["joined", "apart"]).default("joined"),
  /**
   * Training sequences: `anywhere` (default of joined documents): they begin at any token. `epochs` (the only one of
   * documents apart): they lie side by side, and each is taken once before any is taken again.
   */
  sampling: z.enum(["anywhere", "epochs"]).optional(),
};

const tokenBatchOptions = z.strictObject(tokenBatchShape);

export type TokenBatchOptions = OptionsOf<typeof tokenBatchShape>;

/** What stands in for the label that a token has not. */
const ignored = -100;

/**
 * Batches from a token stream. A training batch is a function of (seed, step) alone: a resumed run sees what it would have
 * seen. Validation batches are the sequences of the stream's end, side by side.
 */
export class TokenBatches {
  readonly #stream: TokenStream;
  readonly #size: number;
  readonly #sequence: number;
  readonly #seed: number;
  readonly #sampling: "anywhere" | "epochs";
  readonly #training: Windows;
  readonly #validation: Windows;
  /** Tokens for training; the rest is for validation. */
  readonly trainingTokens: number;
  #epoch = -1;
  #order: Uint32Array = new Uint32Array();

  /** @throws CriticalSharpnessError `ERR_DATA` if the stream is shorter than a sequence needs. */
  constructor(stream: TokenStream, options: TokenBatchOptions) {
    const { size, sequence, seed, validationFraction, documents, sampling } = readOptions(
      tokenBatchOptions,
      options,
    );
    this.#stream = checkStream(stream, "stream");
    this.#size = size;
    this.#sequence = sequence;
    this.#seed = seed;
    const apart = documents === "apart";
    if (apart && sampling === "anywhere")
      throw expected('"epochs" with documents apart', "options.sampling", sampling, "range");
    this.#sampling = sampling ?? (apart ? "epochs" : "anywhere");
    const held = Math.floor(stream.length * validationFraction);
    this.trainingTokens = stream.length - held;
    [this.#training, this.#validation] = apart ? this.#documents() : this.#even();
    if (this.#training.count === 0)
      throw badData(
        `at least ${this.#needed(apart)} tokens to train on`,
        stream.name,
        `${this.trainingTokens}`,
      );
    if (validationFraction > 0 && this.#validation.count === 0)
      throw badData(`at least ${this.#needed(apart)} tokens to validate on`, stream.name, `${held}`);
  }

  #needed(apart: boolean): number {
    return apart ? 2 : this.#sequence + 1;
  }

  #even(): [Windows, Windows] {
    const windows = (from: number, to: number) => evenWindows(from, to, this.#sequence);
    return [windows(0, this.trainingTokens), windows(this.trainingTokens, this.#stream.length)];
  }

  #documents(): [Windows, Windows] {
    const { documents, name } = this.#stream;
    if (!documents)
      throw badData(
        "texts, whose ends are known, with documents apart",
        name,
        "tokens without their documents",
      );
    const held = documents.findIndex((end) => end > this.trainingTokens);
    const border = held < 0 ? documents.length : held;
    const windows = (begin: number, end: number) => documentWindows(documents, [begin, end], this.#sequence);
    return [windows(0, border), windows(border, documents.length)];
  }

  /** Training batches of an epoch: the next one has seen every sequence that lies beside another (rounded down). */
  get trainingBatches(): number {
    return Math.floor(this.#training.count / this.#size);
  }

  /** Validation batches that differ; the last one may have fewer sequences. */
  get validationBatches(): number {
    return Math.ceil(this.#validation.count / this.#size);
  }

  /** The training batch of a step, which counts from 1. */
  async training(step: number): Promise<TokenBatch> {
    checkNumber(step, "step", { minimum: 1, integer: true });
    const rows = Array.from({ length: this.#size }, (_, i) => i);
    if (this.#sampling === "epochs") {
      const first = (step - 1) * this.#size;
      return this.#windows(rows.map((row) => this.#nth(first + row)));
    }
    const generator = random("token batch", this.#seed, step);
    const places = this.trainingTokens - this.#sequence;
    return this.#windows(rows.map(() => ({ start: generator.below(places), tokens: this.#sequence })));
  }

  /**
   * Training sequences in the order of epochs, whatever the sampling is: those at the given places, which count from 0
   * over all epochs.
   */
  async sequences(places: readonly number[]): Promise<TokenBatch> {
    if (!Array.isArray(places) || places.length === 0)
      throw expected("an array of at least one place", "places", places);
    return this.#windows(
      places.map((n, i) => this.#nth(checkNumber(n, `places[${i}]`, { minimum: 0, integer: true }))),
    );
  }

  /** Tokens of the training sequence at a place, as `sequences` counts them, that a loss counts. */
  tokensAt(place: number): number {
    return this.#nth(checkNumber(place, "place", { minimum: 0, integer: true })).tokens;
  }

  /** A validation batch; `index` counts from 0 and is below `validationBatches`. */
  async validation(index: number): Promise<TokenBatch> {
    const last = this.validationBatches - 1;
    checkNumber(index, "index", { minimum: 0, maximum: last, integer: true });
    const first = index * this.#size;
    const count = Math.min(this.#size, this.#validation.count - first);
    return this.#windows(Array.from({ length: count }, (_, i) => this.#validation.at(first + i)));
  }

  /** The n-th training sequence, from 0, over all epochs: each epoch's order is a function of (seed, epoch) alone. */
  #nth(n: number): Window {
    const { count } = this.#training;
    const epoch = Math.floor(n / count);
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#order = permutation(count, random("token epoch", this.#seed, epoch));
    }
    return this.#training.at(this.#order[n % count] as number);
  }

  async #windows(windows: readonly Window[]): Promise<TokenBatch> {
    const sequence = this.#sequence;
    const inputIds = new Uint32Array(windows.length * sequence);
    const labels = new Int32Array(windows.length * sequence).fill(ignored);
    for (const [row, { start, tokens }] of windows.entries()) {
      const window = await this.#stream.read(start, tokens + 1);
      inputIds.set(window.subarray(0, tokens), row * sequence);
      labels.set(window.subarray(1), row * sequence);
    }
    return { kind: "tokens", inputIds, labels, shape: [windows.length, sequence] };
  }
}

/** A sequence's place in a stream: `tokens` inputs from `start`; each label is the token after its input. */
export interface Window {
  start: number;
  tokens: number;
}

/** Sequences that lie side by side. */
export interface Windows {
  readonly count: number;
  at(index: number): Window;
}

/** Sequences of equal length over the tokens `from` … `to` − 1, whatever documents they go through. */
export function evenWindows(from: number, to: number, sequence: number): Windows {
  return {
    // A window's last label is one token further.
    count: Math.max(0, Math.floor((to - from - 1) / sequence)),
    at: (index) => ({ start: from + index * sequence, tokens: sequence }),
  };
}

/**
 * Sequences that each keep to one document. A document's last sequence may be shorter; one of a single token has none.
 *
 * @param ends where documents end; the first one begins at 0
 * @param begin which documents: the first of them, and the one after the last
 */
export function documentWindows(
  ends: ArrayLike<number>,
  [begin, end]: readonly [number, number],
  sequence: number,
): Windows {
  const starts: number[] = [];
  const sizes: number[] = [];
  for (let document = begin; document < end; document++) {
    const last = (ends[document] as number) - 1;
    for (let start = document > 0 ? (ends[document - 1] as number) : 0; start < last; start += sequence) {
      starts.push(start);
      sizes.push(Math.min(sequence, last - start));
    }
  }
  return {
    count: starts.length,
    at: (index) => ({ start: starts[index] as number, tokens: sizes[index] as number }),
  };
}
