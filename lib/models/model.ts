import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { expected, throwIfAborted } from "../errors.js";
import { checkInstance, checkNumber, checkString, readOptions } from "../options/index.js";
import {
  type ComputeDtype,
  type NativeModel,
  ownSignal,
  type ParameterDtype,
  type SignalOptions,
  signalOf,
  stoppable,
  withSignal,
} from "../torch/index.js";
import type { AdaptedModel } from "./adapters/adapter-model.js";
import { Batch } from "./batch.js";
import type { ConfiguredModel, Device, ModelConfig } from "./configuration.js";
import { Direction } from "./direction.js";
import { ParameterSet } from "./parameters.js";
import {
  type GradientOptions,
  type LossOptions,
  lossSchema,
  nativePass,
  type PassOptions,
  type Perturbation,
  perturbedSchema,
  readGradientPass,
} from "./pass-options.js";
import { bufferSources, type StateDict } from "./programs/state-dict.js";
import { saveModel } from "./save-model.js";

/** A batch's loss and its gradient, and what they belong to. */
export interface Gradient {
  readonly loss: number;
  readonly gradient: Direction;
  readonly batch: Batch;
  /** The model's `version` that it was computed with. */
  readonly version: number;
}

/** Tokens, counted in each layer that has a mixture of experts: those that have other experts, and all. */
export interface ExpertChanges {
  readonly tokens: number;
  readonly of: number;
}

/** Bytes that are hashed at a time, on the event loop: a few milliseconds. */
const digestChunk = 1 << 20;

/** A network with weights. */
export class Model extends ParameterSet {
  readonly config: ModelConfig;
  /** Whether layers of it are mixtures of experts. */
  readonly hasExperts: boolean;
  readonly #configFile: Record<string, unknown>;
  readonly #state: StateDict | undefined;
  readonly #adapter: AdaptedModel | undefined;

  /** @internal Use `createModel` or `loadModel`. */
  constructor(
    handle: NativeModel,
    { config, file, description, state, checkpoint, adapter }: Omit<ConfiguredModel, "defaultInitialization">,
  ) {
    super(handle, checkpoint);
    this.hasExperts = description.kind === "decoder" && description.mixture !== undefined;
    this.config = config;
    this.#configFile = file;
    this.#state = state;
    this.#adapter = adapter;
  }

  /** Arithmetic of a pass. */
  get dtype(): ComputeDtype {
    return this.handle.computeDtype;
  }

  /** Where its weights lie and it computes: "cpu", or "cuda:0" and so on. */
  get device(): Device {
    return this.handle.device as Device;
  }

  /** Of the weights as they are held. */
  get parameterDtype(): ParameterDtype {
    return this.handle.parameterDtype;
  }

  /**
   * Mean loss of a batch (tokens: nats per counted label), summed in float64; with a perturbation that of θ − η·Δ.
   * The weights keep every bit, however the call ends.
   *
   * @throws RangeError, TypeError if the batch does not fit the model; AbortError.
   */
  async loss(batch: Batch, options: LossOptions = {}): Promise<number> {
    return (await this.lossWithVersion(batch, options)).loss;
  }

  /** @internal The loss with the version of the weights at that moment. */
  async lossWithVersion(batch: Batch, options: LossOptions = {}): Promise<{ loss: number; version: number }> {
    const { signal, perturbation, ...pass } = readOptions(lossSchema, options);
    const handle = checkInstance(batch, "batch", Batch, "a Batch").handle;
    const moved = perturbation ? { ...perturbation, direction: perturbation.direction.handle } : null;
    return withSignal(signal, (cancel) => this.handle.loss(handle, moved, { ...nativePass(pass), cancel }));
  }

  /**
   * How many tokens of a batch are sent to other experts at θ − η·Δ than at θ, of all tokens in all layers with a mixture: where
   * some are, the loss along the line has steps in its slope, which no derivative at θ knows of. Two forward passes; 0 of 0 for
   * a model without mixtures.
   *
   * @throws as `loss`.
   */
  async expertChanges(
    batch: Batch,
    options: PassOptions & { perturbation: Perturbation },
  ): Promise<ExpertChanges> {
    const { signal, perturbation, ...pass } = readOptions(perturbedSchema, options);
    const handle = checkInstance(batch, "batch", Batch, "a Batch").handle;
    const { direction, learningRate } = perturbation;
    return withSignal(signal, (cancel) =>
      this.handle.expertChanges(handle, direction.handle, learningRate, { ...nativePass(pass), cancel }),
    );
  }

  /**
   * Loss and gradient of a batch, by automatic differentiation.
   *
   * @throws as `loss`.
   */
  async gradient(batch: Batch, options: GradientOptions = {}): Promise<Gradient> {
    const { signal, ...pass } = readGradientPass(options);
    const handle = checkInstance(batch, "batch", Batch, "a Batch").handle;
    const { loss, version, gradient } = await withSignal(signal, (cancel) =>
      this.handle.gradient(handle, { ...pass, cancel }),
    );
    return { loss, version, batch, gradient: Direction.of(this, gradient) };
  }

