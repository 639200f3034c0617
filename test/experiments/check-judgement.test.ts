import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { random } from "../../lib/data/random.js";
import { answerOf, odds, reach } from "../../lib/experiments/check/answer.js";
import { parseCheck } from "../../lib/experiments/check/check-configuration.js";
import type {
  CheckBatchRecord,
  CheckRecords,
  CheckTrialRecord,
} from "../../lib/experiments/check/check-records.js";
import type { MeasurementRecord } from "../../lib/index.js";
import { mlpRun } from "./helpers.js";

const learningRate = 0.1;
const configuration = parseCheck({
  ...{ model: mlpRun.model, data: mlpRun.data, batch: mlpRun.batch, trial: 4 },
});

const line = (criticalLearningRate: number | null, status: MeasurementRecord["status"] = "converged") =>
  ({
    ...{ criticalLearningRate, criticalSharpness: criticalLearningRate && 2 / criticalLearningRate, status },
    ...{
      lower: null,
      upper: null,
      error: 1 / 16,
      baseLoss: 1,
      evaluations: [],
      forwardPasses: 3,
      seconds: 0,
    },
  }) as unknown as MeasurementRecord;
const batchOf = (measurement: MeasurementRecord, index: number, together = 1): CheckBatchRecord => ({
  ...{ type: "batch", together, index, loss: 1 + 0.01 * index, gradientNorm: 1, measurement },
  ...{ heldOut: null, points: [], heldOutLoss: null },
});
const stepOf = (measurement: MeasurementRecord, step: number, loss = 1): CheckTrialRecord => ({
  ...{ type: "trial", step, learningRate, loss, gradientNorm: 1, measurement },
});

function records(
  lines: readonly MeasurementRecord[],
  trial: readonly CheckTrialRecord[] = [1, 2, 3, 4, 5].map((step) =>
    stepOf(lines[0] as MeasurementRecord, step),
  ),
  change: Partial<CheckRecords> = {},
): CheckRecords {
  return {
    question: {
      ...{ type: "question", learningRate, learningRateSource: "given", parameterCount: 1, moments: "none" },
      ...{ optimizer: "SGD", optimizerState: null, rows: 20, expectedSteps: 50 },
    },
    batches: lines.map((measurement, index) => batchOf(measurement, index)),
    ...{ joined: [], trial: [...trial], diverged: null },
    end: { type: "end", gradients: 10, forwardPasses: 60, seconds: 1 },
    ...change,
  };
}

const lines = (...rates: number[]) => rates.map((rate) => line(rate));

