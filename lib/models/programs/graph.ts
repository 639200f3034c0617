import { setImmediate as turn } from "node:timers/promises";
import { throwIfAborted } from "../../errors.js";
import type { NativeProgramArgument, NativeProgramGraph, NativeProgramNode } from "../../torch/index.js";
import { badModelFile } from "../found-tensors.js";
import {
  type Argument,
  dtypeName,
  dtypeOf,
  type Graph,
  graphSchema,
  layoutName,
  memoryFormats,
  nodeHeadSchema,
  nodeSchema,
  parse,
  stridedLayout,
} from "./schema.js";

/** Nodes that are read between two turns of the event loop. */
const nodesAtATime = 128;
/** Graphs within graphs: what exports have is two or three deep. */
const deepest = 16;

/** What may stand in the place of an input that export has fixed. */
const constants = new Set<string>(["as_none", "as_int", "as_float", "as_bool", "as_string"]);

const frames = /File "([^"\n]*)", line (\d+)/g;
const withinTorch = /(^|[\\/](site|dist)-packages[\\/])torch[\\/]/;

/** "models.py, line 89": the innermost line of a stack trace that is not PyTorch's own, nor of code that it generated ("<…>"). */
function sourceLine(stackTrace = ""): string {
  const found = [...stackTrace.matchAll(frames)].filter(([, file]) => !file?.startsWith("<"));
  const frame = found.findLast(([, file = ""]) => !withinTorch.test(file)) ?? found.at(-1);
  return frame ? `${frame[1]?.split(/[\\/]/).at(-1)?.slice(0, 80)}, line ${frame[2]?.slice(0, 9)}` : "";
}

/** A graph and those in its nodes, with numbers for the names of values. What no node reads and no output is gets none as a result. */
export async function readGraph(
  file: string,
  graph: Graph,
  signal: AbortSignal | undefined,
  { depth, where: around } = { depth: 0, where: "" },
): Promise<NativeProgramGraph> {
  const values = new Values(file);
  const inputs = graph.inputs.map((input) => values.input(input));
  const nodes: NativeProgramNode[] = [];
  for (const [i, node] of graph.nodes.entries()) {
    if (i % nodesAtATime === nodesAtATime - 1) await turn();
    throwIfAborted(signal);
    const { target, metadata } = parse(nodeHeadSchema, node, `nodes[${i}]`, `model.json of "${file}"`);
    const where = sourceLine(metadata?.stack_trace) || around;
    values.at = `${target}${where && ` (${where})`}`;
    const given = parse(nodeSchema, node, `nodes[${i}]`, `${values.at}, in model.json of "${file}"`);
    const args: NativeProgramNode["arguments"] = [];
    const names = new Set<string>();
    for (const { name, arg } of given.inputs) {
      if (name !== "" && names.has(name))
        throw badModelFile(file, "arguments that are given once", `"${name}" twice of ${values.at}`);
      names.add(name);
      if (arg.kind !== "as_graph") {
        args.push({ name, value: values.argument(arg) });
        continue;
      }
      if (depth === deepest)
        throw badModelFile(file, `graphs at most ${deepest} deep`, `more, in ${values.at}`);
      const inner = parse(graphSchema, arg.value.graph, "graph", `${values.at}, in model.json of "${file}"`);
      const value = await readGraph(file, inner, signal, { depth: depth + 1, where });
      args.push({ name, value: { kind: "graph", value } });
    }
    nodes.push({ target, where, arguments: args, outputs: given.outputs.map((o) => values.define(o)) });
  }
  values.at = "the outputs";
  const outputs = graph.outputs.map((output) => values.output(output));
  const read = (slot: number) => (values.read.has(slot) ? slot : -1);
  for (const node of nodes)
    node.outputs = node.outputs.map((slot) => (Array.isArray(slot) ? slot.map(read) : read(slot)));
  return { slots: values.count, inputs, nodes, outputs };
}

/** The values of one graph: numbers for their names. */
class Values {
  readonly #file: string;
  readonly #slots = new Map<string, number>();
  count = 0;
  readonly read = new Set<number>();
  /** The node that is being read, for messages. */
  at = "the inputs";

  constructor(file: string) {
    this.#file = file;
  }

  #refuse(what: string, received: string): Error {
    return badModelFile(this.#file, what, `${received} of ${this.at}`);
  }

  #new(name: string): number {
    if (this.#slots.has(name))
      throw this.#refuse("values that are defined once", `"${name}" a second time, a result`);
    this.#slots.set(name, this.count);
    return this.count++;
  }

