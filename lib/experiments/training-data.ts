import {
  checkVocabulary,
  type ExampleBatch,
  ExampleBatches,
  type OpenedData,
  openData,
  type TensorBatch,
  TensorBatches,
  type TokenBatch,
  TokenBatches,
} from "../data/index.js";
import { Batch, configureModel, type ModelConfig, storedNamedTensor } from "../models/index.js";
import { badConfiguration } from "../options/index.js";
import type { TrainConfiguration } from "./train/train-configuration.js";

/** What batches are cut by. */
export type DataUse = Pick<TrainConfiguration, "batch" | "seed"> &
  Partial<Pick<TrainConfiguration, "validation">>;

/** Tokens in a sequence, at most, where nobody says how many: contexts go into the hundred thousands. */
const longestDefault = 1024;

/** The batches of a run. */
export class TrainingData implements AsyncDisposable {
  /** What it closes, if anything. */
  #opened: OpenedData | undefined;
  readonly #batches: TokenBatches | ExampleBatches | TensorBatches;
  /** The last training batch: it is freed when another takes its place. */
  #current: Batch | undefined;
  /** Batches of a validation. */
  readonly validationBatches: number;

  private constructor(batches: TokenBatches | ExampleBatches | TensorBatches, validationBatches: number) {
    this.#batches = batches;
    this.validationBatches = Math.min(validationBatches, batches.validationBatches);
  }

  /** @throws CriticalSharpnessError `ERR_DATA`, `ERR_FILE`; `ERR_CONFIGURATION` if the data do not fit the model. */
  static async open(configuration: TrainConfiguration, model: ModelConfig): Promise<TrainingData> {
    const opened = await openData(configuration.data, configuration.seed);
    try {
      const data = TrainingData.over(opened, configuration, model);
      data.#opened = opened;
      return data;
    } catch (error) {
      await closeData(opened);
      throw error;
    }
  }

  /**
   * Batches of data that were opened before and stay open.
   *
   * @throws CriticalSharpnessError `ERR_CONFIGURATION` if the data do not fit the model; `ERR_DATA` if they are too few.
   */
  static over(opened: OpenedData, configuration: DataUse, model: ModelConfig): TrainingData {
    checkFit(opened, model, configuration);
    const { validation = null, ...use } = configuration;
    const batches = cutBatches(opened, { ...use, validation }, defaultSequence(model));
    return new TrainingData(batches, validation?.batches ?? 0);
  }

  /** The training batch of a step, which counts from 1. It belongs to the data: the next call may free it. */
  async training(step: number): Promise<Batch> {
    const fixed = "fullBatch" in this.#batches && this.#batches.fullBatch;
    if (this.#current && fixed) return this.#current;
    const batch = makeBatch(await this.#batches.training(step));
    this.#current?.dispose();
    this.#current = batch;
    return batch;
  }

  /** The first training batches, which belong to the caller. */
  async first(count: number): Promise<Batch[]> {
    const batches: Batch[] = [];
    for (let step = 1; step <= count; step++) batches.push(makeBatch(await this.#batches.training(step)));
    return batches;
  }

  /** A validation batch, which belongs to the caller. */
  async validation(index: number): Promise<Batch> {
    return makeBatch(await this.#batches.validation(index));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#current?.dispose();
    if (this.#opened) await closeData(this.#opened);
  }
}

function makeBatch(data: TokenBatch | ExampleBatch | TensorBatch): Batch {
  if (data.kind !== "named") return data.kind === "tokens" ? Batch.tokens(data) : Batch.examples(data);
  const tensors = data.tensors.map(({ name, dtype, bytes, shape }) => {
    const tensor = storedNamedTensor(dtype, bytes, shape);
    if (!tensor)
      throw badConfiguration(
        `Expected a dtype that programs take for the tensor "${name}" of data but received ${dtype}`,
        undefined,
      );
    return [name, tensor] as const;
  });
  return Batch.named(Object.fromEntries(tensors));
}

export async function closeData(opened: OpenedData): Promise<void> {
  if ("read" in opened) await opened[Symbol.asyncDispose]();
}

/** Tokens in a sequence where nobody says how many: the context, up to a limit. */
export function defaultSequence(model: ModelConfig): number {
  return Math.min(languageSizes(model)?.contextLength ?? 1, longestDefault);
}

/** What a language model says of its tokens, and the key of its context. */
function languageSizes(
  model: ModelConfig,
): { vocabularySize: number; contextLength: number; key: string } | undefined {
  if (model.model_type === "program") return undefined;
  const { language } = configureModel(model);
  const key = model.model_type === "gpt2" ? "n_positions" : "max_position_embeddings";
  return language && { ...language, key };
}

/** @throws CriticalSharpnessError `ERR_CONFIGURATION`, `ERR_DATA` if the data do not fit the model. */
export function checkFit(opened: OpenedData, model: ModelConfig, { batch }: DataUse): void {
  const bad = (what: string, subject: string, received: string) =>
    badConfiguration(`Expected ${what} for ${subject} but received ${received}`, undefined);
  if (model.model_type === "program" || "tensors" in opened) {
    if (model.model_type === "program" && "tensors" in opened) return;
    throw model.model_type === "program"
      ? bad(
          "a safetensors file with the tensors of forward's arguments, as the model is a program,",
          "data",
          "other data",
        )
      : bad("texts, tokens or examples, as the model is no program,", "data", "tensors");
  }
  const language = languageSizes(model);
  if (language) {
    if (!("read" in opened))
      throw bad("text or tokens, as the model is a language model,", "data", "examples");
    const { vocabularySize: needed = 0 } = opened;
    const { vocabularySize, contextLength, key } = language;
    if (needed > vocabularySize)
      throw bad(`at least ${needed}, the vocabulary of the data,`, "model.vocab_size", `${vocabularySize}`);
    checkVocabulary(opened.stored, vocabularySize);
    if ((batch.sequence ?? 1) > contextLength)
      throw bad(`at most ${contextLength}, the model's ${key},`, "batch.sequence", `${batch.sequence}`);
    return;
  }
  if (model.model_type !== "mlp") return;
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

/** Batches of what was opened. */
function cutBatches(
  opened: OpenedData,
  { batch, validation, seed }: Pick<TrainConfiguration, "batch" | "validation" | "seed">,
  contextLength: number,
): TokenBatches | ExampleBatches | TensorBatches {
  const common = { size: batch.size, seed, validationFraction: validation?.fraction ?? 0 };
  return "read" in opened
    ? new TokenBatches(opened, {
        ...common,
        sequence: batch.sequence ?? contextLength,
        documents: batch.documents,
        sampling: batch.sampling,
      })
    : "tensors" in opened
      ? new TensorBatches(opened, common)
      : new ExampleBatches(opened, common);
}
