import { badData, readSafetensorsHeader, readStoredTensor } from "../files/index.js";
import { RowBatches, type RowBatchOptions } from "./row-batches.js";

/** Tensors of a data set by the names of a program's inputs. Their first axes are equal, the rows; or there is one row, all of it. */
export interface TensorSet {
  /** For messages. */
  readonly name: string;
  readonly count: number;
  readonly tensors: readonly RowTensor[];
}

interface RowTensor {
  readonly name: string;
  readonly dtype: string;
  /** Of all of it. */
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Some rows of a set. */
export interface TensorBatch {
  kind: "named";
  tensors: readonly RowTensor[];
}

/** The tensors of a safetensors file. @throws CriticalSharpnessError `ERR_SAFETENSORS`, `ERR_DATA`, `ERR_FILE` */
export async function loadTensors(files: readonly string[]): Promise<TensorSet> {
  const [file, other] = files;
  if (file === undefined || other !== undefined)
    throw badData("one safetensors file", "the data", `${files.length}`);
  const { tensors } = await readSafetensorsHeader(file);
  const read: RowTensor[] = [];
  for (const tensor of tensors.values()) {
    if (tensor.byteLength === 0) throw badData("tensors with elements", `"${file}"`, `"${tensor.name}"`);
    read.push({ ...tensor, bytes: new Uint8Array(await readStoredTensor(file, tensor)) });
  }
  if (read.length === 0) throw badData("at least one tensor", `"${file}"`, "none");
  const first = read[0]?.shape[0];
  const haveRows = first !== undefined && read.every(({ shape }) => shape[0] === first);
  return { name: `"${file}"`, count: haveRows ? first : 1, tensors: read };
}

/** The first `count` rows. */
export const firstRows = (set: TensorSet, count: number): TensorSet => part(set, 0, count);

function part(set: TensorSet, from: number, to: number): TensorSet {
  if (to - from === set.count) return set;
  const tensors = set.tensors.map((tensor) => {
    const width = tensor.bytes.length / set.count;
    const shape = [to - from, ...tensor.shape.slice(1)];
    return { ...tensor, shape, bytes: tensor.bytes.subarray(from * width, to * width) };
  });
  return { ...set, count: to - from, tensors };
}

/** Batches of rows of a set. */
export class TensorBatches extends RowBatches<TensorSet, TensorBatch> {
  constructor(set: TensorSet, options: RowBatchOptions) {
    super(set, options, part);
  }

  protected whole({ tensors }: TensorSet): TensorBatch {
    return { kind: "named", tensors };
  }

  protected gather(set: TensorSet, order: Uint32Array): TensorBatch {
    const tensors = set.tensors.map((tensor) => {
      const width = tensor.bytes.length / set.count;
      const bytes = new Uint8Array(order.length * width);
      for (const [i, row] of order.entries())
        bytes.set(tensor.bytes.subarray(row * width, (row + 1) * width), i * width);
      return { ...tensor, shape: [order.length, ...tensor.shape.slice(1)], bytes };
    });
    return { kind: "named", tensors };
  }
}
