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
import type { FileTensor } from "./surface/file-tensor.js";
import type { NativeGroup, NativeRendezvous } from "./surface/group.js";
import type { NativeCancelOptions, NativeCancelToken } from "./surface/handle.js";
import type { CurvatureOperator, NativeCurvature, NativeKrylov } from "./surface/krylov.js";
import type { ComputeDtype, NativeBatch, NativeModel, ParameterDtype } from "./surface/model.js";
import type { NativeOptimizer, NativeOptimizerGroup, NativeRule } from "./surface/optimizer.js";
import type { NativePart, NativeVector } from "./surface/vector.js";

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
