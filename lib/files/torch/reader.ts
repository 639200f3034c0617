import { isUtf8 } from "node:buffer";
import { getHeapStatistics } from "node:v8";
import { badTorchFile } from "./values.js";

/** Of one string or one run of bytes. */
const longestString = 2 ** 27;
/** Of an integer, in bytes: BigInt's own conversions take the square of the length. */
const longestInteger = 1024;
const longestName = 1024;

/** Estimates of what JavaScript keeps of what a pickle makes, in bytes. */
export const costs = { slot: 16, list: 64, map: 200, entry: 56, object: 64, bytes: 128 } as const;
/** All together: V8 ends the process when its heap is full. */
const largestCost = Math.min(2 ** 30, Math.floor(getHeapStatistics().heap_size_limit / 4));

/** A pickle's bytes, read from its start to its end, and what was spent on their values. */
export class PickleReader {
  readonly #bytes: Buffer;
  #spent = 0;
  position = 0;

  constructor(
    readonly path: string,
    bytes: Buffer,
  ) {
    this.#bytes = bytes;
  }

  /** The error for a pickle that is damaged or no pickle. */
  fail(received: string): Error {
    return badTorchFile(this.path, "a sound pickle of data", `${received}, before byte ${this.position}`);
  }

  /** A few bytes of a file may ask for any amount of memory. */
  spend(bytes: number): void {
    this.#spent += bytes;
    if (this.#spent > largestCost)
      throw badTorchFile(this.path, `values of at most ${largestCost} bytes`, "a pickle of more");
  }

  take(length: number): Buffer {
    if (length > this.#bytes.length - this.position) throw this.fail("an end within a value");
    this.position += length;
    return this.#bytes.subarray(this.position - length, this.position);
  }

  uint8 = (): number => this.take(1)[0] as number;
  uint16 = (): number => this.take(2).readUInt16LE();
  int32 = (): number => this.take(4).readInt32LE();
  uint32 = (): number => this.take(4).readUInt32LE();
  float64 = (): number => this.take(8).readDoubleBE();
  uint64 = (): number => Number(this.take(8).readBigUInt64LE());

  bytes(length: number): Buffer {
    if (length > longestString) throw this.fail(`a string of ${length} bytes`);
    this.spend(length + costs.bytes);
    // A copy: the pickle itself need not stay in memory.
    return Buffer.from(this.take(length));
  }

  text(length: number, encoding: "utf8" | "latin1" = "utf8"): string {
    if (length > longestString) throw this.fail(`a string of ${length} bytes`);
    this.spend(length);
    const bytes = this.take(length);
    if (encoding === "utf8" && !isUtf8(bytes)) throw this.fail("a string that is no UTF-8");
    return bytes.toString(encoding);
  }

  /** Up to the end of a line, which is not part of it. */
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.position);
    if (end < 0 || end - this.position > longestName) throw this.fail("a name without an end");
    const text = this.text(end - this.position);
    this.position++;
    return text;
  }

  /** Little-endian, two's complement. */
  integer(length: number): number | bigint {
    if (length > longestInteger) throw this.fail(`an integer of ${length} bytes`);
    if (length === 0) return 0;
    const bytes = Buffer.from(this.take(length)).reverse();
    const value = BigInt.asIntN(8 * length, BigInt(`0x${bytes.toString("hex")}`));
    this.spend(length);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }
}
