import { expect, it } from "vitest";
import { csv } from "../../lib/experiments/train/train-figures.js";
import { measurement, step } from "./helpers.js";

/** What a reader of comma-separated values makes of it. */
function read(text: string): Record<string, string>[] {
  const [header = "", ...lines] = text.trimEnd().split("\n");
  const names = header.split(",");
  return lines.map((line) => Object.fromEntries(line.split(",").map((cell, i) => [names[i], cell])));
}

it("comes back as it went: full precision, infinities, and nothing where nothing is known", () => {
  const steps = [
    step(1, { loss: 0.1 + 0.2, learningRate: 1e-7, measurement: measurement(Math.PI, 5) }),
    step(2, { loss: null as unknown as number }),
    step(3, { measurement: measurement(Infinity, 0) }),
    step(4, { measurement: measurement(0) }),
  ];
  const pieces = csv({ steps, validations: [{ type: "validation", step: 3, loss: 2.5 }], curvatures: [] });
  const rows = read([...pieces].join(""));
  expect(rows).toHaveLength(4);
  const [first, second, third, fourth] = rows as [Row, Row, Row, Row];
  type Row = Record<string, string>;
  expect(Number(first.loss)).toBe(0.1 + 0.2);
  expect(Number(first.learningRate)).toBe(1e-7);
  expect(Number(first.criticalSharpness)).toBe(Math.PI);
  expect(Number(first.criticalLearningRate)).toBe(2 / Math.PI);
  expect(first).toMatchObject({ step: "1", tokens: "20", status: "converged", forwardPasses: "5" });
  expect(first.validationLoss).toBe("");
  expect(second).toMatchObject({ step: "2", loss: "", status: "", criticalSharpness: "", forwardPasses: "" });
  expect(third).toMatchObject({ status: "non-descent", validationLoss: "2.5" });
  expect([Number(third.criticalSharpness), Number(third.criticalLearningRate)]).toEqual([Infinity, 0]);
  expect(fourth).toMatchObject({ status: "unbounded", upper: "" });
  expect([Number(fourth.criticalSharpness), Number(fourth.criticalLearningRate)]).toEqual([0, Infinity]);
});
