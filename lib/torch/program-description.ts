import type { FileBlock } from "./surface/file-tensor.js";

/**
 * A program of PyTorch operators (torch.export): a graph of nodes whose values have numbers, slots, from 0 on. Each graph has
 * slots of its own.
 */
export interface NativeProgramDescription {
  kind: "program";
  /** Of its parameters. */
  dtype: "float32" | "float64";
  /** One for each stored tensor: parameters that share one are one. Their weights come with `NativeModel.load`. */
  parameters: { name: string; shape: number[]; trainable: boolean }[];
  /** Buffers and constants, read when the model is made. */
  stored: NativeStoredTensor[];
  /** What a batch gives, by the names of forward's arguments. */
  inputs: NativeProgramInput[];
  /** Sizes that inputs share, least ≤ size ≤ most; `most` may be Infinity. */
  symbols: { least: number; most: number }[];
  graph: NativeProgramGraph;
  /** Of each of the graph's inputs, what fills it: its place among parameters, stored tensors or inputs. */
  feeds: { kind: "parameter" | "stored" | "input"; index: number }[];
  /**
   * What the graph's outputs are. `loss`: one, a number, or a number for each row, whose mean is taken. `mean-of-rows`: one
   * number, the mean of what rows give on their own. `sum-and-weight`: two numbers, of which the loss is the quotient.
   */
  reduction: NativeReduction;
  /** Dropout is off, or drawn from this seed anew in each pass. */
  dropoutSeed: number | null;
}

export type NativeReduction = "loss" | "mean-of-rows" | "sum-and-weight";

export type NativeProgramDtype =
  | "bool"
  | "uint8"
  | "int8"
  | "int16"
  | "int32"
  | "int64"
  | "float16"
  | "bfloat16"
  | "float32"
  | "float64";

/** A tensor's elements in a file, little-endian; `byteOffset` of its first one, `strides` in elements. */
export interface NativeStoredTensor {
  path: string;
  byteOffset: number;
  dtype: NativeProgramDtype;
  shape: number[];
  strides: number[];
}

export interface NativeProgramInput {
  name: string;
  dtype: NativeProgramDtype;
  /** A number, or a symbol's place. */
  sizes: (number | { symbol: number })[];
}

export interface NativeProgramGraph {
  /** How many slots there are. */
  slots: number;
  inputs: number[];
  nodes: NativeProgramNode[];
  /** −1: nothing. */
  outputs: number[];
}

export interface NativeProgramNode {
  /** "torch.ops.aten.linear.default", "torch.ops.higher_order.cond", "_operator.mul", … */
  target: string;
  /** Where the model's source has it: "models.py, line 89"; "" if unknown. */
  where: string;
  /** In the file's order. Those of higher-order nodes have no names. */
  arguments: { name: string; value: NativeProgramArgument }[];
  /** A slot for each result, −1: not used; of a result that is a list of tensors, theirs. */
  outputs: (number | number[])[];
}

/** Integers beyond ±2⁶³ stand for the least and the largest one. */
export type NativeProgramArgument =
  | { kind: "none" }
  | { kind: "slot"; value: number }
  | { kind: "int"; value: number }
  | { kind: "float"; value: number }
  | { kind: "bool"; value: boolean }
  | { kind: "string"; value: string }
  | { kind: "dtype"; value: NativeProgramDtype }
  | { kind: "device"; value: string }
  | { kind: "layout"; value: "strided" }
  | { kind: "memory-format"; value: "contiguous" | "preserve" | "channels_last" | "channels_last_3d" }
  /** Where `slots` has one ≥ 0, the integer is its value. */
  | { kind: "ints"; value: number[]; slots?: number[] }
  | { kind: "floats"; value: number[] }
  | { kind: "bools"; value: boolean[] }
  /** A list of tensors, −1: none. */
  | { kind: "slots"; value: number[] }
  | { kind: "graph"; value: NativeProgramGraph };

/** @internal A program as it was read. */
export interface ReadProgram {
  description: NativeProgramDescription;
  /** Of each parameter, where its numbers lie. */
  weights: FileBlock[];
  /** Of each parameter, its names in the state_dict: several, where it is tied. */
  names: string[][];
  /** The state_dict's buffers, by their places among the stored tensors. */
  buffers: { name: string; stored: number }[];
  /** Whether forward, decomposed, returns new buffers in place of writing to them. */
  returnsBuffers: boolean;
}