  /**
   * θ ← θ − η·Δ, with the bits that a loss at θ − η·Δ reads of a stored Δ.
   *
   * @throws RangeError naming the argument; CriticalSharpnessError `ERR_BFLOAT16_WEIGHTS`; AbortError: every weight is as it was. A
   *   signal that comes once weights are changing comes too late: the step is taken to its end.
   */
  async step(direction: Direction, learningRate: number, options: SignalOptions = {}): Promise<void> {
    const { handle } = checkInstance(direction, "direction", Direction, "a Direction");
    const eta = checkNumber(learningRate, "learningRate");
    await stoppable(options, (cancel) => this.handle.step(handle, eta, cancel), this.handle);
  }

  /**
   * A copy of the weights that are not frozen, for steps that are tried and undone: a vector's memory.
   *
   * @throws AbortError
   */
  async copyWeights(options: SignalOptions = {}): Promise<Direction> {
    return Direction.of(
      this,
      await stoppable(options, (cancel) => this.handle.copyWeights(cancel), this.handle),
    );
  }

  /**
   * Takes the weights that `copyWeights` gave, bit for bit. They count as changed: gradients from before do not fit them.
   *
   * @throws CriticalSharpnessError `ERR_BFLOAT16_WEIGHTS`, `ERR_MODEL_MISMATCH`; AbortError: every weight is as it was. A signal that
   *   comes once weights are changing comes too late.
   */
  async restoreWeights(weights: Direction, options: SignalOptions = {}): Promise<void> {
    const { handle } = checkInstance(weights, "weights", Direction, "a Direction");
    await stoppable(options, (cancel) => this.handle.restoreWeights(handle, cancel), this.handle);
  }

  /**
   * Of a program whose passes write to buffers, such as a batch norm's running statistics in train(): a pass of a batch, after which they
   * are what it wrote, as a training step of PyTorch's leaves them. Every other pass works on copies. The statistics count for
   * `save`, and for the same model in eval().
   *
   * @throws as `loss`; RangeError for a program that returns its buffers (one that was decomposed).
   */
  async moveBuffers(batch: Batch, options: SignalOptions = {}): Promise<void> {
    const { handle } = checkInstance(batch, "batch", Batch, "a Batch");
    if (this.#state?.returnsBuffers)
      throw expected(
        "a program that writes to its buffers (export it without run_decompositions)",
        "the model",
        "one that returns them",
        "range",
      );
    await stoppable(
      options,
      (cancel) => this.handle.moveBuffers(handle, { microBatch: 0, ...cancel }),
      this.handle,
    );
  }

  /**
   * SHA-256 over every weight's name, shape and bytes, in hexadecimal, and a program's buffers': equal if and only if all are, bit for
   * bit. @throws AbortError
   */
  async digest(options: SignalOptions = {}): Promise<string> {
    const signal = ownSignal(signalOf(options), this.handle);
    const hash = createHash("sha256");
    const bytes = { float64: 8, float32: 4, bfloat16: 2 }[this.handle.parameterDtype];
    for (const [index, { name, shape, size }] of this.parameters.entries()) {
      hash.update(`${name}:${this.handle.parameterDtype}[${shape}]\n`);
      for (let offset = 0; offset < size * bytes; offset += digestChunk) {
        throwIfAborted(signal);
        hash.update(new Uint8Array(await this.handle.read(index, offset, digestChunk)));
        // Node settles calls that end quickly one after another in a single turn, in which no timer and no signal comes through.
        await turn();
      }
    }
    for (const { name, dtype, shape, read } of this.#state ? bufferSources(this.#state, this.handle) : []) {
      throwIfAborted(signal);
      hash.update(`${name}:${dtype}[${shape}]\n`);
      hash.update(new Uint8Array(await read(0, 2 ** 31)));
    }
    return hash.digest("hex");
  }

  /**
   * Writes `config.json` and `model.safetensors` (Hugging Face's layout) into a directory, each whole or not at all. Of a program
   * `model.safetensors` is the state_dict, buffers included, and `config.json` names the `.pt2` file, which stays
   * where it is. Of a model with an adapter, the adapter alone: `adapter_config.json` and `adapter_model.safetensors`, as PEFT has them.
   *
   * @throws CriticalSharpnessError `ERR_FILE` when it cannot be written; AbortError: what was there is there still.
   */
  async save(directory: string, options: SignalOptions = {}): Promise<void> {
    checkString(directory, "directory");
    const model = {
      handle: this.handle,
      parameters: this.parameters,
      configuration: this.#configFile,
      state: this.#state,
      adapter: this.#adapter,
    };
    await saveModel(model, directory, options);
  }
}
