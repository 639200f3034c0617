import { badData } from "./errors.js";

/** Whether a value is a row of numbers, as columns of token ids hold. */
export function isRow(value: unknown): value is Iterable<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && Symbol.iterator in value);
}

/**
 * Token ids of a row of numbers, which may be of any type.
 *
 * @param field the name under which they stand, for messages
 * @throws CriticalSharpnessError `ERR_DATA` naming the place.
 */
export function tokenIds(row: Iterable<unknown>, field: string, source: string): Uint32Array {
  const ids: number[] = [];
  for (const value of row) {
    const id = typeof value === "bigint" ? Number(value) : value;
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= 2 ** 32)
      throw badData(
        `text, or token ids from 0 to 4294967295, under "${field}"`,
        source,
        `${typeof value === "object" ? `an array of ${value === null ? "null" : "objects"}` : JSON.stringify(id)} at [${ids.length}]`,
      );
    ids.push(id);
  }
  return Uint32Array.from(ids);
}