  #find(name: string): number {
    const slot = this.#slots.get(name);
    if (slot === undefined)
      throw this.#refuse("values that are defined before they are read", `"${name}", an argument`);
    this.read.add(slot);
    return slot;
  }

  /** The slot of a graph's input. A constant in its place has one too, to which no name leads: its value is in the nodes. */
  input(argument: Argument): number {
    return constants.has(argument.kind) ? this.count++ : this.#one(argument);
  }

  #one(argument: Argument): number {
    if (argument.kind === "as_tensor") return this.#new(argument.value.name);
    const isSymbol =
      argument.kind === "as_sym_int" || argument.kind === "as_sym_float" || argument.kind === "as_sym_bool";
    if (isSymbol && argument.value.kind === "as_name") return this.#new(argument.value.value);
    throw this.#refuse("tensors and numbers as values", `a result of the kind ${kindName(argument)}`);
  }

  /** The slots of a node's result. */
  define(argument: Argument): number | number[] {
    if (argument.kind === "as_none") return -1;
    if (argument.kind === "as_tensors") return argument.value.map(({ name }) => this.#new(name));
    if (argument.kind !== "as_optional_tensors") return this.#one(argument);
    return argument.value.map((one) => (one.kind === "as_tensor" ? this.#new(one.value.name) : -1));
  }

  output(argument: Argument): number {
    if (argument.kind === "as_none") return -1;
    const value = this.argument(argument);
    if (value.kind === "slot") return value.value;
    throw this.#refuse("tensors and sizes as a graph's outputs", `one of the kind ${kindName(argument)}`);
  }

  argument(argument: Argument): NativeProgramArgument {
    switch (argument.kind) {
      case "as_none":
        return { kind: "none" };
      case "as_tensor":
        return { kind: "slot", value: this.#find(argument.value.name) };
      case "as_optional_tensor": {
        const slot = this.#optional(argument.value);
        return slot === -1 ? { kind: "none" } : { kind: "slot", value: slot };
      }
      case "as_tensors":
        return { kind: "slots", value: argument.value.map(({ name }) => this.#find(name)) };
      case "as_optional_tensors":
        return { kind: "slots", value: argument.value.map((one) => this.#optional(one)) };
      case "as_int":
      case "as_float":
      case "as_bool":
      case "as_string":
      case "as_ints":
      case "as_floats":
      case "as_bools":
        return constant(argument);
      case "as_sym_int":
      case "as_sym_float":
      case "as_sym_bool":
        return this.#symbolic(argument.value);
      case "as_sym_ints":
        return this.#integers(argument.value.map((one) => this.#symbolic(one)));
      case "as_device": {
        const { type, index } = argument.value;
        return { kind: "device", value: index == null ? type : `${type}:${index}` };
      }
      case "as_scalar_type": {
        const dtype = dtypeOf(argument.value);
        if (dtype !== undefined) return { kind: "dtype", value: dtype };
        throw this.#refuse("real numbers without quantization", dtypeName(argument.value));
      }
      case "as_layout":
        if (argument.value === stridedLayout) return { kind: "layout", value: "strided" };
        throw this.#refuse("strided tensors", layoutName(argument.value));
      case "as_memory_format": {
        const format = memoryFormats[argument.value];
        if (format !== undefined) return { kind: "memory-format", value: format };
        throw this.#refuse("a memory format of PyTorch's", `the code ${argument.value}`);
      }
      default:
        throw this.#refuse("arguments that can be run", `one of the kind ${kindName(argument)}`);
    }
  }

  #optional(one: Extract<Argument, { kind: "as_optional_tensor" }>["value"]): number {
    if (one.kind === "as_tensor") return this.#find(one.value.name);
    if (one.kind === "as_none") return -1;
    throw this.#refuse("tensors or none", one.name);
  }

  #symbolic(
    one: Extract<Argument, { kind: "as_sym_int" | "as_sym_float" | "as_sym_bool" }>["value"],
  ): NativeProgramArgument {
    if (one.kind === "as_name") return { kind: "slot", value: this.#find(one.value) };
    if (one.kind !== "other") return constant(one);
    throw this.#refuse("numbers or names of numbers", one.name);
  }

  #integers(items: NativeProgramArgument[]): NativeProgramArgument {
    const value = items.map((item) => (item.kind === "int" ? item.value : 0));
    const slots = items.map((item) => (item.kind === "slot" ? item.value : -1));
    return slots.some((slot) => slot >= 0) ? { kind: "ints", value, slots } : { kind: "ints", value };
  }
}

function constant({ kind, value }: { kind: string; value: unknown }): NativeProgramArgument {
  return { kind: kind.replace(/^as_/, ""), value } as NativeProgramArgument;
}

export function kindName(argument: Argument): string {
  return (argument.kind === "other" ? argument.name : argument.kind).replace(/^as_/, "").slice(0, 80);
}
