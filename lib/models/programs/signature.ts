import type { NativeProgramDescription, NativeProgramInput, NativeReduction } from "../../torch/index.js";
import { badModelFile } from "../found-tensors.js";
import { realDtype, type StoredTensor } from "./archive.js";
import { kindName } from "./graph.js";
import { type Argument, type Graph, type Program, parse, type TensorMeta, tensorSchema } from "./schema.js";

/** The same of tensors that share all of their elements. */
export const placeOf = ({ byteOffset, dtype, shape, strides }: StoredTensor): string =>
  `${byteOffset} ${dtype} ${shape} ${strides}`;

interface ProgramParameter {
  name: string;
  /** That, and those of the ones that are tied to it. */
  names: string[];
  dtype: "float32" | "float64";
  tensor: StoredTensor;
}

/** The parameters of a program. Tied ones are one, with the first one's name. */
export class Parameters {
  readonly #path: string;
  readonly #places = new Map<string, number>();
  readonly list: ProgramParameter[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  /** @returns its place among them */
  add(name: string, tensor: StoredTensor): number {
    const { dtype, shape, strides, requiresGrad } = tensor;
    if (dtype !== "float32" && dtype !== "float64")
      throw badModelFile(
        this.#path,
        "parameters in float32 or float64",
        `"${name}" in ${dtype}: export the model in float32, by model.float(); autocast within forward may stay`,
      );
    const first = this.list[0];
    if (first && first.dtype !== dtype)
      throw badModelFile(
        this.#path,
        "parameters of one dtype",
        `"${first.name}" in ${first.dtype} and "${name}" in ${dtype}: export the model after model.float()`,
      );
    if (!isRowMajor(shape, strides))
      throw badModelFile(
        this.#path,
        "contiguous parameters",
        `"${name}" of shape [${shape.join(", ")}] with strides [${strides.join(", ")}]: before export, p.data = p.data.contiguous() of each`,
      );
    const key = placeOf(tensor);
    const known = this.#places.get(key);
    const other = known === undefined ? undefined : this.list[known];
    if (other && other.tensor.requiresGrad !== requiresGrad)
      throw badModelFile(
        this.#path,
        "tied parameters of which all are frozen, or none",
        `"${other.name}" and "${name}", of which one is`,
      );
    other?.names.push(name);
    if (known !== undefined) return known;
    this.#places.set(key, this.list.length);
    this.list.push({ name, names: [name], dtype, tensor });
    return this.list.length - 1;
  }

  /** A change of one parameter must be no change of anything else. */
  check(others: readonly StoredTensor[]): void {
    const spans = [
      ...this.list.map(({ name, tensor }) => ({ name, tensor })),
      ...others.map((tensor) => ({ name: undefined, tensor })),
    ].filter(({ tensor }) => tensor.end > tensor.byteOffset);
    spans.sort((a, b) => a.tensor.byteOffset - b.tensor.byteOffset);
    let parameter = { end: 0, name: "" };
    let last = 0;
    for (const { name, tensor } of spans) {
      const isShared = tensor.byteOffset < (name === undefined ? parameter.end : last);
      if (isShared)
        throw badModelFile(
          this.#path,
          "parameters whose elements are no other tensor's",
          `"${name ?? parameter.name}", which shares some: clone() it before export, or tie it whole`,
        );
      if (name !== undefined && tensor.end > parameter.end) parameter = { end: tensor.end, name };
      last = Math.max(last, tensor.end);
    }
  }
}

function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  if (shape.includes(0)) return true;
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis] as number;
    // The stride of an axis of one element says nothing.
    if (size > 1 && strides[axis] !== step) return false;
    step *= size;
  }
  return true;
}

const symbolPattern = /^(?:Symbol\('(\w+)'(?:, \w+=\w+)*\)|([A-Za-z_]\w*))$/;

/** What a batch gives, and the sizes that its tensors share. */
export class Inputs {
  readonly #path: string;
  readonly #graph: Graph;
  readonly #ranges: Program["range_constraints"];
  readonly #symbols = new Map<string, number>();
  readonly list: NativeProgramInput[] = [];
  readonly symbols: NativeProgramDescription["symbols"] = [];

  constructor(path: string, { graph_module: { graph }, range_constraints }: Program) {
    this.#path = path;
    this.#graph = graph;
    this.#ranges = range_constraints;
  }

