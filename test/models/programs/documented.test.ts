import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { readSafetensorsHeader } from "../../../lib/files/index.js";
import { readProgram } from "../../../lib/models/programs/program.js";
import { openPage } from "../../docs/page.js";
import { oraclePython } from "../../oracle.js";

const page = openPage("any-model");
const reductions = { classifier: "mean-of-rows", "sum-and-weight": "sum-and-weight" } as const;

describe.skipIf(oraclePython === undefined)("what the page on any model exports", () => {
  // Importing PyTorch and transformers takes minutes on a machine that is busy.
  it("runs", () => {
    const code = page.blocks("python").join("\n");
    execFileSync(oraclePython as string, ["-"], { cwd: page.folder, input: code, stdio: "pipe" });
    expect(readdirSync(page.folder).filter((file) => file.endsWith(".pt2")).length).toBe(6);
  }, 600_000);

  it.each(["classifier", "language", "policy", "diffusion", "sum-and-weight", "physics"])(
    "%s is read",
    async (name) => {
      const reduction = reductions[name as keyof typeof reductions] ?? "loss";
      const file = path.join(page.folder, `${name}.pt2`);
      const { description } = await readProgram(file, { reduction, dropoutSeed: null });
      expect(description.parameters.length).toBeGreaterThan(2);
      if (name === "physics") return;
      const { tensors } = await readSafetensorsHeader(path.join(page.folder, `${name}.safetensors`));
      expect(description.inputs.map((input) => input.name).toSorted()).toEqual(
        [...tensors.keys()].toSorted(),
      );
      // The number of rows varies.
      for (const { sizes } of description.inputs) expect(sizes[0]).toEqual({ symbol: 0 });
    },
  );
});
