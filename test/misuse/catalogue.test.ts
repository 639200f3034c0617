import { beforeAll, describe, expect, it } from "vitest";
import { batchFileRows, batchRows } from "./batches.js";
import { curvatureRows, curvatureVectorRows } from "./curvature.js";
import { dataRows, fileRows, tokenFileRows } from "./data.js";
import { configurationRows, trainRows } from "./experiments.js";
import { frozenRows } from "./frozen.js";
import { measureRows, meterRows, searchRows } from "./measures.js";
import { mixRows, mixSweepRows, mixtureRows } from "./mix.js";
import { createRows, loadRows } from "./models.js";
import { optimizerRows, optimizerUseRows, scheduleRows } from "./optimizers.js";
import { directionRows, passRows } from "./passes.js";
import { probesRows } from "./probes.js";
import { digitRows, reportRows } from "./reports.js";
import { checkpointListRows, seriesRows } from "./series.js";
import { makeWorld, ordinaryUse, type Row, type World } from "./world.js";

const areas: Record<string, Row[]> = {
  "making models": createRows,
  "model files": loadRows,
  batches: batchRows,
  "batch files": batchFileRows,
  passes: passRows,
  directions: directionRows,
  "making optimizers": optimizerRows,
  "using optimizers": optimizerUseRows,
  schedules: scheduleRows,
  measuring: measureRows,
  meters: meterRows,
  curvature: curvatureRows,
  "curvature of vectors": curvatureVectorRows,
  searching: searchRows,
  "token files": tokenFileRows,
  "texts, tokenizers, images": fileRows,
  data: dataRows,
  configurations: configurationRows,
  training: trainRows,
  "frozen weights": frozenRows,
  series: seriesRows,
  "lists of checkpoints": checkpointListRows,
  mixtures: mixtureRows,
  "sweeps of a mix": mixSweepRows,
  mixes: mixRows,
  probes: probesRows,
  reports: reportRows,
  digits: digitRows,
};

/** What went wrong in one sentence: how this project's errors speak. */
const shape = /^Expected .+ for .+ but received:? .+/s;
/** Codes of errors that nobody foresaw. */
const unforeseen = ["ERR_NATIVE", "ERR_LIBTORCH", "ERR_OUT_OF_MEMORY"];

const make = makeWorld();
let world: World;
let before: unknown;
const ran = new Map<string, string>();
beforeAll(async () => {
  world = await make();
  before = await ordinaryUse(world);
});

describe.each(Object.entries(areas))("misuse: %s", (_, rows) => {
  it.each(rows)("%s", async (name, call) => {
    let error: unknown;
    try {
      await call(world);
    } catch (e) {
      error = e;
    }
    expect(error, "an error").toBeInstanceOf(Error);
    const { code, message } = error as Error & { code: unknown };
    expect(code, message).toMatch(/^[A-Z][A-Z_]+$/);
    expect(unforeseen, message).not.toContain(code);
    expect(message).toMatch(shape);
    expect(await ordinaryUse(world)).toEqual(before);
    expect(ran.has(name), "misuses have names of their own").toBe(false);
    ran.set(name, `${code} ${message}`);
  });
});

describe("the catalogue", () => {
  it("has at least 200 misuses that differ, in what they do and in what is said to them", () => {
    expect(ran.size).toBeGreaterThanOrEqual(200);
    expect(new Set(ran.values()).size).toBeGreaterThanOrEqual(200);
    expect(new Set([...ran.values()].map((said) => said.split(" ")[0])).size).toBeGreaterThanOrEqual(15);
  });
});
