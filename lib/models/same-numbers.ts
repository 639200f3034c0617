import { openFile } from "../open-file.js";
import { readExactly } from "./safetensors.js";
import { storedNumbers } from "./stored-numbers.js";
import type { FoundTensor } from "./weight-files.js";

/** Numbers that are compared at a time. */
const chunk = 1 << 20;

/** Whether two tensors hold the same numbers in the same shape; of the same dtype, the same bits. */
export async function sameNumbers(a: FoundTensor, b: FoundTensor): Promise<boolean> {
  if (String(a.shape) !== String(b.shape)) return false;
  const count = a.shape.reduce((product, size) => product * size, 1);
  await using first = await openFile(a.path, "r");
  await using second = await openFile(b.path, "r");
  const read = async (file: typeof first, { byteOffset, byteLength }: FoundTensor, start: number) => {
    const width = byteLength / count;
    return readExactly(file, byteOffset + start * width, Math.min(chunk, count - start) * width);
  };
  for (let start = 0; start < count; start += chunk) {
    const [x, y] = [await read(first, a, start), await read(second, b, start)];
    if (a.dtype === b.dtype ? !x.equals(y) : !sameValues(x, a, y, b)) return false;
  }
  return true;
}

function sameValues(x: Buffer, a: FoundTensor, y: Buffer, b: FoundTensor): boolean {
  const numbers = (bytes: Buffer, { dtype }: FoundTensor) =>
    storedNumbers(new Uint8Array(bytes).buffer as ArrayBuffer, dtype);
  const [p, q] = [numbers(x, a), numbers(y, b)];
  return p !== undefined && q !== undefined && p.length === q.length && p.every((n, i) => Object.is(n, q[i]));
}
