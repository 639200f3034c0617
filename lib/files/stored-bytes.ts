import type { FileHandle } from "node:fs/promises";
import { CriticalSharpnessError, throwIfAborted } from "../errors.js";
import { openFile, unreadable } from "./file.js";
import { bitsOf, readExactly } from "./safetensors.js";
import { contiguousPlace, rowMajorStrides, type StoredArray, type StoredPiece } from "./stored-array.js";

/** Bytes that are given at a time, at most, and bytes of a file that are read at a time. */
const blockBytes = 16 << 20;
const windowBytes = 1 << 20;

const productOf = (sizes: readonly number[]) => sizes.reduce((all, size) => all * size, 1);

/**
 * The bytes of a tensor in C order, little-endian, put together from its pieces a block at a time: memory is bounded, whatever its
 * size and strides.
 *
 * @param most bytes of a block
 * @throws CriticalSharpnessError `ERR_FILE` if a file cannot be read or is shorter than it was; AbortError
 */
export async function* storedBytes(
  array: StoredArray,
  signal?: AbortSignal | undefined,
  most = blockBytes,
): AsyncGenerator<Buffer> {
  const elements = productOf(array.shape);
  if (elements === 0) return;
  const bits = bitsOf.get(array.dtype) ?? 8;
  await using files = new Files();
  const whole = contiguousPlace(array);
  if (whole) {
    const end = whole.byteOffset + Math.ceil((elements * bits) / 8);
    for (let at = whole.byteOffset; at < end; at += most) {
      throwIfAborted(signal);
      yield await files.read(whole.path, at, Math.min(most, end - at));
    }
    return;
  }
  for (const box of blocks(array.shape, most / (bits / 8))) {
    const block = Buffer.alloc((productOf(box.shape) * bits) / 8);
    for (const piece of array.pieces) {
      throwIfAborted(signal);
      await gather(block, box, piece, bits / 8, files);
    }
    yield block;
  }
}

type Box = Pick<StoredPiece, "start" | "shape">;

/** Boxes of at most so many numbers that follow one another in C order. */
function* blocks(shape: readonly number[], most: number): Generator<Box> {
  let axis = shape.length;
  let inner = 1;
  while (axis > 0 && inner * (shape[axis - 1] as number) <= most) inner *= shape[--axis] as number;
  const rest = shape.slice(axis);
  if (axis === 0) return yield { start: shape.map(() => 0), shape };
  // The axis that is cut; of those before it one row at a time.
  const cut = axis - 1;
  const step = Math.max(1, Math.floor(most / inner));
  const rows = productOf(shape.slice(0, cut));
  for (let row = 0; row < rows; row++) {
    const outer: number[] = [];
    for (let i = cut - 1, left = row; i >= 0; i--) {
      outer.unshift(left % (shape[i] as number));
      left = Math.floor(left / (shape[i] as number));
    }
    for (let at = 0; at < (shape[cut] as number); at += step) {
      const size = Math.min(step, (shape[cut] as number) - at);
      yield {
        start: [...outer, at, ...rest.map(() => 0)],
        shape: [...outer.map(() => 1), size, ...rest],
      };
    }
  }
}

/** Copies what a piece has of a box into the box's bytes, going through the file from its start to its end. */
async function gather(
  block: Buffer,
  box: Box,
  piece: StoredPiece,
  width: number,
  files: Files,
): Promise<void> {
  const boxStrides = rowMajorStrides(box.shape);
  let [from, to] = [piece.byteOffset, 0];
  const axes: { size: number; from: number; to: number }[] = [];
  for (const [i, boxSize] of box.shape.entries()) {
    const [boxStart, pieceStart] = [box.start[i] as number, piece.start[i] as number];
    const start = Math.max(boxStart, pieceStart);
    const size = Math.min(boxStart + boxSize, pieceStart + (piece.shape[i] as number)) - start;
    if (size <= 0) return;
    const [inFile, inBox] = [(piece.strides[i] as number) * width, (boxStrides[i] as number) * width];
    from += (start - pieceStart) * inFile;
    to += (start - boxStart) * inBox;
    if (size > 1) axes.push({ size, from: inFile, to: inBox });
  }
  axes.sort((a, b) => b.from - a.from);
  const last = axes.at(-1);
  const isRun = last === undefined || (last.from === width && last.to === width);
  const run = isRun ? (last?.size ?? 1) * width : width;
  const outer = isRun ? axes.slice(0, -1) : axes;
  const counter = outer.map(() => 0);
  for (;;) {
    const bytes = files.held(piece.path, from, run) ?? (await files.window(piece.path, from, run));
    bytes.copy(block, to);
    let axis = outer.length - 1;
    for (; axis >= 0; axis--) {
      const { size, from: inFile, to: inBox } = outer[axis] as (typeof outer)[number];
      from += inFile;
      to += inBox;
      counter[axis] = (counter[axis] as number) + 1;
      if ((counter[axis] as number) < size) break;
      counter[axis] = 0;
      from -= size * inFile;
      to -= size * inBox;
    }
    if (axis < 0) return;
  }
}

/** Files that are read from, of the last of which a window is kept. */
class Files implements AsyncDisposable {
  readonly #open = new Map<string, FileHandle>();
  #path = "";
  #start = 0;
  #bytes: Buffer = Buffer.alloc(0);

  async #file(path: string): Promise<FileHandle> {
    const known = this.#open.get(path);
    if (known) return known;
    const file = await openFile(path, "r").catch((error: unknown) => {
      throw unreadable("a readable file", path, error);
    });
    this.#open.set(path, file);
    return file;
  }

  async read(path: string, at: number, length: number): Promise<Buffer> {
    const bytes = await readExactly(await this.#file(path), at, length);
    if (bytes.length === length) return bytes;
    throw new CriticalSharpnessError(
      "ERR_FILE",
      `Expected ${length} bytes at ${at} of "${path}" but received ${bytes.length}: the file has changed meanwhile`,
    );
  }

  /** Bytes that are in memory already. */
  held(path: string, at: number, length: number): Buffer | undefined {
    const start = at - this.#start;
    if (path !== this.#path || start < 0 || start + length > this.#bytes.length) return undefined;
    return this.#bytes.subarray(start, start + length);
  }

  async window(path: string, at: number, length: number): Promise<Buffer> {
    if (length >= windowBytes) return this.read(path, at, length);
    this.#bytes = await readExactly(await this.#file(path), at, windowBytes);
    [this.#path, this.#start] = [path, at];
    return this.held(path, at, length) ?? this.read(path, at, length);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.#open.values()) await file.close();
  }
}