  /** @returns its place among them */
  add(name: string): number {
    const meta = metaOf(this.#path, this.#graph, name);
    const dtype = realDtype(this.#path, `input "${name}"`, meta);
    this.list.push({ name, dtype, sizes: meta.sizes.map((size, axis) => this.#size(size, name, axis)) });
    return this.list.length - 1;
  }

  #size(size: TensorMeta["sizes"][number], input: string, axis: number): number | { symbol: number } {
    if (size.kind === "as_int" && Number.isSafeInteger(size.value) && size.value >= 0) return size.value;
    const expression = size.kind === "as_expr" ? size.value.expr_str : "";
    const [, written, plain] = symbolPattern.exec(expression) ?? [];
    const symbol = written ?? plain;
    if (symbol !== undefined) return { symbol: this.#symbol(symbol) };
    const found = size.kind === "as_int" ? String(size.value) : expression.slice(0, 200) || size.kind;
    throw badModelFile(
      this.#path,
      "inputs each of whose sizes is a number or varies on its own",
      `${found} along axis ${axis} of "${input}": export with that axis fixed (Dim.STATIC)`,
    );
  }

  #symbol(name: string): number {
    const known = this.#symbols.get(name);
    if (known !== undefined) return known;
    const range = Object.hasOwn(this.#ranges, name) ? this.#ranges[name] : undefined;
    const least = Math.max(range?.min_val ?? 0, 0);
    const most = range?.max_val ?? Number.POSITIVE_INFINITY;
    if (!Number.isSafeInteger(least) || most < least)
      throw badModelFile(this.#path, `a range of sizes for ${name}`, `from ${least} to ${most}`);
    this.#symbols.set(name, this.symbols.length);
    this.symbols.push({ least, most: Number.isSafeInteger(most) ? most : Number.POSITIVE_INFINITY });
    return this.symbols.length - 1;
  }
}

function metaOf(path: string, { tensor_values: values }: Graph, name: string): TensorMeta {
  if (!Object.hasOwn(values, name))
    throw badModelFile(path, `dtype and sizes of "${name}" in tensor_values`, "none");
  return parse(tensorSchema, values[name], name, `model.json of "${path}"`);
}

const returns: Readonly<Record<NativeReduction, { count: number; rank: number; what: string }>> = {
  loss: { count: 1, rank: 1, what: "the loss alone, a number or one for each row" },
  "mean-of-rows": { count: 1, rank: 0, what: "one number, the mean of the rows' losses" },
  "sum-and-weight": {
    count: 2,
    rank: 0,
    what: "two numbers, the sum of the losses and what it is to be divided by",
  },
};

/**
 * The graph's outputs that are forward's, without what it would write to its buffers, and whether the loss has a number for each row.
 */
export function lossOutputs(
  path: string,
  { graph_module: { graph, signature } }: Program,
  reduction: NativeReduction,
): { outputs: Argument[]; perRow: boolean } {
  const { count, rank, what } = returns[reduction];
  if (signature.output_specs.length !== graph.outputs.length)
    throw badModelFile(
      path,
      `a signature of the graph's ${graph.outputs.length} outputs`,
      `one of ${signature.output_specs.length}`,
    );
  const outputs = signature.output_specs.flatMap((spec, i) => {
    if (spec.kind === "buffer_mutation") return [];
    if (spec.kind === "other")
      throw badModelFile(
        path,
        "a forward that returns a loss and writes to nothing but buffers",
        `the output ${spec.name}${spec.name === "user_input_mutation" ? ": clone() an input before it is written to" : ""}`,
      );
    return [graph.outputs[i] as Argument];
  });
  const expected = `a forward that returns ${what} (reduction "${reduction}")`;
  if (outputs.length !== count)
    throw badModelFile(path, expected, `${outputs.length} output${outputs.length === 1 ? "" : "s"}`);
  let perRow = false;
  for (const [i, output] of outputs.entries()) {
    if (output.kind !== "as_tensor") throw badModelFile(path, expected, `a ${kindName(output)}`);
    const meta = metaOf(path, graph, output.value.name);
    const dtype = realDtype(path, "an output", meta);
    if (meta.sizes.length > rank) throw badModelFile(path, expected, `a tensor of ${meta.sizes.length} axes`);
    perRow ||= meta.sizes.length === 1;
    // The weight may be a count.
    if (i === 0 && !dtype.includes("float")) throw badModelFile(path, expected, `a tensor in ${dtype}`);
  }
  return { outputs, perRow };
}
