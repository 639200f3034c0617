import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { trainRecords } from "../../lib/experiments/train/train-records.js";
import { checkpointOf } from "../../lib/experiments/train/train-session.js";
import { RunLog } from "../../lib/runs/log.js";
import { temporaryFolder } from "./helpers.js";

const state = (step: number) => ({ version: 1, step, tokens: 10 * step, meter: null });

/** A folder that looks as a checkpoint does; without a state it is one that was not finished. */
function put(directory: string, name: string, step?: number): void {
  mkdirSync(path.join(directory, name));
  writeFileSync(path.join(directory, name, "model.safetensors"), String(step));
  if (step !== undefined)
    writeFileSync(path.join(directory, name, "state.json"), JSON.stringify(state(step)));
}

describe("a checkpoint is found whenever its writer was killed", () => {
  it.each<[string, Record<string, number | undefined>, number | undefined]>([
    ["before the first", {}, undefined],
    ["while the first was written", { "checkpoint.next": undefined }, undefined],
    ["when the first was complete", { "checkpoint.next": 4 }, 4],
    ["while the second was written", { checkpoint: 4, "checkpoint.next": undefined }, 4],
    ["when the second was complete", { checkpoint: 4, "checkpoint.next": 8 }, 8],
    ["when the first was put aside", { "checkpoint.previous": 4, "checkpoint.next": 8 }, 8],
    ["before the first was removed", { checkpoint: 8, "checkpoint.previous": 4 }, 8],
    ["while the first was removed", { checkpoint: 8, "checkpoint.previous": undefined }, 8],
    ["with the first put aside only", { "checkpoint.previous": 4 }, 4],
    ["before the second was removed", { checkpoint: 8, "checkpoint.next": 12, "checkpoint.previous": 4 }, 12],
  ])("%s", async (_, folders, step) => {
    const directory = temporaryFolder();
    for (const [name, at] of Object.entries(folders)) put(directory, name, at);
    const checkpoint = checkpointOf(directory);
    const found = await checkpoint.find();
    expect(found).toEqual(step === undefined ? undefined : state(step));
    if (!found) return;
    expect(checkpoint.folder).toBe(path.join(directory, "checkpoint"));
    expect(readFileSync(path.join(checkpoint.folder, "model.safetensors"), "utf8")).toBe(String(step));
    expect(await checkpoint.find()).toEqual(state(step as number));
  });
  it("and its state is checked", async () => {
    for (const content of ["", "null", '{"version":2}', '{"version":1,"step":-0.5,"tokens":1}']) {
      const directory = temporaryFolder();
      put(directory, "checkpoint", 1);
      writeFileSync(path.join(directory, "checkpoint/state.json"), content);
      await expect(checkpointOf(directory).find()).rejects.toMatchObject({ code: "ERR_CHECKPOINT" });
    }
  });
});

describe("the metrics", () => {
  const line = (step: number) => `${JSON.stringify({ type: "validation", step, loss: step / 2 })}\n`;
  it.each([
    ["nothing", "", 5, ""],
    ["all of it", line(1) + line(2), 2, line(1) + line(2)],
    ["what is up to the step", line(1) + line(2) + line(3), 2, line(1) + line(2)],
    ["nothing at step 0", line(1), 0, ""],
    ["nothing of a line cut short", line(1) + line(2).slice(0, -3), 5, line(1)],
    ["nothing of a whole line without its end", line(1) + line(2).trimEnd(), 5, line(1)],
    ["nothing after a broken line", `${line(1)}{"step":\n${line(2)}`, 5, line(1)],
    ["nothing after a line that is no record", `${line(1)}null\n${line(2)}`, 5, line(1)],
  ])("keep %s", async (_, before, step, after) => {
    const file = path.join(temporaryFolder(), "metrics.jsonl");
    writeFileSync(file, before);
    {
      const taken: number[] = [];
      const take = (record: { step: number }) => record.step <= step && taken.push(record.step) > 0;
      await using log = await RunLog.open(file, trainRecords, { take, relied: 0 });
      expect(taken).toHaveLength(after.split("\n").length - 1);
      await log.append({ type: "validation", step: 9, loss: 1 });
    }
    expect(readFileSync(file, "utf8")).toBe(
      `${after}${JSON.stringify({ type: "validation", step: 9, loss: 1 })}\n`,
    );
  });
});
