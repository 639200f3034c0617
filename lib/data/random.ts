import { createHash } from "node:crypto";

/** Pseudo-random numbers; the same seed and key give the same ones everywhere. */
export interface Random {
  /** Uniform in [0, 1), with 53 random bits. */
  uniform(): number;
  /** Uniform in 0 … n − 1. */
  below(n: number): number;
  /** Standard normal. */
  normal(): number;
}

const rotateLeft = (x: number, k: number) => (x << k) | (x >>> (32 - k));

/** xoshiro128** (Blackman & Vigna 2021) from four words of state: 32 random bits a call. */
export function xoshiro128([a, b, c, d]: [number, number, number, number]): () => number {
  return () => {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9);
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotateLeft(d, 11);
    return result >>> 0;
  };
}

/**
 * A generator whose state is the start of SHA-256 of the key: keys such as (seed, step) give sequences that have nothing
 * to do with each other.
 */
export function random(...key: readonly (string | number)[]): Random {
  const digest = createHash("sha256").update(JSON.stringify(key)).digest();
  const next = xoshiro128(
    [0, 4, 8, 12].map((at) => digest.readInt32LE(at)) as [number, number, number, number],
  );
  const uniform = () => ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53;
  return {
    uniform,
    below: (n) => Math.floor(uniform() * n),
    // Box & Muller 1958; 1 − u is never 0.
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
  };
}

/** 0 … n − 1 in random order (Fisher & Yates). */
export function permutation(n: number, generator: Random): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = generator.below(i + 1);
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return order;
}
