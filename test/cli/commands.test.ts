import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { writeSafetensors } from "../../lib/files/safetensors-writer.js";
import { Direction, loadBatch, loadModel } from "../../lib/models/index.js";
import { readMetrics, withoutSeconds } from "../experiments/helpers.js";
import { command, temporaryFolder, writeConfiguration } from "./helpers.js";

const folder = temporaryFolder();
const place = (name: string) => path.join(folder, name);
const config = writeConfiguration(folder);

describe("train", () => {
  it("trains into a run directory, ends with its report, and prints JSON only", async () => {
    const out = place("json");
    const { code, stdout, stderr } = await command(["train", config, "--out", out, "--json"]);
    expect(stderr).not.toContain("error");
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ directory: out, steps: 20, tokens: 400, resumedFrom: 0 });
    expect(result.loss).toBeGreaterThan(0);
    expect(existsSync(path.join(out, "report.html"))).toBe(true);
    expect(stderr).toMatch(/^step 20\/20 {2}loss \d.* λc /m);
  });
  it("takes flags before what stands in the file", async () => {
    const out = place("flags");
    const flags = [
      "--steps",
      "4",
      "--every",
      "2",
      "--learning-rate",
      "0.05",
      "--seed",
      "7",
      "--dtype",
      "float64",
    ];
    const { code, stdout } = await command(["train", config, "--out", out, ...flags]);
    expect(code).toBe(0);
    expect(stdout).toContain(out);
    const steps = readMetrics(out).filter((r) => r.type === "step");
    expect(steps.map((s) => s.type === "step" && s.learningRate)).toEqual([0.05, 0.05, 0.05, 0.05]);
    expect(steps.map((s) => s.type === "step" && s.measurement !== null)).toEqual([true, true, false, true]);
    const stored = JSON.parse(readFileSync(path.join(out, "config.json"), "utf8"));
    expect(stored).toMatchObject({ seed: 7, dtype: "float64", steps: 4 });
    const { code: refused, stderr } = await command(["train", config, "--out", out]);
    expect(refused).toBe(1);
    expect(stderr).toMatch(/^error: Expected .* for the run directory .*\n$/);
    expect((await command(["train", config, "--out", out, "--fresh"])).code).toBe(0);
  });
  it("goes on after it was killed, and the metrics are those of a run that was not", async () => {
    const long = writeConfiguration(folder, {
      steps: 3000,
      measure: { every: 10 },
      checkpoint: { every: 100 },
    });
    const whole = place("whole");
    expect((await command(["train", long, "--out", whole])).code).toBe(0);
    const killed = place("killed");
    let runs = 0;
    for (let kills = 0; runs < 40; runs++) {
      // Three times at a moment drawn anew, from the start of the training on; then no more.
      const delay = Math.random() * 300;
      const { code, signal } = await command(["train", long, "--out", killed], (stderr, kill) => {
        if (kills < 3 && stderr.includes("parameters")) setTimeout(() => kill("SIGKILL"), delay);
      });
      if (signal === "SIGKILL") kills++;
      else {
        expect(code).toBe(0);
        break;
      }
    }
    expect(runs).toBeGreaterThan(0);
    expect(withoutSeconds(readMetrics(killed))).toEqual(withoutSeconds(readMetrics(whole)));
  });
  it("stops with a checkpoint on Ctrl-C, says how to go on, and goes on", async () => {
    const long = writeConfiguration(folder, { steps: 1_000_000, checkpoint: { every: 1_000_000 } });
    const out = place("interrupted");
    const stop = () => {
      let sent = false;
      return command(["train", long, "--out", out], (stderr, kill) => {
        if (sent || !/^step [1-9]/m.test(stderr)) return;
        sent = true;
        kill("SIGINT");
      });
    };
    const { code, stdout, stderr } = await stop();
    expect(code).toBe(1);
    expect(stdout).toBe("");
    const step = Number(
      /error: Stopped after step (\d+) of 1000000\. The same command goes on/.exec(stderr)?.[1],
    );
    expect(step).toBeGreaterThan(0);
    const state = JSON.parse(readFileSync(path.join(out, "checkpoint/state.json"), "utf8"));
    expect(state.step).toBe(step);
    expect((await stop()).stderr).toContain(`going on after step ${step}`);
  });
});

