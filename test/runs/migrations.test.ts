import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { section } from "../../lib/options/index.js";
import { type Kind, Run, type StoredConfiguration } from "../../lib/runs/index.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A kind as it was first, and as it became: a key with a default was added, another has a new name. */
function countingKind(
  configuration: z.ZodObject,
  migrations: Kind["migrations"],
): Kind<Record<string, unknown>, { count: z.ZodObject<{ value: z.ZodNumber }> }> {
  return {
    name: "counting",
    usage: "counting",
    unnamed: ["limit"],
    migrations,
    parse: (stored) => configuration.parse(stored) as Record<string, unknown>,
    records: { count: z.object({ value: z.number() }) },
    scalars: () => undefined,
    report: async () => ({ title: "", lead: "", figures: [], tables: [], csv: "", links: [] }),
  };
}
const same = (stored: StoredConfiguration) => stored;
const first = countingKind(section({ limit: z.number() }), [same]);
const defaulted = countingKind(section({ limit: z.number(), stride: z.number().default(1) }), [same]);
const renamed = countingKind(section({ end: z.number(), stride: z.number().default(1) }), [
  same,
  ({ limit, ...stored }) => ({ ...stored, end: limit }),
]);

/** What a run of a kind has recorded, after it has recorded one more. */
async function count(kind: typeof first, directory: string, configuration: object): Promise<number[]> {
  const options = { directory, fresh: false, signal: undefined, onProgress: () => {}, sinks: [] };
  await using run = await Run.open(kind, configuration as Record<string, unknown>, options);
  const values: number[] = [];
  await run.openLog({ take: ({ value }) => values.push(value) > 0 });
  values.push(values.length + 1);
  await run.record({ type: "count", value: values.length });
  return values;
}

const stored = (directory: string) => JSON.parse(readFileSync(path.join(directory, "config.json"), "utf8"));

describe("a run that an older version began", () => {
  it("goes on when a key with a default was added, and when one has a new name", async () => {
    const directory = mkdtempSync(path.join(folder, "run-"));
    expect(await count(first, directory, { limit: 9 })).toEqual([1]);
    expect(await count(defaulted, directory, { limit: 9, stride: 1 })).toEqual([1, 2]);
    expect(stored(directory)).toMatchObject({ kind: "counting", schema: 1, limit: 9, stride: 1 });
    expect(await count(renamed, directory, { end: 9, stride: 1 })).toEqual([1, 2, 3]);
    expect(stored(directory)).toMatchObject({ kind: "counting", schema: 2, end: 9, stride: 1 });
  });

  it("before kinds had names is known by its keys", async () => {
    const directory = mkdtempSync(path.join(folder, "run-"));
    await count(first, directory, { limit: 9 });
    const { kind: _, schema: __, ...old } = stored(directory);
    writeFileSync(path.join(directory, "config.json"), JSON.stringify(old));
    expect(await count(renamed, directory, { end: 9, stride: 1 })).toEqual([1, 2]);
  });

  it("with another value is still another run", async () => {
    const directory = mkdtempSync(path.join(folder, "run-"));
    await count(first, directory, { limit: 9 });
    await expect(count(renamed, directory, { end: 8, stride: 1 })).rejects.toThrow(
      /Expected 9 for end, .* 8/,
    );
    await expect(count(defaulted, directory, { limit: 9, stride: 2 })).rejects.toThrow(
      /Expected 1 for stride/,
    );
  });

  it("of a later version is refused", async () => {
    const directory = mkdtempSync(path.join(folder, "run-"));
    await count(renamed, directory, { end: 9, stride: 1 });
    await expect(count(first, directory, { limit: 9 })).rejects.toMatchObject({
      code: "ERR_RUN_DIRECTORY",
      message: expect.stringContaining("update it"),
    });
  });
});
