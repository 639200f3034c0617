import { checkNumber, checkOptions } from "../checks.js";
import { badData } from "./errors.js";
import { random } from "./random.js";
import { checkStream, type TokenStream } from "./tokens.js";

/** Token sequences with their labels, row-major; the labels are the inputs shifted by one. */
export interface TokenBatch {
  kind: "tokens";
  inputIds: Uint32Array;
  labels: Uint32Array;
  shape: [batch: number, sequence: number];
}

export interface TokenBatchOptions {
  /** Sequences in a batch. */
  size: number;
  /** Tokens in a sequence. */
  sequence: number;
  seed: number;
  /** Part of the stream, its end, that only validation sees. Default 0. */
  validationFraction?: number;
}

/**
 * Batches from a token stream. A training batch is `size` windows that begin anywhere in the stream's training part, a
 * function of (seed, step) alone: a resumed run sees what it would have seen. Validation batches are the windows of the
 * stream's end, side by side.
 */
export class TokenBatches {
  readonly #stream: TokenStream;
  readonly #size: number;
  readonly #sequence: number;
  readonly #seed: number;
  /** Tokens for training; the rest is for validation. */
  readonly trainingTokens: number;

  /** @throws CriticalSharpnessError `ERR_DATA` if the stream is shorter than a sequence needs. */
  constructor(stream: TokenStream, options: TokenBatchOptions) {
    const positive = { minimum: 1, integer: true };
    const { size, sequence, seed, validationFraction = 0 } = checkOptions(options, "options");
    this.#stream = checkStream(stream, "stream");
    this.#size = checkNumber(size, "options.size", positive);
    this.#sequence = checkNumber(sequence, "options.sequence", positive);
    this.#seed = checkNumber(seed, "options.seed", { minimum: 0, integer: true });
    const fraction = checkNumber(validationFraction, "options.validationFraction", { minimum: 0, below: 1 });
    const held = Math.floor(stream.length * fraction);
    this.trainingTokens = stream.length - held;
    // A window's last label is one token further.
    const needed = this.#sequence + 1;
    if (this.trainingTokens < needed)
      throw badData(`at least ${needed} tokens to train on`, stream.name, `${this.trainingTokens}`);
    if (fraction > 0 && held < needed)
      throw badData(`at least ${needed} tokens to validate on`, stream.name, `${held}`);
  }

  /** Validation batches that differ; the last one may have fewer sequences. */
  get validationBatches(): number {
    return Math.ceil(this.#validationWindows / this.#size);
  }

  get #validationWindows(): number {
    return Math.max(0, Math.floor((this.#stream.length - this.trainingTokens - 1) / this.#sequence));
  }

  /** The training batch of a step, which counts from 1. */
  async training(step: number): Promise<TokenBatch> {
    checkNumber(step, "step", { minimum: 1, integer: true });
    const generator = random("token batch", this.#seed, step);
    const places = this.trainingTokens - this.#sequence;
    return this.#windows(Array.from({ length: this.#size }, () => generator.below(places)));
  }

  /** A validation batch; `index` counts from 0 and is below `validationBatches`. */
  async validation(index: number): Promise<TokenBatch> {
    const last = this.validationBatches - 1;
    checkNumber(index, "index", { minimum: 0, maximum: last, integer: true });
    const first = index * this.#size;
    const count = Math.min(this.#size, this.#validationWindows - first);
    return this.#windows(
      Array.from({ length: count }, (_, i) => this.trainingTokens + (first + i) * this.#sequence),
    );
  }

  async #windows(starts: readonly number[]): Promise<TokenBatch> {
    const sequence = this.#sequence;
    const inputIds = new Uint32Array(starts.length * sequence);
    const labels = new Uint32Array(starts.length * sequence);
    for (const [row, start] of starts.entries()) {
      const window = await this.#stream.read(start, sequence + 1);
      inputIds.set(window.subarray(0, sequence), row * sequence);
      labels.set(window.subarray(1), row * sequence);
    }
    return { kind: "tokens", inputIds, labels, shape: [starts.length, sequence] };
  }
}