describe("measure", () => {
  const model = place("json/checkpoint");
  const batch = place("batch.safetensors");
  const other = place("other.safetensors");

  async function writeBatch(file: string, seed: number) {
    const rows = 8;
    const numbers = (count: number) =>
      Float32Array.from({ length: count }, (_, i) => Math.sin(seed + i * (seed + 2)));
    const tensor = (name: string, shape: number[]) => {
      const { buffer } = numbers(shape.reduce((n, s) => n * s, 1));
      const read = async (offset: number, length: number) =>
        buffer.slice(offset, offset + length) as ArrayBuffer;
      return { name, dtype: "float32" as const, shape, read };
    };
    await writeSafetensors(file, [tensor("inputs", [rows, 6]), tensor("targets", [rows, 3])]);
  }

  it("prints the result as JSON, infinities as null", async () => {
    await writeBatch(batch, 1);
    const { code, stdout, stderr } = await command(["measure", model, "--batch", batch, "--json"]);
    expect(stderr).not.toContain("error");
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    expect(Object.keys(result).sort()).toEqual(
      [
        "baseLoss",
        "criticalLearningRate",
        "criticalSharpness",
        "dtype",
        "error",
        "estimate",
        "evaluations",
        "firstCrossing",
        "forwardPasses",
        "lower",
        "noise",
        "reason",
        "slope",
        "status",
        "upper",
      ].sort(),
    );
    expect(result.status).toBe("converged");
    expect(result.criticalSharpness).toBeCloseTo(2 / result.criticalLearningRate, 10);
    expect(1 - result.lower / result.upper).toBeLessThanOrEqual(1 / 16);
  });
  it("takes tolerance, method, start and arithmetic", async () => {
    const flags = ["--tolerance", "0.001", "--method", "bisection", "--initial-learning-rate", "0.01"];
    const args = [
      "measure",
      model,
      "--batch",
      batch,
      ...flags,
      "--dtype",
      "float64",
      "--device",
      "cpu",
      "--json",
    ];
    const { code, stdout } = await command(args);
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    expect(1 - result.lower / result.upper).toBeLessThanOrEqual(0.001);
    expect(result.evaluations[0].learningRate).toBe(0.01);
  });
  it("takes the direction from another batch's gradient or from a file, and both agree", async () => {
    await writeBatch(other, 5);
    const file = place("direction.safetensors");
    {
      using loaded = await loadModel(model);
      using update = await loadBatch(other);
      using direction = (await loaded.gradient(update)).gradient;
      expect(direction).toBeInstanceOf(Direction);
      await direction.save(file);
    }
    const args = ["measure", model, "--batch", batch, "--json"];
    const byBatch = await command([...args, "--update-batch", other]);
    const byFile = await command([...args, "--direction", file]);
    expect(byBatch.code).toBe(0);
    expect(JSON.parse(byFile.stdout)).toEqual(JSON.parse(byBatch.stdout));
  });
  it("prints lines for people", async () => {
    const { code, stdout } = await command(["measure", model, "--batch", batch]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^λc +\d/m);
    expect(stdout).toMatch(/^status +converged, first crossing (probed|bracketed)$/m);
  });
  it("tells what is wrong with a batch", async () => {
    const cut = place("cut.safetensors");
    writeFileSync(cut, readFileSync(batch).subarray(0, 100));
    const { code, stdout, stderr } = await command(["measure", model, "--batch", cut]);
    expect(code).toBe(1);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^error: Expected .*cut\.safetensors.*\n$/);
  });
});

describe("report", () => {
  it("is written again for a run that is there", async () => {
    const { code, stdout } = await command(["report", place("json"), "--json"]);
    expect(code).toBe(0);
    expect(JSON.stringify(JSON.parse(stdout))).toContain("report.html");
  });
});

describe("doctor", () => {
  it("says what there is", async () => {
    const { code, stdout } = await command(["doctor", "--json"]);
    expect(code).toBe(0);
    const { packageVersion: version, node, libtorch, native, forwardPasses, problem } = JSON.parse(stdout);
    expect(problem).toBeNull();
    expect(version).toMatch(/^\d/);
    expect(node).toBe(process.versions.node);
    expect(libtorch.version).toBe(native.libtorchVersion);
    expect(native.threads).toBeGreaterThan(0);
    expect(typeof native.flashAttention).toBe("boolean");
    const devices = ["cpu", ...native.cuda.devices.map((_: unknown, i: number) => `cuda:${i}`)];
    expect(forwardPasses).toEqual(
      devices.map((device) => ({ device, milliseconds: expect.any(Number), problem: null })),
    );
    const { stdout: lines } = await command(["doctor"]);
    for (const label of ["libtorch", "threads", "CPU capability", "CUDA", "flash attention", "bfloat16"])
      expect(lines).toMatch(new RegExp(`^${label} +\\S`, "m"));
    expect(lines).toMatch(/^forward pass, cpu +right, \d/m);
    expect(lines.split("\n").length).toBeLessThan(24);
  });
});
