import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import {
  measureProbes,
  type ProbesEvent,
  type ProbesOptions,
  reportContent,
  writeReport,
} from "../../lib/experiments/index.js";
import { Direction, loadBatch, loadModel } from "../../lib/models/index.js";
import { tensorBoard } from "../../lib/runs/index.js";
import { criticalSharpness } from "../../lib/sharpness/index.js";
import { temporaryFolder, withoutSeconds } from "./helpers.js";
import { makeProbe, makeProbes, readProbesRecords } from "./probes-helpers.js";

const folder = temporaryFolder();
const place = (...names: string[]) => path.join(folder, ...names);
const measure = (probes: string, directory: string, options: Partial<ProbesOptions> = {}) =>
  measureProbes({ probes: place(probes) }, { directory: place(directory), once: true, ...options });
const recordsOf = (directory: string) => withoutSeconds(readProbesRecords(place(directory)) as never);

beforeAll(() => makeProbes(place("probes"), 4));

describe("probes", () => {
  it("are measured at their weights, along their Δ, on their batch", async () => {
    const { probes, failures } = await measure("probes", "whole", { sinks: [tensorBoard()] });
    expect(probes.map(({ step, learningRate }) => [step, learningRate])).toEqual(
      [1, 2, 3, 4].map((n) => [10 * (n - 1), 0.1 / n]),
    );
    expect(failures).toEqual([]);
    for (const [i, { name, measurement, loss }] of probes.entries()) {
      using model = await loadModel(place("probes", name));
      using batch = await loadBatch(place("probes", name, "batch.safetensors"));
      using direction = await Direction.load(place("probes", name, "direction.safetensors"), model);
      const gradient = await model.gradient(batch);
      using _ = gradient.gradient;
      const alone = await criticalSharpness({ model, batch, direction, gradient });
      expect(loss).toBe(gradient.loss);
      // The first is searched as it is alone, the others from where the meter expects them.
      if (i === 0) expect(measurement.criticalSharpness).toBe(alone.criticalSharpness);
      const ratio = (measurement.criticalSharpness as number) / alone.criticalSharpness;
      expect(Math.abs(Math.log(ratio))).toBeLessThan(Math.log(1 / (1 - 1 / 16)));
    }
    expect(existsSync(place("whole", "tensorboard"))).toBe(true);
  });

  it("are measured once, also when others come, whatever stopped the run before", async () => {
    const seen: ProbesEvent[] = [];
    await measure("probes", "stopped", {
      onProgress: (event) => {
        seen.push(event);
        if (event.type === "probe" && event.step === 10) throw new Error("stop here");
      },
    }).catch(({ message }) => expect(message).toBe("stop here"));
    const controller = new AbortController();
    const stopped = await measure("probes", "stopped", {
      signal: controller.signal,
      onProgress: (event) => {
        if (event.type === "plan") controller.abort();
      },
    });
    expect(stopped.probes).toHaveLength(1);
    const { probes } = await measure("probes", "stopped");
    expect(probes).toHaveLength(4);
    expect(recordsOf("stopped")).toEqual(recordsOf("whole"));
    await measure("probes", "stopped", { onProgress: ({ type }) => expect(type).toBe("start") });
  });

  it("that are broken are said, and tried again when the run goes on", async () => {
    cpSync(place("probes"), place("broken"), { recursive: true, preserveTimestamps: true });
    const batch = readFileSync(place("broken/step-000010/batch.safetensors"));
    writeFileSync(place("broken/step-000010/batch.safetensors"), batch.subarray(0, 90));
    rmSync(place("broken/step-000020/direction.safetensors"));
    const header = readFileSync(place("broken/step-000030/direction.safetensors"));
    const mute = Buffer.from(header.toString("latin1").replace("learning_rate", "learning-rate"), "latin1");
    writeFileSync(place("broken/step-000030/direction.safetensors"), mute);
    const { probes, failures } = await measure("broken", "broken-run");
    expect(probes.map(({ step }) => step)).toEqual([0]);
    expect(failures.map(({ step, code }) => [step, code])).toEqual([
      [10, "ERR_SAFETENSORS"],
      [20, expect.any(String)],
      [30, "ERR_PROBE"],
    ]);
    expect(failures[2]?.message).toMatch(/^Expected a number > 0 for "learning_rate" .* received nothing$/);
    const { tables } = await reportContent(place("broken-run"));
    expect(tables.find(({ heading }) => heading === "Failed")?.rows).toHaveLength(3);
    writeFileSync(place("broken/step-000010/batch.safetensors"), batch);
    const again = await measure("broken", "broken-run");
    expect(again.probes.map(({ step }) => step)).toEqual([0, 10]);
    expect(again.failures).toHaveLength(2);
  });

  it("are removed once they are measured, if that is asked for", async () => {
    cpSync(place("probes"), place("short-lived"), { recursive: true });
    const { probes } = await measure("short-lived", "removing", { remove: true });
    expect(probes).toHaveLength(4);
    expect(readdirSync(place("short-lived"))).toEqual([]);
    expect((await measure("short-lived", "removing", { remove: true })).probes).toHaveLength(4);
    // Another training into the same folder.
    await makeProbe(place("short-lived"), 0);
    expect((await measure("short-lived", "removing")).probes).toHaveLength(5);
    await expect(reportContent(place("removing"))).resolves.toMatchObject({ figures: { length: 4 } });
  });

  it("are waited for, and their end as well", async () => {
    const events: string[] = [];
    const measured = await measure("to-come", "waiting", {
      once: false,
      untilIdle: 2,
      onProgress: ({ type }) => {
        events.push(type);
        if (type === "waiting" && events.length < 6) void makeProbe(place("to-come"), events.length);
      },
    });
    expect(measured.probes).toHaveLength(2);
    const around = ["waiting", "plan", "probe"];
    expect(events).toEqual(["start", ...around, ...around, "waiting"]);
  });

  it("that are not there are an error", async () => {
    for (const options of [{ once: true }, { once: false, untilIdle: 0.1 }])
      await expect(measure("nowhere", "nothing", options)).rejects.toMatchObject({
        code: "ERR_PROBES",
        message: expect.stringMatching(
          /critical_sharpness_probe\.py writes them, for the probes ".*nowhere" but/,
        ),
      });
    await expect(reportContent(place("nothing"))).rejects.toMatchObject({ code: "ERR_RUN_DIRECTORY" });
  });

  it("have a report: λc with 2/η over steps, and how many are above", async () => {
    const { lead, figures } = await reportContent(place("whole"));
    expect(lead).toMatch(/^[0-4] of 4 probed steps above 2\/η\. /);
    expect(figures.map(({ name }) => name)).toEqual([
      "critical-sharpness",
      "loss",
      "learning-rate",
      "forward-passes",
    ]);
    await writeReport(place("whole"));
    const [head, ...lines] = readFileSync(place("whole/metrics.csv"), "utf8").trimEnd().split("\n");
    const [eta, sharpness, over] = ["learningRate", "criticalSharpness", "overThreshold"].map((name) =>
      (head as string).split(",").indexOf(name),
    ) as [number, number, number];
    expect(lines).toHaveLength(4);
    for (const cells of lines.map((line) => line.split(",").map(Number)))
      expect(cells[over]).toBeCloseTo(((cells[eta] as number) * (cells[sharpness] as number)) / 2, 12);
  });
});
