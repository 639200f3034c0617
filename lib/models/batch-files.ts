import { checkString } from "../checks.js";
import { CriticalSharpnessError } from "../errors.js";
import { Batch } from "./batch.js";
import {
  readSafetensorsHeader,
  readStoredTensor,
  type SafetensorsHeader,
  type StoredTensor,
} from "./safetensors.js";

/** A pair of tensors [in, out] with their leading axis, a series of batches, taken apart. */
interface Series {
  kind: "tokens" | "examples";
  batches: number | null;
  input: StoredTensor;
  target: StoredTensor;
}

/**
 * Reads a batch from a safetensors file: `input_ids` and `labels`, int64 [batch, sequence] (labels already shifted, −100
 * is ignored); or `inputs` float [n, features] and `targets` (float [n, out] or int64 [n]).
 *
 * @throws CriticalSharpnessError `ERR_BATCH_FILE`, `ERR_SAFETENSORS` naming file and tensor.
 */
export async function loadBatch(file: string): Promise<Batch> {
  const header = await readSafetensorsHeader(checkString(file, "file"));
  const series = readSeries(header);
  if (series.batches !== null)
    throw bad(
      file,
      "one batch",
      `a series of ${series.batches}: read it with loadBatches, or choose one of them`,
    );
  return (await makeBatches(header, series))[0] as Batch;
}

/** Reads a series of batches: the tensors of `loadBatch` with an extra leading axis. A single batch is a series of one. */
export async function loadBatches(file: string): Promise<Batch[]> {
  const header = await readSafetensorsHeader(checkString(file, "file"));
  return makeBatches(header, readSeries(header));
}

function readSeries(header: SafetensorsHeader): Series {
  const { path, tensors } = header;
  const kind = tensors.has("input_ids") ? "tokens" : tensors.has("inputs") ? "examples" : undefined;
  if (!kind)
    throw bad(
      path,
      'tensors "input_ids" and "labels", or "inputs" and "targets",',
      `${[...tensors.keys()].slice(0, 4).join(", ") || "none"}`,
    );
  const [inputName, targetName] = kind === "tokens" ? ["input_ids", "labels"] : ["inputs", "targets"];
  const input = tensors.get(inputName as string) as StoredTensor;
  const target = tensors.get(targetName as string);
  if (!target) throw bad(path, `a tensor "${targetName}"`, "none");
  const isFloat = (t: StoredTensor) => t.dtype === "float32" || t.dtype === "float64";
  if (kind === "tokens" ? input.dtype !== "int64" : !isFloat(input))
    throw bad(
      path,
      `${kind === "tokens" ? "int64" : "float32 or float64"} in tensor "${inputName}"`,
      input.dtype,
    );
  if (target.dtype !== "int64" && !(kind === "examples" && isFloat(target)))
    throw bad(
      path,
      `${kind === "tokens" ? "int64" : "float32, float64 or int64"} in tensor "${targetName}"`,
      target.dtype,
    );
  const rank = input.shape.length;
  const targetRank = kind === "examples" && target.dtype === "int64" ? rank - 1 : rank;
  const leading = rank - (targetRank < rank ? 1 : kind === "tokens" ? 0 : 1);
  if (
    (rank !== 2 && rank !== 3) ||
    target.shape.length !== targetRank ||
    input.shape.slice(0, leading).join() !== target.shape.slice(0, leading).join()
  )
    throw bad(
      path,
      `shapes of "${inputName}" and "${targetName}" that belong together`,
      `[${input.shape}] and [${target.shape}]`,
    );
  if (input.byteLength === 0 || target.byteLength === 0)
    throw bad(path, "tensors with elements", "an empty one");
  return { kind, batches: rank === 3 ? (input.shape[0] as number) : null, input, target };
}

async function makeBatches(
  { path }: SafetensorsHeader,
  { kind, batches, input, target }: Series,
): Promise<Batch[]> {
  const inputs = numbers(await readStoredTensor(path, input), input.dtype);
  const targets = numbers(await readStoredTensor(path, target), target.dtype);
  const count = batches ?? 1;
  const [rows, width] = input.shape.slice(-2) as [number, number];
  const made: Batch[] = [];
  for (let i = 0; i < count; i++) {
    const part = <T extends BigInt64Array | Float32Array | Float64Array>(all: T) =>
      all.subarray((i * all.length) / count, ((i + 1) * all.length) / count) as T;
    try {
      made.push(
        kind === "tokens"
          ? Batch.tokens({
              inputIds: part(inputs as BigInt64Array),
              labels: part(targets as BigInt64Array),
              shape: [rows, width],
            })
          : Batch.examples({ inputs: part(inputs as Float32Array), targets: part(targets), shape: [rows] }),
      );
    } catch (error) {
      for (const batch of made) batch.dispose();
      throw bad(path, `numbers that make batch ${i} of ${count}`, (error as Error).message, error);
    }
  }
  return made;
}

function numbers(
  bytes: ArrayBuffer,
  dtype: StoredTensor["dtype"],
): BigInt64Array | Float32Array | Float64Array {
  if (dtype === "int64") return new BigInt64Array(bytes);
  return dtype === "float64" ? new Float64Array(bytes) : new Float32Array(bytes);
}

function bad(file: string, what: string, received: string, cause?: unknown): CriticalSharpnessError {
  const message = `Expected ${what} for the batch "${file}" but received ${received}`;
  return new CriticalSharpnessError("ERR_BATCH_FILE", message, { cause });
}
