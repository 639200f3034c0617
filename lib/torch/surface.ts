/**
 * The one description of what the addon offers. Everything above `lib/torch` talks to libtorch through these
 * interfaces and nothing else; `native/binding` implements them one to one.
 *
 * Methods that return a promise run on the process's single compute thread, in the order in which they were called.
 * They keep what they use alive, so disposing an object while a job runs on it is safe. Errors carry a `code`
 * (see `lib/torch/handles.ts`). A cancelled job rejects with code `CANCELLED`.
 */

import type { NativeModelDescription } from "./model-description.js";
import type { NativeProgramDtype } from "./program-description.js";

/** Arithmetic of a forward pass. `bfloat16` multiplies in bfloat16. */
export type ComputeDtype = "float32" | "float64" | "bfloat16";
/** Element type of a model's weights. The vectors of bfloat16 ones (gradients, directions) are float32. */
export type ParameterDtype = "float32" | "float64" | "bfloat16";
/** Element type of stored tensors. */
export type StorageDtype = "float32" | "float64" | "bfloat16" | "float16" | "int64";

export type Initialization = "gpt2" | "normal" | "pytorch" | "he" | "zeros";

/** A box of a tensor within a file: `strides` in numbers, and where it begins in the tensor. */
export interface FilePiece {
  readonly path: string;
  readonly byteOffset: number;
  readonly strides: readonly number[];
  readonly start: readonly number[];
  readonly shape: readonly number[];
}

/** A tensor's bytes within a file: row-major, little-endian, `byteOffset` from the start of the file. */
export interface FileBlock {
  path: string;
  byteOffset: number;
  dtype: StorageDtype;
}

/** A tensor in files: in one place, or pieces that have each of its numbers once. */
export type FileTensor = FileBlock | { dtype: StorageDtype; pieces: readonly FilePiece[] };

export interface NativeParameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** A frozen one has no gradient, no state and no Δ. */
  readonly trainable: boolean;
}

/** Set to stop the job that it was given to, at the next micro-batch or layer. */
export interface NativeCancelToken {
  cancel(): void;
}

/** Of calls that stop at their next stretch of a few million numbers. */
export interface NativeCancelOptions {
  cancel?: NativeCancelToken;
}

