import type { NativeProgramDescription } from "./program-description.js";

export type Activation = "gelu" | "gelu_tanh" | "relu" | "silu" | "tanh";

/** How a model is put together; the counterpart of `native/core`'s descriptions. Field names follow Hugging Face where it has one. */
export type NativeModelDescription =
  | {
      kind: "mlp";
      layerSizes: number[];
      activation: Activation;
      loss: "mse" | "cross_entropy";
    }
  | NativeDecoderDescription
  | NativeProgramDescription;

/** A decoder-only language model: all that its families differ in. */
export interface NativeDecoderDescription {
  kind: "decoder";
  vocabularySize: number;
  width: number;
  heads: number;
  keyValueHeads: number;
  headWidth: number;
  innerWidth: number;
  /** Rows of learned positions; 0 without them. */
  positions: number;
  /**
   * How the attention of a layer looks: at the last `window` tokens (0: all), with positions by rotation. `frequencies`, in
   * radians a token, are those of each rotated pair of channels; none: no rotation. `rotaryScale` multiplies cosines and sines.
   */
  attentionKinds: { window: number; frequencies: number[]; rotaryScale: number }[];
  /** Of each layer, its kind. */
  layers: number[];
  /**
   * Layers whose MLP is a mixture: a router gives each token the `chosen` ones of its experts that have the largest probability,
   * which weights them; `normalized`: divided by the chosen ones' sum. None: no layer.
   */
  mixture?: {
    layers: number[];
    experts: number;
    chosen: number;
    /** Of an expert. */
    innerWidth: number;
    normalized: boolean;
    /** Coefficient of the auxiliary loss, which keeps experts equally busy (Fedus et al. 2021); 0: without. */
    balance: number;
  };
  /** Beside a projection, named with its layer's: W·x + scale·B·A·x, where A and B are parameters too. */
  adapters?: { module: string; rank: number; scale: number }[];
  /** Of every norm. `weightFromOne`: it multiplies by 1 + the parameter. */
  norm: {
    kind: "layer" | "rms";
    epsilon: number;
    weight: boolean;
    bias: boolean;
    weightFromOne: boolean;
  };
  /** Norms of queries and keys are over a head's width or over all heads together. */
  queryKeyNorm: "head" | "projection";
  /** Attention and MLP read the same input. */
  parallel: boolean;
  /** In one projection: q, k, v of one head after the other; else all q, all k, all v. */
  queryKeyValueByHead: boolean;
  queryKeyValueBias: boolean;
  attentionOutputBias: boolean;
  mlpBias: boolean;
  headBias: boolean;
  /** Of the layers' projections. */
  storage: "out_in" | "in_out";
  activation: Activation;
  /** Of a query's product with a key. */
  attentionScale: number;
  /** Scores become cap·tanh(score/cap), as do logits; 0: they stay. */
  attentionCap: number;
  logitCap: number;
  embeddingScale: number;
  /** Of what attention and MLP add to the residual stream. */
  residualScale: number;
  /** Of the features' product with the head's weight, before its bias and the cap. */
  logitScale: number;
  /** Queries, keys and values stay within ±bound; 0: no bound. */
  queryKeyValueBound: number;
  /** Standard deviation of weights at the start. */
  initialDeviation: number;
  /** The token whose embedding gets no gradient (that of a tied head stays), as torch.nn.Embedding's padding_idx; −1: none. */
  paddingToken: number;
  names: NativeDecoderNames;
}

/** What a decoder's modules are called in its checkpoints. A module without a name is one that it lacks. */
export interface NativeDecoderNames {
  embedding: string;
  positions?: string;
  /** Before a layer's number, a dot and the names of its modules. */
  layers: string;
  finalNorm: string;
  /** None: the embedding serves. */
  head?: string;
  /** Before attention and MLP; `mlpNorm` of a parallel layer may be missing: attention's serves both. */
  attentionNorm?: string;
  mlpNorm?: string;
  /** After them, before the sum. */
  attentionPostNorm?: string;
  mlpPostNorm?: string;
  /** Three projections, or all in one. */
  query?: string;
  key?: string;
  value?: string;
  queryKeyValue?: string;
  queryNorm?: string;
  keyNorm?: string;
  attentionOutput: string;
  /** With it the MLP is down(f(gate(x))·up(x)), else down(f(up(x))). */
  gate?: string;
  up: string;
  down: string;
  /** Of a mixture. `experts` stands before an expert's number, a dot and the names of its matrices. */
  router?: string;
  experts?: string;
  expertGate?: string;
  expertUp?: string;
  expertDown?: string;
}
