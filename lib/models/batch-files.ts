import { setImmediate as turn } from "node:timers/promises";
import { AbortError, type CriticalSharpnessError, throwIfAborted, unusable } from "../errors.js";
import {
  readSafetensorsHeader,
  readStoredTensor,
  type SafetensorsHeader,
  type StoredDtype,
  type StoredNumbers,
  type StoredTensor,
  storedNumbers,
} from "../files/index.js";
import { checkBoolean, checkOptions, checkString } from "../options/index.js";
import { type SignalOptions, signalOf } from "../torch/index.js";
import { Batch, type ExampleData } from "./batch.js";
import { type NamedTensor, storedNamedTensor } from "./named-tensors.js";
import type { PreferenceData, TokenData } from "./token-data.js";
import { shiftInPython } from "./token-rows.js";

/**
 * Reads a batch from a safetensors file: `input_ids` and `labels`, integers [batch, sequence] (labels already shifted,
 * −100 is ignored), with `attention_mask` and `position_ids` where rows are padded or packed (see `TokenData`); or `inputs`
 * float [n, features] and `targets` (float [n, out] or integers [n]). Either may have `weights` of the labels' shape, or [n];
 * `reference_log_probabilities` [batch] makes rows of tokens preferences, with `beta` and `label_smoothing` in the metadata (see
 * `PreferenceData`). Another tensor in the file is an error. The file's
 * metadata may say `{"labels": "shifted"}`, which is `labelsAreShifted`.
 *
 * With `named`, for a program: all tensors as they are, by the names of its forward's arguments (`Batch.named`).
 *
 * @throws CriticalSharpnessError `ERR_BATCH_FILE`, `ERR_SAFETENSORS` naming file and tensor; AbortError.
 */
export async function loadBatch(
  file: string,
  options: SignalOptions & { named?: boolean } = {},
): Promise<Batch> {
  const { named = false, ...stop } = checkOptions(options, "options");
  const signal = signalOf(stop);
  throwIfAborted(signal);
  const header = await readSafetensorsHeader(checkString(file, "file"));
  if (checkBoolean(named, "options.named")) return namedBatch(header, signal);
  const series = readSeries(header);
  if (series.batches !== null)
    throw bad(
      file,
      "one batch",
      `a series of ${series.batches}: read it with loadBatches, or choose one of them`,
    );
  return (await makeBatches(header, series, signal))[0] as Batch;
}

/** Reads a series of batches: the tensors of `loadBatch` with an extra leading axis. A single batch is a series of one. */
export async function loadBatches(file: string, options: SignalOptions = {}): Promise<Batch[]> {
  const signal = signalOf(options);
  throwIfAborted(signal);
  const header = await readSafetensorsHeader(checkString(file, "file"));
  return makeBatches(header, readSeries(header), signal);
}

async function namedBatch(
  { path, tensors }: SafetensorsHeader,
  signal: AbortSignal | undefined,
): Promise<Batch> {
  const named: Record<string, NamedTensor> = {};
  for (const tensor of tensors.values()) {
    if (tensor.byteLength === 0) throw bad(path, "tensors with elements", `an empty one, "${tensor.name}"`);
    const bytes = new Uint8Array(await readStoredTensor(path, tensor, signal));
    const read = storedNamedTensor(tensor.dtype, bytes, tensor.shape);
    if (!read) throw bad(path, `a dtype that programs take in tensor "${tensor.name}"`, tensor.dtype);
    named[tensor.name] = read;
  }
  if (tensors.size === 0) throw bad(path, "tensors", "none");
  return Batch.named(named);
}

const integerDtypes = /^u?int(8|16|32|64)$/;
const isInteger = (dtype: StoredDtype) => integerDtypes.test(dtype);
const isFloat = (dtype: StoredDtype) => /^b?float(16|32|64)$/.test(dtype);
const integer = { what: "integers", fits: isInteger };
const float = { what: "float64, float32, float16 or bfloat16", fits: isFloat };

interface Known {
  what: string;
  fits(dtype: StoredDtype): boolean;
  /** It has a number for each row. */
  perRow?: boolean;
}

/** The tensors of a kind of batch, the first two of which it must have. */
const kinds = {
  tokens: {
    input_ids: integer,
    labels: integer,
    attention_mask: { what: "integers or bool", fits: (d: StoredDtype) => isInteger(d) || d === "bool" },
    position_ids: integer,
    weights: float,
    reference_log_probabilities: { ...float, perRow: true },
  },
  examples: {
    inputs: float,
    targets: {
      what: "float64, float32, float16, bfloat16 or integers",
      fits: (d: StoredDtype) => isFloat(d) || isInteger(d),
    },
    weights: { ...float, perRow: true },
  },
};

/** The tensors of one or more batches, with their leading axis, a series of batches, taken apart. */
interface Series {
  kind: keyof typeof kinds;
  batches: number | null;
  /** [rows, width] of the input of one batch. */
  shape: [number, number];
  tensors: Map<string, StoredTensor>;
}

