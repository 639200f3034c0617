// The search on lines that are made up: quadratics with noise, and lines that cross more than once, beside a dense scan.
import { findCriticalLearningRate, random } from "../dist/index.js";
import { figure, writeTables } from "./shared/results.mjs";
import { median } from "./shared/timing.mjs";

/** Lines that start downwards: their rise over η and s. */
const families = {
  sinusoid(r) {
    const terms = Array.from({ length: 1 + r.below(3) }, () => ({
      size: 0.02 + 0.3 * r.uniform(),
      frequency: 2 * Math.PI * (0.5 + 7.5 * r.uniform()),
      phase: 2 * Math.PI * r.uniform(),
    }));
    const at0 = terms.reduce((sum, { size, phase }) => sum + size * Math.sin(phase), 0);
    const slope0 = terms.reduce(
      (sum, { size, frequency, phase }) => sum + size * frequency * Math.cos(phase),
      0,
    );
    const waves = (eta) =>
      terms.reduce((sum, { size, frequency, phase }) => sum + size * Math.sin(frequency * eta + phase), 0);
    return { rise: (eta) => -eta + eta ** 2 / 2 + waves(eta) - at0, slope: 1 - slope0 };
  },
  logosc(r) {
    const [size, frequency, phase] = [
      0.2 + 1.3 * r.uniform(),
      1 + 7 * r.uniform(),
      2 * Math.PI * r.uniform(),
    ];
    return {
      rise: (eta) =>
        eta <= 0 ? 0 : eta * (-1 + eta + size * eta ** 0.3 * Math.sin(frequency * Math.log(eta) + phase)),
      slope: 1,
    };
  },
  bump(r) {
    const at = 0.02 + 1.8 * r.uniform();
    const [width, height] = [at * (0.02 + 0.3 * r.uniform()), 0.05 + r.uniform()];
    const bell = (eta) => height * Math.exp(-(((eta - at) / width) ** 2));
    return {
      rise: (eta) => -eta + eta ** 2 / 2 + bell(eta) - bell(0),
      slope: 1 - (bell(0) * 2 * at) / width ** 2,
    };
  },
  valleys(r) {
    const first = 0.05 + 0.95 * r.uniform();
    const second = first * (1.2 + 6 * r.uniform());
    const third = second * (1.2 + 6 * r.uniform());
    return {
      rise: (eta) => eta * (eta - first) * (eta - second) * (eta - third),
      slope: first * second * third,
    };
  },
};

/** The first rise among 40,000 learning rates over seven decades; undefined: none. */
function firstRise(rise) {
  for (let i = 0; i <= 40_000; i++) {
    const eta = 1e-5 * 1e7 ** (i / 40_000);
    if (rise(eta) > 0) return eta;
  }
  return undefined;
}

const ways = {
  interpolated: {},
  bisection: { method: "bisection" },
  "interpolated, scan: 64": { scan: 64 },
};

async function crossings(family, count) {
  const found = Object.fromEntries(Object.keys(ways).map((way) => [way, { later: 0, passes: 0 }]));
  for (let i = 0; i < count; i++) {
    const r = random(i, "lines");
    let line = families[family](r);
    while (!(line.slope > 0.01) || firstRise(line.rise) === undefined) line = families[family](r);
    const first = firstRise(line.rise);
    for (const [way, options] of Object.entries(ways)) {
      const result = await findCriticalLearningRate(line.rise, {
        baseLoss: 0,
        slope: line.slope,
        ...options,
      });
      found[way].passes += result.forwardPasses;
      if (result.lower > first) found[way].later++;
    }
  }
  return Object.entries(found).map(([way, { later, passes }]) => [
    family,
    way,
    later,
    figure(passes / count),
  ]);
}

/** Quadratics of which s and σ are known, each searched from within 4× of its ηc. */
async function quadratics(relative, count) {
  const statuses = {};
  const evaluations = [];
  let [far, squares, converged] = [0, 0, 0];
  for (let i = 0; i < count; i++) {
    const r = random(i, "quadratics");
    const critical = 10 ** (-2 + 3 * r.uniform());
    const slope = 10 ** (-2 + 4 * r.uniform());
    const lossNoise = relative * slope * critical;
    const losses = new Map();
    const lossAt = (eta) => {
      if (!losses.has(eta)) losses.set(eta, 3 + slope * eta * (eta / critical - 1) + lossNoise * r.normal());
      return losses.get(eta);
    };
    const initialLearningRate = critical * 2 ** (4 * r.uniform() - 2);
    const result = await findCriticalLearningRate(lossAt, { slope, lossNoise, initialLearningRate });
    statuses[result.status] = (statuses[result.status] ?? 0) + 1;
    evaluations.push(result.evaluations.length);
    if (result.status !== "converged") continue;
    const error = Math.log(result.criticalLearningRate / critical);
    if (Math.abs(error) > Math.LN2) far++;
    squares += (error / result.noise) ** 2;
    converged++;
  }
  return [
    `${figure(100 * relative)} %`,
    Object.entries(statuses)
      .map(([status, n]) => `${status} ${n}`)
      .join(", "),
    far,
    median(evaluations),
    Math.max(...evaluations),
    converged ? figure(Math.sqrt(squares / converged)) : "–",
  ];
}

const lines = Number(process.argv[2] ?? 400);
const later = [];
for (const family of Object.keys(families)) later.push(...(await crossings(family, lines)));
const noisy = [];
for (const relative of [0.005, 0.05, 0.5]) noisy.push(await quadratics(relative, 300));
await writeTables(
  "lines",
  "The search on made-up lines",
  [
    {
      title: `Lines that cross more than once, ${lines} of each family, started at the default 1e-3`,
      columns: ["family", "search", "later crossings returned", "mean forward passes"],
      rows: later,
    },
    {
      title: "Quadratics with noise, 300 each, s and σ known, started within 4× of ηc",
      columns: [
        "noise over s·ηc",
        "statuses",
        "converged and off by 2×",
        "median evaluations",
        "most",
        "rms error over `noise`",
      ],
      rows: noisy,
    },
  ],
  ["A crossing is later where a scan of 40,000 points over seven decades sees a rise below `lower`."],
  { later, noisy },
);
