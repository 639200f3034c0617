import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { readConfiguration } from "../../lib/index.js";

const root = path.join(import.meta.dirname, "../../examples");
/** Those of `train`: other commands' name a model that is there. */
const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) => {
  if (!file.endsWith(".json")) return false;
  return typeof JSON.parse(readFileSync(path.join(root, file), "utf8")).model === "object";
});

describe("examples", () => {
  it.each(files)("%s is a configuration", async (file) => {
    const { steps } = await readConfiguration(path.join(root, file));
    expect(steps).toBeGreaterThanOrEqual(100);
  });

  it("every figure of the paper stands beside its full size", () => {
    const figures = (folder: string) =>
      new Set(readdirSync(folder).flatMap((file) => /^figure-\d+/.exec(file)?.[0] ?? []));
    const small = figures(path.join(root, "paper"));
    expect(small.size).toBeGreaterThan(2);
    expect(figures(path.join(root, "paper/full-size"))).toEqual(small);
  });

  it("the small and the full size of a figure differ in size, not in kind", () => {
    const kind = (file: string) => {
      const { model, optimizer, schedule, hessian } = JSON.parse(readFileSync(path.join(root, file), "utf8"));
      return [
        model.model_type,
        model.activation,
        optimizer.type,
        optimizer.betas,
        schedule?.type,
        hessian !== null,
      ];
    };
    for (const [small, full] of [
      ["figure-1", "figure-1"],
      ["figure-3-full-batch", "figure-3-full-batch"],
      ["figure-4-0.006", "figure-4-0.001"],
    ])
      expect(kind(`paper/${small}.json`)).toEqual(kind(`paper/full-size/${full}.json`));
  });
});
