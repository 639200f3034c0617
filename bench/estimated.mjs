// λc by estimates: forward passes, and how far off they are, at every step of runs, beside certificates of the same lines.
import path from "node:path";
import { fileURLToPath } from "node:url";
import { readConfiguration, SharpnessMeter } from "../dist/index.js";
import { designRuns, measureRun } from "./forward-passes.mjs";
import { figure, writeTables } from "./shared/results.mjs";
import { mean, median, quantile } from "./shared/timing.mjs";

const paper = path.join(path.dirname(fileURLToPath(import.meta.url)), "../examples/paper");
/** A curve of a figure, without second derivatives. */
const curve = (file, change = {}) =>
  readConfiguration(path.join(paper, file), (input) => ({ ...input, hessian: null, ...change }));

const runs = {
  ...(await designRuns()),
  "batch-40 SGD, MLP on MNIST": await curve("figure-3-batch-40.json", { steps: 400 }),
  "Figure 4, η = 6e-3": await curve("figure-4-0.006.json"),
};
const chosen = process.argv.slice(2);
const rows = [];
const figures = {};
for (const [name, configuration] of Object.entries(runs)) {
  if (chosen.length > 0 && !chosen.some((part) => name.includes(part))) continue;
  console.error(name);
  const meters = {
    estimated: new SharpnessMeter({ method: "estimated" }),
    certified: new SharpnessMeter(),
    exact: new SharpnessMeter({ tolerance: 1e-4 }),
  };
  const passes = { estimated: [], certified: [] };
  const compared = [];
  await measureRun(configuration, meters, ({ estimated, certified, exact }, step) => {
    if (step === 1) return;
    passes.estimated.push(estimated.forwardPasses);
    passes.certified.push(certified.forwardPasses);
    if (![estimated, certified, exact].every(({ status }) => status === "converged")) return;
    const off = Math.abs(estimated.criticalLearningRate / exact.criticalLearningRate - 1);
    const apart = Math.abs(estimated.criticalLearningRate / certified.criticalLearningRate - 1);
    compared.push({ off, apart, error: estimated.error });
  });
  const estimates = compared.filter(({ error }) => error !== null);
  const part = (ones, is) => (100 * ones.filter(is).length) / ones.length;
  const found = {
    steps: passes.estimated.length,
    passes: mean(passes.estimated),
    late: mean(passes.estimated.slice(100)),
    certifiedPasses: mean(passes.certified),
    within: part(compared, ({ apart }) => apart <= 1 / 16),
    withinExact: part(compared, ({ off }) => off <= 1 / 16),
    covered: part(estimates, ({ off, error }) => off <= error),
    estimates: estimates.length,
    medianOff: median(compared.map(({ off }) => off)),
    most: quantile(
      compared.map(({ off }) => off),
      0.99,
    ),
  };
  figures[name] = found;
  rows.push([
    name,
    found.steps,
    `${figure(found.passes)} (${figure(found.late)})`,
    figure(found.certifiedPasses),
    `${figure(found.within)} %`,
    `${figure(found.withinExact)} %`,
    `${figure(found.covered)} % of ${found.estimates}`,
    `${figure(100 * found.medianOff)} %, ${figure(100 * found.most)} %`,
  ]);
  console.error(rows.at(-1).join(" | "));
}
if (chosen.length === 0)
  await writeTables(
    "estimated",
    "λc by estimates, at every step",
    [
      {
        columns: [
          "run",
          "steps",
          "mean passes, estimated (after step 100)",
          "certified",
          "within ε of the certified answer",
          "within ε of ηc",
          "`error` covers",
          "off by: median, 99 %",
        ],
        rows,
      },
    ],
    [
      "All at ε = 1/16, from the second step on. ηc itself: a third search of each line, to ε = 1e-4. `error` is said to cover in 95 %; it is none of the answers that came with a certificate.",
    ],
    { figures },
  );