function readSeries({ path, tensors }: SafetensorsHeader): Series {
  const kind = tensors.has("input_ids") ? "tokens" : tensors.has("inputs") ? "examples" : undefined;
  if (!kind)
    throw bad(
      path,
      'tensors "input_ids" and "labels", or "inputs" and "targets",',
      `${[...tensors.keys()].slice(0, 4).join(", ") || "none"}`,
    );
  const known: Record<string, Known> = kinds[kind];
  const [inputName, targetName] = Object.keys(known) as [string, string];
  for (const tensor of tensors.values()) {
    const own = Object.hasOwn(known, tensor.name) ? known[tensor.name] : undefined;
    if (!own)
      throw bad(
        path,
        `no tensors but ${Object.keys(known).join(", ")}`,
        `"${tensor.name}": leave it out if the loss does not depend on it`,
      );
    if (!own.fits(tensor.dtype)) throw bad(path, `${own.what} in tensor "${tensor.name}"`, tensor.dtype);
    if (tensor.byteLength === 0) throw bad(path, "tensors with elements", `an empty one, "${tensor.name}"`);
  }
  const input = tensors.get(inputName) as StoredTensor;
  const target = tensors.get(targetName);
  if (!target) throw bad(path, `a tensor "${targetName}"`, "none");
  const rank = input.shape.length;
  for (const tensor of tensors.values()) {
    // Of a regression the last axis may differ, of a classification there is none.
    const perRow =
      known[tensor.name]?.perRow || (kind === "examples" && tensor === target && isInteger(tensor.dtype));
    const same = (kind === "tokens" && !perRow) || tensor === input ? rank : rank - 1;
    const ranks = tensor.shape.length === (perRow ? rank - 1 : rank);
    if ((rank !== 2 && rank !== 3) || !ranks || !startsAlike(input, tensor, same))
      throw bad(
        path,
        `shapes of "${inputName}" and "${tensor === input ? targetName : tensor.name}" that belong together`,
        `[${input.shape}] and [${(tensor === input ? target : tensor).shape}]`,
      );
  }
  const shape = input.shape.slice(-2) as [number, number];
  return { kind, batches: rank === 3 ? (input.shape[0] as number) : null, shape, tensors: new Map(tensors) };
}

const startsAlike = (a: StoredTensor, b: StoredTensor, axes: number) =>
  a.shape.slice(0, axes).join() === b.shape.slice(0, axes).join();

async function makeBatches(
  { path, metadata }: SafetensorsHeader,
  { kind, batches, shape, tensors }: Series,
  signal: AbortSignal | undefined,
): Promise<Batch[]> {
  const labels = metadata.labels;
  if (kind === "tokens" && labels !== undefined && labels !== "shifted")
    throw bad(path, '"shifted" in its metadata "labels"', `${JSON.stringify(labels)}: ${shiftInPython}`);
  const numbers: Record<string, StoredNumbers> = {};
  for (const tensor of tensors.values())
    numbers[tensor.name] = asTaken(
      storedNumbers(await readStoredTensor(path, tensor, signal), tensor.dtype) as StoredNumbers,
    );
  const count = batches ?? 1;
  const made: Batch[] = [];
  for (let i = 0; i < count; i++) {
    const part = (name: string) => {
      const all = numbers[name];
      return all?.subarray((i * all.length) / count, ((i + 1) * all.length) / count);
    };
    if (i > 0) await turn(); // each takes a moment
    try {
      throwIfAborted(signal);
      if (kind === "examples")
        made.push(
          Batch.examples({
            inputs: part("inputs"),
            targets: part("targets"),
            weights: part("weights"),
            shape: [shape[0]],
          } as ExampleData),
        );
      else {
        const rows = {
          inputIds: part("input_ids"),
          labels: part("labels"),
          attentionMask: part("attention_mask"),
          positionIds: part("position_ids"),
          shape,
          labelsAreShifted: labels === "shifted",
        };
        const referenceLogProbabilities = part("reference_log_probabilities");
        const weights = part("weights");
        made.push(
          referenceLogProbabilities === undefined
            ? Batch.tokens({ ...rows, weights } as TokenData)
            : Batch.preferences({
                ...rows,
                ...(weights && { weights }),
                referenceLogProbabilities,
                ...numbersOf(metadata, { beta: "beta", label_smoothing: "labelSmoothing" }),
              } as PreferenceData),
        );
      }
    } catch (error) {
      for (const batch of made) batch.dispose();
      if (error instanceof AbortError) throw error;
      throw bad(path, `numbers that make batch ${i} of ${count}`, (error as Error).message, error);
    }
  }
  return made;
}

/** Numbers of a file's metadata, which are texts, by their names as options. */
function numbersOf(metadata: Record<string, string>, names: Record<string, string>): Record<string, number> {
  const given = Object.entries(names).filter(([key]) => metadata[key] !== undefined);
  return Object.fromEntries(given.map(([key, name]) => [name, Number(metadata[key])]));
}

/** Integers of 64 bits without a sign as those with one: ids from 2⁶³ on become negative, which is an error of its own. */
function asTaken(numbers: StoredNumbers): StoredNumbers {
  return numbers instanceof BigUint64Array ? new BigInt64Array(numbers.buffer) : numbers;
}

function bad(file: string, what: string, received: string, cause?: unknown): CriticalSharpnessError {
  return unusable("ERR_BATCH_FILE", what, `the batch "${file}"`, received, cause);
}
