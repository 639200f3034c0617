import type { FileTensor } from "./file-tensor.js";
import type { NativeCancelOptions, NativeCancelToken, NativeDisposable } from "./handle.js";
import type { NativeVector } from "./vector.js";

/** Arithmetic of a forward pass. `bfloat16` multiplies in bfloat16. */
export type ComputeDtype = "float32" | "float64" | "bfloat16";
/** Element type of a model's weights. The vectors of bfloat16 ones (gradients, directions) are float32. */
export type ParameterDtype = "float32" | "float64" | "bfloat16";

export type Initialization = "gpt2" | "normal" | "pytorch" | "he" | "zeros";

export interface NativeParameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** A frozen one has no gradient, no state and no Δ. */
  readonly trainable: boolean;
}

export interface NativeBatch extends NativeDisposable {
  readonly kind: "tokens" | "examples" | "named";
  /** [batch, sequence] or [n]; of named tensors, [1] unless their first axes are equal. */
  readonly shape: readonly number[];
  /** Rows or tokens that count towards the loss. */
  readonly count: number;
  /** Rows start … start + length − 1, sharing memory; its count may be 0. Throws where a pair of preferences is parted. */
  part(start: number, length: number): NativeBatch;
  /** The same rows, sharing memory, with a weight for each label or example: Σ wᵢ·lossᵢ ÷ Σ|wᵢ|. */
  weighted(weights: Float32Array | Float64Array): NativeBatch;
  /** The same rows of tokens as pairs, chosen and rejected: −log σ(β·…), a mean over pairs. */
  preferences(
    referenceLogProbabilities: Float32Array | Float64Array,
    options: { beta: number; labelSmoothing: number },
  ): NativeBatch;
}

/** θ − η·Δ in place of θ. */
export interface NativePerturbation {
  direction: NativeVector;
  learningRate: number;
  /** `view`: combined where a weight is read. `in-place`: in the weight's own storage, put back exactly afterwards. */
  mode: "view" | "in-place";
}

export interface NativePassOptions {
  /** Rows or sequences per micro-batch; 0 = all at once. */
  microBatch: number;
  /** Computes in float32 where the model's arithmetic is bfloat16. */
  float32?: boolean;
  /** Of gradients: each layer keeps its input alone, and its activations are computed again on the way back. */
  recompute?: boolean;
  cancel?: NativeCancelToken;
}

export interface NativeModel extends NativeDisposable {
  readonly parameters: readonly NativeParameter[];
  readonly parameterDtype: ParameterDtype;
  /** Of its vectors. */
  readonly vectorDtype: "float32" | "float64";
  readonly computeDtype: ComputeDtype;
  /** "cpu", or a CUDA device with its number, "cuda:0". Batches are copied there. */
  readonly device: string;
  /** Number of times the weights were changed since the model was made. */
  readonly version: number;
  /** This process's in the model's group, and how many there are; 0 and 1 alone. */
  readonly rank: number;
  readonly ranks: number;
  /** Fills every parameter from a generator seeded with `seed`; the same seed gives the same bits. */
  initialize(scheme: Initialization, seed: number, options?: NativeCancelOptions): Promise<void>;
  /**
   * Takes the parameters (all of them, in order) from files: memory-mapped copy-on-write where the dtype is the model's own.
   * null, with a seed alone: drawn, "normal".
   */
  load(
    tensors: readonly (FileTensor | null)[],
    options?: NativeCancelOptions & { seed?: number },
  ): Promise<void>;
  /** `length` bytes of parameter `index` from `byteOffset`, little-endian; fewer at its end. */
  read(index: number, byteOffset: number, length: number): Promise<ArrayBuffer>;
  /** The same of a program's stored tensor. */
  readBuffer(index: number, byteOffset: number, length: number): Promise<ArrayBuffer>;
  /** One pass, after which a program's stored tensors are what it wrote to them. */
  moveBuffers(batch: NativeBatch, options: NativePassOptions): Promise<void>;
  /** θ ← θ − ηΔ. A token that is set once the weights have begun to change comes too late. */
  step(direction: NativeVector, learningRate: number, options?: NativeCancelOptions): Promise<void>;
  /** A copy of the weights that are not frozen. */
  copyWeights(options?: NativeCancelOptions): Promise<NativeVector>;
  /** Takes those, bit for bit. A token that is set once the weights have begun to change comes too late. */
  restoreWeights(weights: NativeVector, options?: NativeCancelOptions): Promise<void>;
  /** Mean loss in float64 and the version of the weights that it was computed with. */
  loss(
    batch: NativeBatch,
    perturbation: NativePerturbation | null,
    options: NativePassOptions,
  ): Promise<{ loss: number; version: number }>;
  /** Tokens of a layer with a mixture of experts whose experts at θ − learningRate·direction are others, and how many there are. */
  expertChanges(
    batch: NativeBatch,
    direction: NativeVector,
    learningRate: number,
    options: NativePassOptions,
  ): Promise<{ tokens: number; of: number }>;
  gradient(
    batch: NativeBatch,
    options: NativePassOptions,
  ): Promise<{ loss: number; version: number; gradient: NativeVector }>;
}