export interface NativeDisposable {
  readonly disposed: boolean;
  dispose(): void;
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

/** The loss's Hessian, or the Gauss–Newton matrix: with the Hessian of the loss in the network's outputs alone. */
export type CurvatureOperator = "hessian" | "gauss-newton";

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

/**
 * One tensor (or none, meaning zeros) for each parameter of a model: a gradient, a direction, a preconditioner's diagonal. One
 * that is not stored is made where it is read: `ERR_STALE_DIRECTION` once what it is made of has changed, and
 * `ERR_DIRECTION_NOT_STORED` where only a stored one will do.
 */
export interface NativeVector extends NativeDisposable {
  /** This process's in the group of its model, and how many there are; 0 and 1 alone. */
  readonly rank: number;
  readonly ranks: number;
  readonly byteLength: number;
  readonly stored: boolean;
  /** A new, stored vector of the same numbers. */
  store(options?: NativeCancelOptions): Promise<NativeVector>;
  dot(other: NativeVector, options?: NativeCancelOptions): Promise<number>;
  norm(options?: NativeCancelOptions): Promise<number>;
  /** A new vector, k times this one. */
  scale(k: number, options?: NativeCancelOptions): Promise<NativeVector>;
  /** A new vector: the elementwise product. */
  multiply(other: NativeVector, options?: NativeCancelOptions): Promise<NativeVector>;
  /** A new vector of 1/√x. Rejects (`ERR_OUT_OF_RANGE`) unless every x is positive. */
  inverseSquareRoot(options?: NativeCancelOptions): Promise<NativeVector>;
  /** A new vector that shares the kept parameters' tensors and is zero elsewhere. */
  mask(keep: readonly boolean[]): NativeVector;
  has(index: number): boolean;
  /** As `NativeModel.read`. A parameter without a tensor reads as zeros. */
  read(index: number, byteOffset: number, length: number): Promise<ArrayBuffer>;
}

/** A direction's part in a parameter: its numbers, or, of a matrix, scale·left·right of [rows, rank] and [rank, columns]. */
export type NativePart =
  | { numbers: Float32Array | Float64Array }
  | {
      left: Float32Array | Float64Array;
      right: Float32Array | Float64Array;
      rank: number;
      scale: number;
    };

export interface NativeOptimizerGroup {
  /** Per parameter: this parameter's learning rate over the optimizer's. */
  learningRateRatio: readonly number[];
  /** Per parameter: decoupled decay γ. */
  weightDecay: readonly number[];
}

/** An update rule of native/core/update by its name, with all of its options. */
export interface NativeRule {
  name: string;
  options: Readonly<Record<string, number | boolean>>;
}

export interface NativeOptimizer extends NativeDisposable {
  /** Gradients accumulated so far. */
  readonly steps: number;
  /** Of each parameter, what its state tensors are called. */
  readonly roles: readonly (readonly string[])[];
  /** A token that is set once the state has begun to change comes too late. */
  accumulate(gradient: NativeVector, options?: NativeCancelOptions): Promise<void>;
  /**
   * The same of a batch's gradient, which goes into the state a parameter at a time. `slopes`: each parameter's part of ∇L·Δ,
   * with Δ of the state thereafter. Rejects with `ERR_NON_FINITE_LOSS` before anything changes; one that ends early otherwise
   * may leave a state that only `restore` mends (`ERR_OPTIMIZER_STATE`).
   */
  accumulateFrom(
    batch: NativeBatch,
    options: NativePassOptions & { weightDecay: boolean },
  ): Promise<{ loss: number; version: number; norm: number; slopes: number[] }>;
  /** `stored`: default true. */
  direction(options: { weightDecay: boolean; stored?: boolean } & NativeCancelOptions): Promise<NativeVector>;
  preconditioner(options?: NativeCancelOptions): Promise<NativeVector>;
  /** A token that is set once the weights have begun to change comes too late. */
  step(learningRate: number, options?: NativeCancelOptions): Promise<void>;
  /** State tensors by role (`momentum`; `exp_avg`, `exp_avg_sq`): the optimizer's own memory, which changes with its state. */
  state(): Promise<Record<string, NativeVector>>;
  /** Takes the vectors' memory for its own: they are to be disposed of, and used nowhere else. */
  restore(steps: number, state: Record<string, NativeVector>): Promise<void>;
}

/** A curvature of a batch's mean loss at a model's weights of the moment. */
export interface NativeCurvature extends NativeDisposable {
  /** Its exact product with `vector`, and the slope ∇L·vector. Float32 and float64 compute only. */
  product(
    vector: NativeVector,
    options: { cancel?: NativeCancelToken },
  ): Promise<{ product: NativeVector; slope: number; version: number }>;
}

/** A·q = Σ coefficientsᵢ·qᵢ + beta·(the next vector), where q was the basis' last vector. */
export interface NativeKrylovStep {
  coefficients: number[];
  beta: number;
  /** The basis spans the whole space, or a number was not finite (`beta`, then): there is no next vector. */
  exhausted: boolean;
  /** The model's version that the product was computed with. */
  version: number;
}

/** An orthonormal basis of vectors, each made of the one before by A = S·curvature·S. It accounts for what the curvature keeps. */
export interface NativeKrylov extends NativeDisposable {
  /** Vectors in the basis. */
  readonly size: number;
  /** Starts a basis from a vector or (null) a random one. False: it is zero or not finite. */
  start(first: NativeVector | null): Promise<boolean>;
  /** One product, orthogonalised twice against the whole basis. A cancelled step leaves the basis as it was. */
  step(options: { cancel?: NativeCancelToken }): Promise<NativeKrylovStep>;
  /** Keeps these combinations of all vectors but the last, and the last after them. */
  restart(combinations: readonly (readonly number[])[]): Promise<void>;
  /** Σ coefficientsᵢ·qᵢ over the first vectors. */
  combination(coefficients: readonly number[]): Promise<NativeVector>;
}

/** What CUDA offers to this process. */
export interface NativeCuda {
  /** Whether the addon was built with it. */
  built: boolean;
  /** The version of CUDA that the driver is made for, "13.0"; null without a driver. */
  driver: string | null;
  /** Why there are no devices, in CUDA's words; null where there are some, or the addon was built without. */
  problem: string | null;
  /** cuda:0, cuda:1 and so on. `memory` in bytes; `capability`: "9.0". */
  devices: { name: string; memory: number; capability: string }[];
}

export interface NativeInfo {
  libtorchVersion: string;
  builtFor: string;
  cpuCapability: string;
  threads: number;
  cuda: NativeCuda;
  /** Whether scaled_dot_product_attention takes its flash kernel on this CPU. */
  flashAttention: boolean;
  bfloat16: "amx" | "avx512_bf16" | "emulated";
  parallel: string;
}

/** Where the ranks of a group find each other. Times in milliseconds. */
export interface NativeRendezvous {
  /** Rank 0's. */
  host: string;
  port: number;
  rank: number;
  size: number;
  /** Another process keeps the store at that address, as torchrun's agent does. */
  hasStore: boolean;
  /** An open socket for rank 0 to listen on; -1: it opens one. */
  listeningSocket: number;
  /** Sets groups at one address apart. */
  prefix: string;
  /** The network interface to the other ranks; "": this host's default. */
  interface: string;
  /** What messages call this rank. */
  name: string;
  joinTimeout: number;
  timeout: number;
}

/** The processes that share a model. */
export interface NativeGroup extends NativeDisposable {
  readonly rank: number;
  readonly size: number;
  /** Seconds that this rank has waited for weights and gradients of others, in all. */
  readonly waited: number;
  /** Waits for all ranks. How long that took, in milliseconds. */
  meet(): Promise<number>;
  /** Whether one of the ranks says so. */
  any(mine: boolean): Promise<boolean>;
}

export interface NativeAddon {
  /** Rejects with `ERR_GROUP`, which names the ranks that are missing. */
  joinGroup(options: NativeRendezvous): Promise<NativeGroup>;
  /**
   * `parameterDtype`: by default float64 with float64 arithmetic, else float32. `device`: "cpu" (default), "cuda", "cuda:1";
   * throws `ERR_DEVICE` where the build or the machine has none such. `trainable`: of each parameter; by default all are. `group`:
   * the ranks that share it. Each keeps a part of its matrices; its calls, and those of what is made of it, are then made on all
   * ranks, in one order.
   */
  createModel(
    description: NativeModelDescription,
    computeDtype: ComputeDtype,
    parameterDtype?: ParameterDtype,
    device?: string,
    trainable?: readonly boolean[],
    group?: NativeGroup,
  ): NativeModel;
  /** The ids are copied, in one pass. `relativePositions`: sequences start at 0 up to a constant, which models with learned positions refuse. */
  createTokenBatch(
    inputIds: BigInt64Array | Int32Array | Uint32Array | Uint16Array | Uint8Array,
    labels: BigInt64Array | Int32Array | Uint32Array | Uint16Array | Uint8Array,
    shape: readonly [number, number],
    relativePositions: boolean,
  ): NativeBatch;
  createExampleBatch(
    inputs: Float32Array | Float64Array,
    inputShape: readonly [number, number],
    targets: Float32Array | Float64Array | BigInt64Array,
    targetShape: readonly number[],
  ): NativeBatch;
  /** Tensors by name, of a program's inputs; `data`: their bytes, little-endian and row-major, which are copied. */
  createNamedBatch(
    tensors: readonly {
      name: string;
      dtype: NativeProgramDtype;
      shape: readonly number[];
      data: Uint8Array;
    }[],
  ): NativeBatch;
  /** A vector for `model` whose tensors come from files; null = zeros. */
  loadVector(
    model: NativeModel,
    tensors: readonly (FileTensor | null)[],
    options?: NativeCancelOptions,
  ): Promise<NativeVector>;
  /** A vector whose parts are given, copied; null = zeros. One with factors is not stored: left·right·scale is made where it is read. */
  createDirection(model: NativeModel, parts: readonly (NativePart | null)[]): NativeVector;
  /** θ_model − θ_other, so that θ_model − 1·Δ = θ_other. */
  difference(model: NativeModel, other: NativeModel, options?: NativeCancelOptions): Promise<NativeVector>;
  /** Σ coefficientsᵢ·vectorsᵢ */
  combine(
    vectors: readonly NativeVector[],
    coefficients: readonly number[],
    options?: NativeCancelOptions,
  ): Promise<NativeVector>;
  /** Independent numbers of variance 1; the same seed gives the same ones. */
  randomVector(
    model: NativeModel,
    distribution: "normal" | "rademacher",
    seed: number,
    options?: NativeCancelOptions,
  ): Promise<NativeVector>;
  /** `keep`: between products, keep what they have in common, where the batch is one micro-batch. */
  createCurvature(
    model: NativeModel,
    batch: NativeBatch,
    options: { operator: CurvatureOperator; microBatch: number; keep: boolean },
  ): NativeCurvature;
  /** `scaling`: S, a diagonal; null = 1. */
  createKrylov(
    curvature: NativeCurvature,
    options: { scaling: NativeVector | null; seed: number },
  ): NativeKrylov;
  /** `ruleOf`: for each parameter, its rule's place among the rules. */
  createOptimizer(
    model: NativeModel,
    groups: NativeOptimizerGroup,
    rules: readonly NativeRule[],
    ruleOf: readonly number[],
  ): NativeOptimizer;
  createCancelToken(): NativeCancelToken;
  setThreads(threads: number): Promise<void>;
  /**
   * At most so many threads, where libtorch's default is more. Before the first job; of several calls in a process, one counts:
   * the first.
   */
  limitThreads(threads: number): void;
  info(): Promise<NativeInfo>;
  /** Bytes of tensors that live handles hold, and how many handles there are. */
  memory(): { handles: number; bytes: number };
  /**
   * What libtorch's allocator holds of a CUDA device's memory, in bytes: in tensors (now, and at most since the peak was last
   * reset) and from the driver; and how often it has asked the driver for memory. All 0 for the CPU.
   */
  deviceMemory(
    device: string,
    resetPeak: boolean,
  ): Promise<{ allocated: number; peak: number; reserved: number; driverAllocations: number }>;
  /** Cancels the running job, refuses new ones and joins the compute thread. */
  shutdown(): void;
}
