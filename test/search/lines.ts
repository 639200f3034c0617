import fc from "fast-check";

/** Losses along a line, with L(0) = 0.5, slope −s at 0. */
export interface TestLine {
  loss: (eta: number) => number;
  slope: number;
  name: string;
}

const base = 0.5;
export const baseLoss = base;

const scale = fc.double({ min: -7, max: 5, noNaN: true }).map((e) => 10 ** e);

/** −s·η + c·η^(p+1), crossing at `at`. */
export function powerLine(at: number, slope: number, exponent: number): TestLine {
  return {
    loss: (eta) => base - slope * eta * (1 - (eta / at) ** exponent),
    slope,
    name: `power ${exponent}, crossing at ${at}, slope ${slope}`,
  };
}

const power = fc
  .tuple(scale, scale, fc.double({ min: 0.3, max: 6, noNaN: true }))
  .map(([at, s, p]) => powerLine(at, s, p));

const cliff = fc.tuple(scale, scale, fc.constantFrom(Number.NaN, Infinity, -Infinity, 1e30)).map(
  ([at, s, beyond]): TestLine => ({
    loss: (eta) => (eta < at ? base - (s * eta) / (1 + (s * eta) / base) : beyond),
    slope: s,
    name: `cliff at ${at} to ${beyond}`,
  }),
);

const plateau = fc.tuple(scale, scale).map(
  ([at, s]): TestLine => ({
    // Rounds to multiples of 1/8, so that ties with the base loss and flat stretches occur.
    loss: (eta) => Math.round(8 * (base - s * eta * (1 - eta / at))) / 8,
    slope: s,
    name: `plateau ${at}`,
  }),
);

const rough = fc.tuple(scale, scale, fc.integer(), fc.double({ min: 1e-6, max: 0.5, noNaN: true })).map(
  ([at, s, seed, size]): TestLine => ({
    loss: (eta) => {
      const clean = -s * eta * (1 - eta / at);
      return (
        base + clean + size * Math.abs(clean) * hash(eta, seed) + 1e-3 * size * s * at * hash(eta, seed + 1)
      );
    },
    slope: s,
    name: `noisy ${at}`,
  }),
);

const waves = fc
  .tuple(
    scale,
    scale,
    fc.double({ min: 0.5, max: 20, noNaN: true }),
    fc.double({ min: 0, max: 7, noNaN: true }),
  )
  .map(
    ([at, s, frequency, phase]): TestLine => ({
      loss: (eta) =>
        base - s * eta * (1 - eta / at) * (1 + 2 * Math.sin(frequency * Math.log(eta / at + 1e-9) + phase)),
      slope: s,
      name: `waves ${at}`,
    }),
  );

const falling = scale.map(
  (s): TestLine => ({ loss: (eta) => base - Math.min(1, s * eta), slope: s, name: "falling" }),
);

const rising = scale.map(
  (s): TestLine => ({ loss: (eta) => base + s * eta, slope: s, name: "rising, in spite of its slope" }),
);

/** Anything at all, different at every learning rate. */
const chaos = fc.tuple(scale, fc.integer()).map(
  ([s, seed]): TestLine => ({
    loss: (eta) => {
      const h = hash(eta, seed);
      return h > 0.9 ? Number.NaN : h > 0.8 ? base : h < -0.9 ? -Infinity : base + h;
    },
    slope: s,
    name: `chaos ${seed}`,
  }),
);

export const anyLine: fc.Arbitrary<TestLine> = fc.oneof(
  power,
  cliff,
  plateau,
  rough,
  waves,
  falling,
  rising,
  chaos,
);

/** A number in (−1, 1) that depends on every bit of x. */
export function hash(x: number, seed: number): number {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, x);
  let h = (seed | 0) ^ 0x9e3779b9;
  for (const word of [bits.getUint32(0), bits.getUint32(4)]) {
    h = Math.imul(h ^ word, 0x85ebca6b);
    h ^= h >>> 13;
    h = Math.imul(h, 0xc2b2ae35);
    h ^= h >>> 16;
  }
  return (h | 0) / 2 ** 31;
}
