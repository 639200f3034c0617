import type { ExampleBatch } from "../data/index.js";
import {
  ExampleBatches,
  type ExampleSet,
  type TokenBatch,
  type TokenBatches,
  type TokenStream,
} from "../data/index.js";
import { Batch, type ModelConfig } from "../models/index.js";
import type { TrainConfiguration } from "./configuration.js";
import { badConfiguration } from "./configuration-errors.js";
import { cutBatches, openData } from "./open-data.js";

/** The batches of a run. */
export class TrainingData implements AsyncDisposable {
  readonly #opened: TokenStream | ExampleSet;
  readonly #batches: TokenBatches | ExampleBatches;
  /** The last training batch: it is freed when another takes its place. */
  #current: Batch | undefined;
  /** Batches of a validation. */
  readonly validationBatches: number;

  private constructor(
    opened: TokenStream | ExampleSet,
    batches: TokenBatches | ExampleBatches,
    validationBatches: number,
  ) {
    this.#opened = opened;
    this.#batches = batches;
    this.validationBatches = Math.min(validationBatches, batches.validationBatches);
  }

  /** @throws CriticalSharpnessError `ERR_DATA`, `ERR_FILE`; `ERR_CONFIGURATION` if the data do not fit the model. */
  static async open(configuration: TrainConfiguration, model: ModelConfig): Promise<TrainingData> {
    const opened = await openData(configuration.data, configuration.seed);
    try {
      checkFit(opened, model, configuration);
      const contextLength = model.model_type === "gpt2" ? model.n_positions : 1;
      const batches = cutBatches(opened, configuration, contextLength);
      return new TrainingData(opened, batches, configuration.validation?.batches ?? 0);
    } catch (error) {
      await close(opened);
      throw error;
    }
  }

  /** The training batch of a step, which counts from 1. It belongs to the data: the next call may free it. */
  async training(step: number): Promise<Batch> {
    const fixed = this.#batches instanceof ExampleBatches && this.#batches.fullBatch;
    if (this.#current && fixed) return this.#current;
    const batch = makeBatch(await this.#batches.training(step));
    this.#current?.dispose();
    this.#current = batch;
    return batch;
  }

  /** A validation batch, which belongs to the caller. */
  async validation(index: number): Promise<Batch> {
    return makeBatch(await this.#batches.validation(index));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#current?.dispose();
    await close(this.#opened);
  }
}

function makeBatch(data: TokenBatch | ExampleBatch): Batch {
  return data.kind === "tokens" ? Batch.tokens(data) : Batch.examples(data);
}

async function close(opened: TokenStream | ExampleSet): Promise<void> {
  if ("read" in opened) await opened[Symbol.asyncDispose]();
}

function checkFit(opened: TokenStream | ExampleSet, model: ModelConfig, { batch }: TrainConfiguration): void {
  const bad = (what: string, subject: string, received: string) =>
    badConfiguration(`Expected ${what} for ${subject} but received ${received}`, undefined);
  if (model.model_type === "gpt2") {
    if (!("read" in opened))
      throw bad("text or tokens, as the model is a language model,", "data", "examples");
    const { vocabularySize = 0 } = opened;
    if (vocabularySize > model.vocab_size)
      throw bad(
        `at least ${vocabularySize}, the vocabulary of the data,`,
        "model.vocab_size",
        `${model.vocab_size}`,
      );
    if ((batch.sequence ?? 1) > model.n_positions)
      throw bad(
        `at most ${model.n_positions}, the model's n_positions,`,
        "batch.sequence",
        `${batch.sequence}`,
      );
    return;
  }
  if ("read" in opened)
    throw bad("examples, as the model is a multilayer perceptron,", "data", "text or tokens");
  if (batch.sequence !== undefined)
    throw bad("nothing, as examples have no sequence,", "batch.sequence", `${batch.sequence}`);
  const ends = [model.layer_sizes[0], model.layer_sizes.at(-1)];
  if (ends[0] !== opened.features || ends[1] !== opened.outputs)
    throw bad(
      `${opened.features} at the beginning and ${opened.outputs} at the end, as the data have,`,
      "model.layer_sizes",
      `[${model.layer_sizes}]`,
    );
  const loss = opened.targets instanceof Float32Array ? "mse" : "cross_entropy";
  if (model.loss !== loss)
    throw bad(`"${loss}", as the data's targets need,`, "model.loss", `"${model.loss}"`);
}
