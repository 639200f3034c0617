// What the sweeps of bench/check.mjs say of `check`: bench/results/check.md and .json.
import { readFileSync } from "node:fs";
import { answerOf } from "../../dist/experiments/check/answer.js";
import { sortRecords } from "../../dist/experiments/check/check-records.js";
import { rangeOf } from "../../dist/experiments/check/judgement.js";
import { figure, writeTables } from "./results.mjs";
import { spikesOf } from "./spikes.mjs";
import { mean, median } from "./timing.mjs";

/** Of the trial that the sweeps made. */
const trial = 6;
const whole = 100;

/** A training by its losses: the mean of the last ten, and its jumps. */
function outcomeOf(losses) {
  const values = losses.map((loss) => loss ?? NaN);
  const ended = values.length === whole && values.every(Number.isFinite);
  const last = ended ? mean(values.slice(-10)) : Infinity;
  return { last, spikes: spikesOf(values).length };
}

/** The highest η of the sweep at which nothing was wrong, and the lowest at which something was, or null. */
function edgeOf(rows, isWrong) {
  const first = rows.findIndex(isWrong);
  if (first < 0) return null;
  const [below, at] = [rows[first - 1], rows[first]];
  // Between two of them it is somewhere; below the lowest nobody knows.
  return below ? Math.sqrt(below.learningRate * at.learningRate) : at.learningRate / Math.SQRT2;
}

function read({ name, unit, records, rows, later }) {
  const runs = rows.map(({ factor, learningRate, trial: tried, losses }) => {
    const question = { ...records.find(({ type }) => type === "question"), learningRate };
    const sorted = sortRecords([question, ...records.filter(({ type }) => type !== "question"), ...tried]);
    for (const batch of [...sorted.batches, ...sorted.joined]) batch.points = [];
    const {
      verdict,
      sentence,
      batches,
      heldOut,
      trial: ended,
    } = answerOf(sorted, { trial, schedule: null, steps: null });
    return { factor, learningRate, verdict, sentence, batches, heldOut, trial: ended, ...outcomeOf(losses) };
  });
  const best = runs.reduce((a, b) => (b.last < a.last ? b : a));
  // One batch is easier than another: that of ten, at the smallest η, is where a training begins.
  const begin = Math.max(rows[0].losses[0], mean(rows[0].losses.slice(0, 10)));
  for (const run of runs) run.diverged = !(run.last <= 1.05 * begin);
  const place = runs.indexOf(best);
  // More than half of what the best one gained is lost, or nothing was to be gained. Below the best, steps are too small, not too large.
  for (const [i, run] of runs.entries())
    run.failed =
      run.diverged ||
      (i > place && run.last > best.last + 0.5 * Math.max(0, begin - best.last) + 0.02 * begin);
  const above = runs.slice(place);
  const [first] = runs;
  return {
    name,
    unit,
    runs,
    begin,
    best: best.learningRate,
    heldOut: first.heldOut.criticalLearningRate,
    // What is wrong below the best is no matter of too large a step.
    failed: edgeOf(above, ({ failed }) => failed),
    diverged: edgeOf(above, ({ diverged }) => diverged),
    spiked: edgeOf(above, ({ spikes, diverged }) => spikes > 0 || diverged),
    later: later.map(({ step, batches }) => ({
      step,
      critical: rangeOf(batches.map(({ measurement }) => measurement)).criticalLearningRate,
    })),
  };
}

/** Spearman's. */
function rankCorrelation(pairs) {
  const ranks = (values) => {
    const order = values.map((_, i) => i).sort((a, b) => values[a] - values[b]);
    const found = new Array(values.length);
    order.forEach((place, rank) => {
      found[place] = rank;
    });
    return found;
  };
  const [a, b] = [0, 1].map((side) => ranks(pairs.map((pair) => pair[side])));
  const n = pairs.length;
  return 1 - (6 * a.reduce((sum, rank, i) => sum + (rank - b[i]) ** 2, 0)) / (n * (n * n - 1));
}

/** The smallest ηc that was measured before a training, over its η. */
const distance = ({ batches, heldOut, trial: tried, learningRate }) =>
  Math.min(...[batches, heldOut, tried].map(({ criticalLearningRate }) => criticalLearningRate ?? Infinity)) /
  learningRate;

/** So many times η, ηc was within reach. */
const near = 8;

/** Why a training went otherwise than `check` said. */
function reasonOf(run, { later, best, runs, begin }) {
  const { verdict, learningRate, trial: tried } = run;
  if (verdict === "above")
    return tried.outcome === "fell"
      ? "the next step raises the loss, and training recovered"
      : "the loss rose in the trial, and training recovered: its warm-up is longer, and curvature fell";
  const grown = later.filter(({ critical }) => critical !== null && critical < near * learningRate);
  if (grown.length > 0)
    return `curvature grew: ηc was ${figure(grown[0].critical / learningRate)} η after ${grown[0].step} steps at a smaller η`;
  const gained = begin - runs.find((one) => one.learningRate === best).last;
  if (gained < 0.05 * begin)
    return `nothing to gain: the best of the sweep lowered the loss by ${figure((100 * gained) / begin)} %, and steps whose size does not shrink lead away from where it was low`;
  if (distance(run) < near)
    return "close: a hundred steps, each of which lowered the loss of its batch, led astray; the smallest ηc was less than 8 η";
  return "each step lowered the loss of its batch, and a hundred led astray; no ηc that was measured shows it";
}