describe("what a check says", () => {
  it("is the side on which η lies of every batch and of the trial", () => {
    expect(answerOf(records(lines(0.3, 0.35, 0.4)), configuration)).toMatchObject({
      verdict: "below",
      sentence:
        "η = 0.1 is 3.5 times below ηc = 0.348 (0.282 to 0.425): a step lowers the loss of its own batch, and of another.",
    });
    expect(answerOf(records(lines(0.03, 0.035, 0.04)), configuration).verdict).toBe("above");
    expect(answerOf(records(lines(0.09, 0.12, 0.11)), configuration).verdict).toBe("undecided");
  });

  it("is undecided where batches disagree, unless η is further away than they are from each other", () => {
    const apart = answerOf(records(lines(0.15, 0.4)), configuration);
    expect(apart.verdict).toBe("undecided");
    expect(apart.sentence).toContain("ηc differs by a factor of 2.7 between batches");
    expect(apart.sentence).toContain("--batch-size");
    expect(answerOf(records(lines(1.5, 4)), configuration).verdict).toBe("below");
  });

  it("is undecided where most batches do not cross, and says what to do", () => {
    for (const [status, remedy] of [
      ["non-descent", "take larger batches"],
      ["unresolved", "--dtype float32"],
      ["unbounded", "is Δ that of the training"],
    ] as const) {
      const answer = answerOf(records([line(null, status), line(null, status), line(0.5)]), configuration);
      expect(answer.verdict).toBe("undecided");
      expect(answer.sentence).toContain(remedy);
    }
  });

  it("is above where the trial's loss rose by more than batches differ by, or was not finite", () => {
    const rising = [1, 1, 1.1, 1.4, 1.5].map((loss, i) => stepOf(line(0.5), i + 1, loss));
    expect(answerOf(records(lines(0.5, 0.5), rising), configuration)).toMatchObject({
      verdict: "above",
      trial: { outcome: "rose" },
    });
    const diverged = { diverged: { type: "diverged", step: 3, received: "a loss of NaN" } } as const;
    expect(answerOf(records(lines(0.5), rising.slice(0, 2), diverged), configuration)).toMatchObject({
      verdict: "above",
      trial: { outcome: "diverged" },
    });
  });

  it("is undecided where the trial says otherwise than the weights as they are", () => {
    const trial = [1, 2, 3, 4, 5].map((step) => stepOf(line(0.02), step));
    const answer = answerOf(records(lines(0.5, 0.5), trial), configuration);
    expect(answer.verdict).toBe("undecided");
    expect(answer.sentence).toMatch(
      /ηc = 0\.5 .* at these weights, and ηc = 0\.02 .* in the second half of the trial warm-up/,
    );
  });

  it("is undecided where a step would lower its own batch's loss and raise another's", () => {
    const batches = lines(0.5, 0.5, 0.5).map((measurement, index) => ({
      ...batchOf(measurement, index),
      heldOut: index === 0 ? null : line(0.05),
    }));
    const answer = answerOf({ ...records(lines(0.5)), batches }, configuration);
    expect(answer.verdict).toBe("undecided");
    expect(answer.sentence).toContain("part of a step fits its batch alone");
    expect(answer.heldOut.criticalLearningRate).toBeCloseTo(0.05, 12);
    const against = batches.map((batch) => ({
      ...batch,
      heldOut: batch.heldOut && line(null, "non-descent"),
    }));
    const none = answerOf({ ...records(lines(0.5)), batches: against }, configuration);
    expect([none.verdict, none.sentence.includes("on another batch Δ does not descend")]).toEqual([
      "undecided",
      true,
    ]);
  });

  it("says from which batch size on λc no longer changes, and only where it was seen", () => {
    const joined = (...rates: number[]) => rates.map((rate, i) => batchOf(line(rate), 0, 2 ** (i + 1)));
    const flat = answerOf(records(lines(0.5, 0.5), undefined, { joined: joined(0.4, 0.39) }), configuration);
    expect(flat.batchSizes.map(({ rows }) => rows)).toEqual([20, 40, 80]);
    expect(flat.notes.join(" ")).toContain("from 40 on a larger batch changes it by less than 10 %");
    const steep = answerOf(records(lines(0.5, 0.5), undefined, { joined: joined(0.4, 0.3) }), configuration);
    expect(steep.notes.join(" ")).toContain("a larger batch still changes it");
  });

  it("of trials whose losses only scatter is hardly ever that they rose", () => {
    const { normal } = random("losses that scatter", 1);
    const loss = () => 2 + 0.3 * normal();
    const runs = 20_000;
    let rose = 0;
    for (let run = 0; run < runs; run++) {
      const batches = [0, 1, 2, 3].map((i) => ({ ...batchOf(line(0.5), i), loss: loss() }));
      const trial = [1, 2, 3, 4, 5].map((step) => stepOf(line(0.5), step, loss()));
      if (answerOf({ ...records(lines(0.5), trial), batches }, configuration).trial?.outcome !== "fell")
        rose++;
    }
    expect(rose / runs).toBeLessThan(0.002);
  });
});

describe("what was seen in sweeps", () => {
  const { sweeps } = JSON.parse(
    readFileSync(path.join(import.meta.dirname, "../../bench/results/check.json"), "utf8"),
  ) as {
    sweeps: {
      heldOut: number | null;
      diverged: number | null;
      runs: { distance: number; failed: boolean; diverged: boolean; trial: { outcome: string } }[];
    }[];
  };

  it("is what the sweeps have", () => {
    const runs = sweeps.flatMap((sweep) => sweep.runs).filter(({ trial }) => trial.outcome === "fell");
    for (const [i, { from, trainings, failed, diverged }] of odds.entries()) {
      const to = odds[i - 1]?.from ?? Infinity;
      const own = runs.filter(({ distance }) => distance >= from && distance < to);
      const counts = [
        own.length,
        own.filter((run) => run.failed).length,
        own.filter((run) => run.diverged).length,
      ];
      expect(counts).toEqual([trainings, failed, diverged]);
    }
    const found = sweeps.filter(({ heldOut, diverged }) => heldOut !== null && diverged !== null);
    const within = found.filter(
      ({ heldOut, diverged }) =>
        Math.abs(Math.log((diverged as number) / (heldOut as number))) <= Math.log(reach.times) + 1e-9,
    );
    expect([within.length, found.length]).toEqual([reach.held, reach.of]);
  });

  it("is told by how far the smallest ηc lies above η, and not where the trial's loss rose", () => {
    const told = (rate: number, trial?: CheckTrialRecord[]) =>
      answerOf(records(lines(rate, rate), trial), configuration).notes.find((note) =>
        note.includes("docs/check.md"),
      );
    expect(told(0.5)).toMatch(/^The smallest ηc is 5 times η: of 59 trainings as far below/);
    expect(told(5)).toContain("of 151 trainings");
    expect(told(0.05)).toBeUndefined();
    expect(
      told(
        0.5,
        [1, 2, 3, 4, 5].map((step) => stepOf(line(0.5), step, 1 + step)),
      ),
    ).toBeUndefined();
  });
});
