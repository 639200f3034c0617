import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { makeCheckpoints, textFile } from "../experiments/series-helpers.js";
import { command, temporaryFolder } from "./helpers.js";

const folder = temporaryFolder();
const place = (name: string) => path.join(folder, name);
let data: string[];

beforeAll(async () => {
  await makeCheckpoints(place("models"), 1);
  data = ["--data", textFile(folder), "--batch-size", "4", "--accumulate", "3"];
});

const check = (out: string, ...flags: string[]) =>
  command(["check", place("models/step1"), ...data, "--out", place(out), ...flags]);

describe("check", () => {
  it("ends with 0 below ηc, and with 3 above it and where that cannot be told", async () => {
    const low = await check("low", "--learning-rate", "1e-6");
    expect([low.code, low.stderr.includes("error")]).toEqual([0, false]);
    expect(low.stdout).toMatch(/^η = 10⁻⁶ is \S+ times below ηc = /);
    expect(low.stdout).toContain(path.join(place("low"), "figures", "step.svg"));
    expect(low.stderr).toMatch(/at most about \d+ training steps' time/);
    const high = await check("high", "--learning-rate", "1e4");
    expect(high.code).toBe(3);
    expect(high.stdout).toMatch(/^η = .* is too large for a warm-up that short: |^η = .* times above ηc/);
    const { batches } = JSON.parse((await check("low", "--learning-rate", "1e-6", "--json")).stdout);
    const edge = ["--learning-rate", String(batches.criticalLearningRate), "--trial", "0"];
    const undecided = await check("edge", ...edge);
    expect([undecided.code, undecided.stdout.startsWith("It cannot be told whether")]).toEqual([3, true]);
  });

  it("prints JSON for machines, and a line for every event", async () => {
    const { stdout } = await check("low", "--learning-rate", "1e-6", "--json");
    expect(Object.keys(JSON.parse(stdout))).toEqual([
      ...["directory", "verdict", "learningRate", "learningRateSource", "batches", "heldOut", "trial"],
      ...["margin", "batchSizes", "changes", "cost", "sentence", "notes", "report"],
    ]);
    const lines = await check("lines", "--learning-rate", "1e-6", "--json-lines");
    const types = lines.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).type);
    expect(new Set(types)).toEqual(new Set(["start", "question", "accumulated", "batch", "trial", "end"]));
  });

  it("has what it recorded as a table", () => {
    const [head, ...rows] = readFileSync(path.join(place("low"), "metrics.csv"), "utf8")
      .trim()
      .split("\n");
    expect(head).toMatch(/^what,index,rows,learningRate,loss,/);
    expect(rows.filter((row) => row.startsWith("batch,"))).toHaveLength(7);
    expect(rows.filter((row) => row.startsWith("trial,"))).toHaveLength(7);
  });

  it("refuses what cannot be asked, by name", async () => {
    const asked = async (...flags: string[]) => {
      const { code, stderr } = await check("refused", ...flags);
      return [
        code,
        stderr
          .split("\n")
          .filter((line) => line.startsWith("error"))
          .at(-1),
      ];
    };
    expect(await asked()).toEqual([
      2,
      "error: Expected a learning rate to ask about for learningRate but received none in the run's files: give one, --learning-rate 3e-4",
    ]);
    const schedule = ["--schedule", '{"type": "cosine"}', "--learning-rate", "1e-3"];
    expect(await asked(...schedule)).toEqual([
      2,
      "error: Expected learningRate and steps, of the whole run, beside it for schedule but received it alone",
    ]);
    expect((await command(["check", place("models/step1"), "--learning-rate", "1e-3"])).stderr).toContain(
      "Expected --data FILES but received nothing",
    );
    expect((await check("refused", "--learning-rate", "-1")).code).toBe(2);
    expect((await check("refused", "--batches", "0", "--learning-rate", "1")).code).toBe(2);
  });
});