const within = (pairs, factor) =>
  pairs.filter(([a, b]) => Math.abs(Math.log(a / b)) <= Math.log(factor) + 1e-9).length;
const share = (part, of) => (of === 0 ? "–" : `${part} of ${of} (${figure((100 * part) / of)} %)`);

/** @param log a line for each sweep */
export async function summarizeSweeps(log) {
  const lines = readFileSync(log, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const unmeasured = lines.filter(({ unit }) => unit === null).map(({ name }) => name);
  const sweeps = lines
    .filter(({ unit }) => unit !== null)
    .map(read)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const predictors = {
    "ηc of the batch's own Δ, step 0": ({ unit }) => unit,
    "ηc of another batch, step 0": ({ heldOut }) => heldOut,
    "the smaller of both": ({ unit, heldOut }) => Math.min(unit, heldOut ?? Infinity),
    "ηc at step 20": ({ later }) => later.find(({ step }) => step === 20)?.critical,
    "ηc at step 100": ({ later }) => later.find(({ step }) => step === 100)?.critical,
  };
  const outcomes = {
    "best loss": "best",
    "half of the gain lost": "failed",
    "a spike": "spiked",
    divergence: "diverged",
  };
  const correlations = [];
  for (const [what, of] of Object.entries(predictors))
    for (const [outcome, key] of Object.entries(outcomes)) {
      const pairs = sweeps.map((sweep) => [of(sweep), sweep[key]]).filter(([a, b]) => a > 0 && b > 0);
      const ratios = pairs.map(([a, b]) => b / a);
      correlations.push([
        what,
        outcome,
        `${pairs.length}`,
        figure(rankCorrelation(pairs)),
        figure(median(ratios)),
        share(within(pairs, 2), pairs.length),
        share(within(pairs, 4), pairs.length),
        share(within(pairs, 8), pairs.length),
      ]);
    }
  const verdicts = ["below", "undecided", "above"].map((verdict) => {
    const runs = sweeps.flatMap(({ runs }) => runs).filter((run) => run.verdict === verdict);
    const count = (key) => share(runs.filter((run) => run[key]).length, runs.length);
    return [
      verdict,
      `${runs.length}`,
      count("failed"),
      share(runs.filter(({ spikes }) => spikes > 0).length, runs.length),
      count("diverged"),
    ];
  });
  const misses = sweeps.flatMap((sweep) =>
    sweep.runs
      .filter(
        ({ verdict, failed, diverged }) =>
          (verdict === "below" && (failed || diverged)) || (verdict === "above" && !failed),
      )
      .map((run) => [
        sweep.name,
        `${figure(run.factor)} ηc`,
        run.verdict,
        run.diverged ? "diverged" : run.failed ? "lost half of the gain" : "trained well",
        `${figure(run.last)}`,
        reasonOf(run, sweep),
        `ηc ${figure(run.batches.criticalLearningRate / run.learningRate)} η, of another batch ${figure((run.heldOut.criticalLearningRate ?? NaN) / run.learningRate)} η, trial ${run.trial.outcome}, ηc in it ${figure((run.trial.criticalLearningRate ?? NaN) / run.learningRate)} η`,
      ]),
  );
  const bounds = [1, 2, 4, 8, 16, 32, Infinity];
  const distances = bounds.slice(1).map((high, i) => {
    const low = bounds[i];
    const runs = sweeps
      .flatMap(({ runs: all }) => all)
      .filter((run) => run.trial.outcome === "fell" && distance(run) >= low && distance(run) < high);
    const count = (key) => share(runs.filter((run) => run[key]).length, runs.length);
    return [
      Number.isFinite(high) ? `${low} to ${high}` : `${low} and more`,
      `${runs.length}`,
      count("failed"),
      count("diverged"),
    ];
  });
  // η ten times too large and ten times too small, by where the training diverged.
  const tenfold = (factor) => {
    const found = sweeps.flatMap(({ runs, diverged }) => {
      if (diverged === null) return [];
      const near = runs.reduce((a, b) =>
        Math.abs(Math.log(b.learningRate / (factor * diverged))) <
        Math.abs(Math.log(a.learningRate / (factor * diverged)))
          ? b
          : a,
      );
      return Math.abs(Math.log(near.learningRate / (factor * diverged))) < Math.log(1.5) ? [near] : [];
    });
    const count = (verdict) => found.filter((run) => run.verdict === verdict).length;
    return [
      figure(factor),
      `${found.length}`,
      ...["below", "undecided", "above"].map((verdict) => share(count(verdict), found.length)),
    ];
  };
  // Between the highest η that is said to be below and the lowest that is said to be above.
  const brackets = sweeps.flatMap(({ runs, diverged }) => {
    if (diverged === null) return [];
    const rates = (verdict) =>
      runs.filter((run) => run.verdict === verdict).map(({ learningRate }) => learningRate);
    const [low, high] = [Math.max(0, ...rates("below")), Math.min(Infinity, ...rates("above"))];
    return [{ holds: diverged >= low && diverged <= high, width: high / low }];
  });
  const groups = [
    "GPT",
    "Llama",
    "MLP",
    "from scratch",
    "from a checkpoint",
    "LoRA",
    "SGD",
    "AdamW",
    "Muon",
    "stories",
    "GSM8K",
    "speeches",
    "MNIST",
    "CIFAR-10",
    "synthetic",
  ];
  const byGroup = groups.map((group) => {
    const own = sweeps.filter(
      ({ name, diverged, heldOut }) => name.includes(group) && diverged !== null && heldOut > 0,
    );
    const pairs = own.map(({ heldOut, diverged }) => [heldOut, diverged]);
    const said = sweeps
      .filter(({ name }) => name.includes(group))
      .flatMap(({ runs }) => runs)
      .filter(({ verdict }) => verdict === "below");
    return [
      group,
      `${own.length}`,
      figure(median(pairs.map(([a, b]) => b / a))),
      share(within(pairs, 8), pairs.length),
      share(said.filter(({ diverged }) => diverged).length, said.length),
    ];
  });
  await writeTables(
    "check",
    "What `check` says, and what training did",
    [
      {
        title: "η of the sweep by what `check` said before",
        columns: ["verdict", "learning rates", "half of the gain lost", "a spike", "diverged"],
        rows: verdicts,
      },
      {
        title:
          "The same by how far the smallest ηc that was measured lies above η, where the trial's loss did not rise",
        columns: ["ηc ÷ η", "learning rates", "half of the gain lost", "diverged"],
        rows: distances,
      },
      {
        title: "ηc and where trainings go wrong",
        columns: [
          "predictor",
          "η of",
          "sweeps",
          "rank correlation",
          "η ÷ predictor, median",
          "within 2×",
          "within 4×",
          "within 8×",
        ],
        rows: correlations,
      },
      {
        title: "Divergence and ηc of another batch, by kind",
        columns: [
          "sweeps with",
          "that diverged",
          "η of divergence ÷ ηc, median",
          "within 8×",
          "said to be below, and diverged",
        ],
        rows: byGroup,
      },
      {
        title: "η so many times that of divergence",
        columns: ["times", "sweeps that have it", "below", "undecided", "above"],
        rows: [0.1, 0.3, 1, 3, 10].map(tenfold),
      },
      {
        title: "Misses",
        columns: ["sweep", "η", "verdict", "training", "last loss", "why", "what was measured"],
        rows: misses,
      },
      {
        title: "Sweeps",
        columns: [
          "sweep",
          "ηc",
          "of another batch",
          "at step 20",
          "at step 100",
          "best η",
          "half lost from",
          "spike from",
          "diverges from",
        ],
        rows: sweeps.map(({ name, unit, heldOut, later, best, failed, spiked, diverged }) => [
          name,
          ...[unit, heldOut, later[0]?.critical, later[1]?.critical, best, failed, spiked, diverged].map(
            (value) => (value ? figure(value) : "–"),
          ),
        ]),
      },
    ],
    [
      `Of ${brackets.length} sweeps with a divergence it lies between the highest η that was said to be below and the lowest that was said to be above in ${share(brackets.filter(({ holds }) => holds).length, brackets.length)}; these are apart by a factor of ${figure(median(brackets.map(({ width }) => width)))} in the median.`,
      `${sweeps.length} sweeps of ten learning rates, 1/128 to 4 times ηc; each a training of ${whole} steps with 10 of warm-up, asked about before with a trial of ${trial} steps. ` +
        "Half of the gain lost: the mean loss of the last ten steps lies above that of the sweep's best by more than half of what the best one gained, and 2 % of the first ones. " +
        "Diverged: it is not finite, or 5 % above the first ten at the smallest η. A spike: see bench/shared/spikes.mjs. Where one begins is taken halfway (in the logarithm) between the last η without and the first with it, from the best on." +
        (unmeasured.length > 0 ? ` Without any ηc: ${unmeasured.join("; ")}.` : ""),
    ],
    {
      sweeps: sweeps.map(({ runs, ...sweep }) => ({
        ...sweep,
        runs: runs.map(({ batches, heldOut, trial: tried, sentence: _, ...run }) => ({
          ...run,
          trial: { outcome: tried.outcome, criticalLearningRate: tried.criticalLearningRate },
          distance: distance({ ...run, batches, heldOut, trial: tried }),
        })),
      })),
    },
  );
}
