import { throwIfAborted } from "../errors.js";
import { type NativeVector, ownSignal, type SignalOptions, signalOf, stoppable } from "../torch/index.js";
import type { Parameter } from "./parameters.js";

interface Numbers {
  handle: NativeVector;
  parameters: readonly Parameter[];
  dtype: "float32" | "float64";
}

/** The first parameter whose numbers are not all finite, by its name; null where there is none. @throws AbortError */
export async function findNonFinite(
  { handle, parameters, dtype }: Numbers,
  options: SignalOptions,
): Promise<string | null> {
  const signal = ownSignal(signalOf(options), handle);
  if (Number.isFinite(await stoppable(options, (cancel) => handle.norm(cancel)))) return null;
  for (const [index, { name, size }] of parameters.entries()) {
    if (!handle.has(index)) continue;
    const part = handle.mask(parameters.map((_, i) => i === index));
    try {
      // The square of a float64 may overflow though the number is finite: then each is looked at.
      if (Number.isFinite(await stoppable(options, (cancel) => part.norm(cancel)))) continue;
      if (dtype === "float32" || !(await finite(part, index, 8 * size, signal))) return name;
    } finally {
      part.dispose();
    }
  }
  return null;
}

/** Bytes that are looked at at a time, on the event loop: a few milliseconds. */
const chunkBytes = 1 << 20;

/** Whether all of a parameter's numbers, float64 in `length` bytes, are finite. */
async function finite(
  vector: NativeVector,
  index: number,
  length: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  for (let offset = 0; offset < length; offset += chunkBytes) {
    throwIfAborted(signal);
    if (!new Float64Array(await vector.read(index, offset, chunkBytes)).every(Number.isFinite)) return false;
  }
  return true;
}
