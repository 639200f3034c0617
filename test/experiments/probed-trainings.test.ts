import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { measureProbes, type ProbesResult } from "../../lib/experiments/index.js";
import { oraclePython, runOracle } from "../oracle.js";
import { temporaryFolder } from "./helpers.js";

interface Judged {
  step: number;
  learningRate: number;
  rows: number;
  sameWeights: boolean;
  whole: boolean;
  /** |θ − θ' − ηΔ| in units of float32's rounding. */
  worst: number;
  /** By a scan in float64. */
  criticalLearningRate: number;
}
interface Trained {
  llama: { unchanged: boolean; probes: Judged[] };
  gpt2: { unchanged: boolean; probes: Judged[] };
  loop: { probes: Judged[] };
  optimizers: Record<string, number>;
  refusals: { said: unknown[]; written: boolean };
}

const folder = temporaryFolder();
const place = (name: string) => path.join(folder, name);
/** What the search certifies: 1 − lower/upper ≤ ε. */
const tolerance = 1 / 16;

describe.skipIf(!oraclePython)("a training in PyTorch with probes", () => {
  let trained: Trained;
  beforeAll(() => {
    const script = readFileSync(path.join(import.meta.dirname, "train_probed.py"), "utf8");
    trained = runOracle(script, {
      folder,
      example: path.resolve(import.meta.dirname, "../../examples/python"),
    });
  }, 300_000);

  const cases = { llama: "llama/probes", gpt2: "gpt2/probes", loop: "loop" } as const;
  describe.each(Object.keys(cases) as (keyof typeof cases)[])("%s", (name) => {
    it("is the one without, bit for bit, and leaves its weights and what its step subtracts", () => {
      if (name !== "loop") expect(trained[name].unchanged).toBe(true);
      const { probes } = trained[name];
      // The first step of a warm-up has η = 0, and moves nothing.
      expect(probes.map(({ step }) => step)).toEqual(name === "loop" ? [0, 3, 6] : [3, 6, 9]);
      for (const { rows, sameWeights, whole, worst } of probes) {
        // Both micro-batches, of whatever lengths.
        expect({ rows, sameWeights, whole }).toEqual({
          rows: name === "loop" ? 32 : 4,
          sameWeights: true,
          whole: true,
        });
        expect(worst).toBeLessThan(4);
      }
    });

    it("has the λc that PyTorch finds in float64 of the same files", async () => {
      const program = name === "loop" ? place("classifier.pt2") : null;
      const found: ProbesResult = await measureProbes(
        { probes: place(cases[name]), program },
        { directory: place(`${name} run`), once: true },
      );
      expect(found.failures).toEqual([]);
      const { probes } = trained[name];
      expect(found.probes).toHaveLength(probes.length);
      for (const [i, { measurement, learningRate, step }] of found.probes.entries()) {
        const { criticalLearningRate: exact, ...judged } = probes[i] as Judged;
        expect([step, learningRate]).toEqual([judged.step, judged.learningRate]);
        expect(measurement.status).toBe("converged");
        expect(Math.abs((measurement.criticalLearningRate as number) / exact - 1)).toBeLessThan(tolerance);
      }
    });
  });

  it("may have any optimizer whose step takes a parameter at a time: Δ is exact but for float32", () => {
    const errors = Object.entries(trained.optimizers);
    expect(errors.length).toBeGreaterThan(10);
    // A norm of relative errors of at most half a unit each.
    for (const [name, error] of errors) expect([name, error < 2 ** -24]).toEqual([name, true]);
  });

  it("is told where there are no gradients, once", () => {
    const { said, written } = trained.refusals;
    expect(said).toEqual([
      expect.stringContaining("Expected gradients in .grad before optimizer.step()"),
      [expect.stringMatching(/no more probes of this training\. .*DeepSpeed or FSDP/)],
      [],
    ]);
    expect(written).toBe(false);
  });
});
