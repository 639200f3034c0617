import { throwIfAborted } from "../../errors.js";
import { readStoredTensor, type StoredTensor, storedNumbers } from "../../files/index.js";
import { type Parameter, type ParameterSet, parameterKind } from "../parameters.js";
import type { Adapter, AdapterPair } from "./adapter.js";
import { badAdapter } from "./adapter-config.js";

type Floats = Float32Array | Float64Array;

/** −(what an adapter adds to a parameter), by the parameter's name: Δ of the step from the model to the adapted one. */
export type AdapterChanges = Record<string, Floats | LowRank>;

/** scale·left·right: left [rows, rank], right [rank, columns]. */
export interface LowRank {
  left: Floats;
  right: Floats;
  rank: number;
  scale: number;
}

/**
 * Δ = θ_model − θ_adapted: factors of each adapted matrix, which are never multiplied out, and numbers of what the adapter
 * brings whole.
 *
 * @throws CriticalSharpnessError `ERR_ADAPTER` naming the tensor that does not fit the model; AbortError.
 */
export async function adapterChanges(
  adapter: Adapter,
  model: ParameterSet,
  signal: AbortSignal | undefined,
): Promise<AdapterChanges> {
  const { file, pairs, saved } = adapter;
  const changes: AdapterChanges = {};
  const read = async (tensor: StoredTensor) =>
    storedNumbers(await readStoredTensor(file, tensor, signal), tensor.dtype) as Floats;
  for (const { name, tensor } of saved) {
    const parameter = parameterOf(adapter, model, name);
    if (String(tensor.shape) !== String(parameter.shape))
      throw misfit(file, tensor.name, tensor.shape, parameter);
    const numbers = await read(tensor);
    changes[parameter.name] = await differences(model, parameter, numbers, signal);
  }
  for (const pair of pairs) {
    const parameter = parameterOf(adapter, model, pair.name);
    const transposed = orientation(adapter, model, pair, parameter);
    const [A, B] = [await read(pair.A), await read(pair.B)];
    const own = factors(pair, transposed, A, B);
    const [rows, columns] = parameter.shape as [number, number];
    const before = changes[parameter.name];
    const isChanged = before instanceof Float32Array || before instanceof Float64Array;
    changes[parameter.name] =
      (isChanged && before.some((x) => x !== 0)) || own.rank > Math.min(rows, columns)
        ? multiplied(own, rows, columns, isChanged ? before : undefined)
        : own;
  }
  return changes;
}

/**
 * The model's parameter of a name of PEFT's, which may lack the prefix: its model may be without a head.
 *
 * @throws CriticalSharpnessError `ERR_ADAPTER` where there is none, it is tied, or frozen.
 */
export function parameterOf(
  { file }: Pick<Adapter, "file">,
  model: Pick<ParameterSet, "parameters">,
  name: string,
): Parameter {
  const { parameters } = model;
  const tied = !parameters.some((p) => parameterKind(p.name) === "head");
  const kind = parameterKind(name);
  const longer = parameters.filter((p) => p.name.endsWith(`.${name}`));
  const found =
    parameters.find((p) => p.name === name) ??
    (longer.length === 1 ? longer[0] : undefined) ??
    // The head has two names in GPT-NeoX.
    (kind === "head" ? parameters.find((p) => parameterKind(p.name) === "head") : undefined);
  const isTied = tied && (kind === "head" || /(wte|embed_tokens|embed_in)\.weight$/.test(name));
  if (isTied && (found === undefined || parameterKind(found.name) === "embeddings"))
    throw badAdapter(
      file,
      "an adapter that leaves embedding and head alone, as the model ties them,",
      `one of "${name}"`,
    );
  if (found === undefined)
    throw badAdapter(file, "an adapter of the model's parameters", `one of "${name}", which is none of them`);
  if (!found.trainable)
    throw badAdapter(file, "an adapter of parameters that are not frozen", `one of "${name}"`);
  return found;
}

/**
 * Whether the parameter changes by (B·A)ᵀ. Its shape says; of a square one PEFT's flag, and GPT-2's own layers, since PEFT saves the
 * flag as the last module that it adapted has it.
 */
function orientation(
  { file }: Adapter,
  { parameters }: ParameterSet,
  { A, B, name, transposed }: AdapterPair,
  parameter: Parameter,
): boolean {
  const [out, within] = [B.shape[0], A.shape[1]] as [number, number];
  const plain = String(parameter.shape) === String([out, within]);
  const turned = String(parameter.shape) === String([within, out]);
  if (!plain && !turned)
    throw misfit(file, B.name.replace("lora_B", "lora_B·lora_A"), [out, within], parameter);
  if (plain !== turned) return turned;
  const storesInOut = parameters.some(
    ({ name, shape: [rows = 0, columns = 0] }) => /\.c_attn\.weight$/.test(name) && columns > rows,
  );
  return transposed || (storesInOut && /\.c_(attn|proj|fc)\.weight$/.test(name));
}

function factors({ rank, scale }: AdapterPair, transposed: boolean, A: Floats, B: Floats): LowRank {
  return transposed
    ? { left: turn(A, rank), right: turn(B, B.length / rank), rank, scale: -scale }
    : { left: B, right: A, rank, scale: -scale };
}

/** The transpose of a row-major matrix. */
function turn(matrix: Floats, rows: number): Floats {
  const columns = matrix.length / rows;
  return matrix.map((_, i) => matrix[(i % rows) * columns + Math.floor(i / rows)] as number);
}

/** The product, added to what is there. */
function multiplied(
  { left, right, rank, scale }: LowRank,
  rows: number,
  columns: number,
  to?: Floats,
): Floats {
  const sum = Float64Array.from(to ?? { length: rows * columns }, (x) => (to ? (x as number) : 0));
  for (let i = 0; i < rows; i++)
    for (let k = 0; k < rank; k++) {
      const factor = scale * (left[i * rank + k] as number);
      for (let j = 0; j < columns; j++)
        sum[i * columns + j] = (sum[i * columns + j] as number) + factor * (right[k * columns + j] as number);
    }
  return sum;
}

/** Bytes that are read of a weight at a time. */
const chunkBytes = 1 << 24;

/** The model's numbers minus those that stand in their place. */
async function differences(
  { handle, parameters }: ParameterSet,
  parameter: Parameter,
  others: Floats,
  signal: AbortSignal | undefined,
): Promise<Floats> {
  const index = parameters.indexOf(parameter);
  const dtype = handle.parameterDtype;
  const result = dtype === "float64" ? new Float64Array(others.length) : new Float32Array(others.length);
  const width = { float64: 8, float32: 4, bfloat16: 2 }[dtype];
  for (let start = 0; start < others.length; start += chunkBytes / width) {
    throwIfAborted(signal);
    const own = storedNumbers(await handle.read(index, start * width, chunkBytes), dtype) as Floats;
    for (let i = 0; i < own.length; i++)
      result[start + i] = (own[i] as number) - (others[start + i] as number);
  }
  return result;
}

function misfit(file: string, name: string, shape: readonly number[], parameter: Parameter) {
  return badAdapter(
    file,
    `shape [${parameter.shape}], that of the model's "${parameter.name}", of "${name}"`,
    `[${shape}]: the adapter is another model's`,
  );
}
