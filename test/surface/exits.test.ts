import { describe, expect, it } from "vitest";

// The ways of bench/exits.mjs, which takes a thousand of them.
const file = new URL("../../bench/shared/exits.mjs", import.meta.url).href;
const { end, endings } = (await import(file)) as {
  end(name: string): Promise<string | undefined>;
  endings: Record<string, object>;
};

describe("a process that measures ends as it should, in the middle of a job too", () => {
  it.each(Object.keys(endings))("%s", async (name) => {
    for (let start = 0; start < 2; start++) expect(await end(name)).toBeUndefined();
  });
});
