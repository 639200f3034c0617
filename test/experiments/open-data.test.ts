import { describe, expect, it } from "vitest";
import type { ExampleSet } from "../../lib/data/index.js";
import { openData } from "../../lib/data/open-data.js";

const open = (count?: number) => openData({ type: "mnist", count }, 0) as Promise<ExampleSet>;

describe("a part of a data set", () => {
  it("is its first examples", async () => {
    const [all, part] = [await open(), await open(300)];
    expect(part.count).toBe(300);
    expect(part.targets).toEqual(all.targets.subarray(0, 300));
    expect(part.inputs).toEqual(all.inputs.subarray(0, 300 * 784));
  });

  it("is no more than there is", async () => {
    await expect(open(10_001)).rejects.toThrow(/at most 10000.*data\.count but received 10001/);
  });
});
