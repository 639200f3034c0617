import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AdamW, loadModel, loadOptimizer } from "../../../lib/index.js";
import { oraclePython } from "../../oracle.js";

interface State {
  name: string;
  case: string | null;
  trainable: string[] | null;
  type: string;
  steps: number;
  learningRate: number;
  refused?: string;
  tolerance?: number;
}

const cases = path.join(import.meta.dirname, "../../models/families/cases");
/** What PyTorch calls the moments that we call otherwise. */
const torchKeys: Record<string, string> = { momentum: "momentum_buffer" };

describe.skipIf(!oraclePython)("the state that PyTorch's optimizers leave", { timeout: 600_000 }, () => {
  let folder: string;
  let states: State[];

  beforeAll(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), "states-"));
    const script = path.join(import.meta.dirname, "make_states.py");
    execFileSync(oraclePython as string, [script, folder, cases], { stdio: "ignore" });
    states = JSON.parse(readFileSync(path.join(folder, "states.json"), "utf8"));
  }, 600_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const modelOf = ({ name, case: own, trainable }: State) =>
    loadModel(own === null ? path.join(folder, name) : path.join(cases, own), {
      ...(trainable ? { trainable } : {}),
    });

  test("every moment has PyTorch's bits, in every layout and for every family's order", async () => {
    const good = states.filter(({ refused }) => refused === undefined);
    expect(good.length).toBeGreaterThan(60);
    for (const state of good) {
      const place = path.join(folder, state.name);
      using model = await modelOf(state);
      using optimizer = await loadOptimizer(place, model).catch((cause) => {
        throw new Error(state.name, { cause });
      });
      expect([state.name, optimizer.kind, optimizer.steps, optimizer.learningRate]).toEqual([
        state.name,
        state.type,
        state.steps,
        state.learningRate,
      ]);
      const saved = path.join(folder, "saved.safetensors");
      await optimizer.save(saved);
      const [ours, theirs] = [tensorsOf(saved), tensorsOf(path.join(place, "expected.safetensors"))];
      const names = [...ours.keys()].map((name) => name.replace(/^[^.]+/, (role) => torchKeys[role] ?? role));
      const kept = new Map([...ours.values()].map((bytes, i) => [names[i] as string, bytes]));
      for (const [name, bytes] of theirs) {
        const own = kept.get(aliased(name, kept));
        expect(own, `${state.name}: ${name}`).toBeDefined();
        if (state.tolerance === undefined) expect(own?.equals(bytes), `${state.name}: ${name}`).toBe(true);
        else expect(relative(own as Buffer, bytes)).toBeLessThan(state.tolerance);
      }
    }
  });

  test("decay by group, and its Δ, are PyTorch's", async () => {
    const state = states.find(({ name }) => name === "trainer-new") as State;
    using model = await modelOf(state);
    using optimizer = await loadOptimizer(path.join(folder, state.name), model);
    const decayed = (name: string) => !/norm/.test(name);
    using own = new AdamW(model, {
      learningRate: 3e-3,
      betas: [0.9, 0.95],
      weightDecay: 0,
      groups: [{ parameters: ({ name }) => decayed(name), weightDecay: 0.1 }],
    });
    await own.load(path.join(folder, state.name, "optimizer.pt"));
    using loaded = await optimizer.direction();
    using given = await own.direction();
    expect(await loaded.dot(given)).toBe(await given.dot(given));
    expect(await loaded.norm()).toBe(await given.norm());
  });

  test("what cannot be taken is refused by its name", async () => {
    const bad = states.filter(({ refused }) => refused !== undefined);
    expect(bad.length).toBeGreaterThan(5);
    for (const state of bad) {
      using model = await modelOf(state);
      const failure = await loadOptimizer(path.join(folder, state.name), model).then(
        () => undefined,
        (error) => error,
      );
      expect([state.name, failure?.code]).toEqual([state.name, "ERR_OPTIMIZER_STATE"]);
      expect(failure.message).toContain(state.refused);
    }
  });

  test("an order that is given is taken, and must fit", async () => {
    const state = states.find(({ name }) => name === "permuted") as State;
    using model = await modelOf(state);
    const place = path.join(folder, state.name);
    const named = [...tensorsOf(path.join(place, "expected.safetensors")).keys()].filter((n) =>
      n.startsWith("exp_avg."),
    );
    const parameters = named.map((name) => name.replace("exp_avg.", ""));
    await expect(loadOptimizer(place, model, { parameters })).rejects.toMatchObject({
      code: "ERR_OPTIMIZER_STATE",
    });
    const order = [...modelOrder(model.parameters.map(({ name }) => name))].reverse();
    using optimizer = await loadOptimizer(place, model, { parameters: order });
    expect(optimizer.steps).toBe(3);
  });

  test("a rule that needs the last gradient has no Δ before the next", async () => {
    const state = states.find(({ name }) => name === "muon") as State;
    using model = await modelOf(state);
    using optimizer = await loadOptimizer(path.join(folder, state.name), model);
    await expect(optimizer.direction()).rejects.toMatchObject({ code: "ERR_NO_GRADIENT" });
    await expect(optimizer.step()).rejects.toMatchObject({ code: "ERR_NO_GRADIENT" });
  });
});

/** transformers has norms behind the modules of their layer. */
function modelOrder(names: string[]): string[] {
  const key = (name: string) => {
    const layer = /layers\.(\d+)\.(.*)/.exec(name);
    if (!layer) return name.includes("embed") ? [0] : [2, name.includes("lm_head") ? 1 : 0];
    return [1, Number(layer[1]), /^(input|post)/.test(layer[2] as string) ? 1 : 0];
  };
  return names
    .map((name, i) => ({ name, key: [...key(name), i] }))
    .sort((a, b) => {
      const at = a.key.findIndex((x, i) => x !== b.key[i]);
      return (a.key[at] as number) - (b.key[at] as number);
    })
    .map(({ name }) => name);
}

/** transformers calls GPT-NeoX's head lm_head, its files embed_out. */
const aliased = (name: string, kept: Map<string, Buffer>) =>
  kept.has(name) ? name : name.replace("lm_head", "embed_out");

function tensorsOf(file: string): Map<string, Buffer> {
  const bytes = readFileSync(file);
  const length = Number(bytes.readBigUInt64LE(0));
  const { __metadata__, ...header } = JSON.parse(bytes.toString("utf8", 8, 8 + length));
  return new Map(
    Object.entries(header as Record<string, { data_offsets: [number, number] }>).map(
      ([
        name,
        {
          data_offsets: [start, end],
        },
      ]) => [name, bytes.subarray(8 + length + start, 8 + length + end)],
    ),
  );
}

/** Both float32, or the second bfloat16. */
function relative(a: Buffer, b: Buffer): number {
  const x = new Float32Array(new Uint8Array(a).buffer);
  const y = new Float32Array(new Uint8Array(b).buffer);
  let [difference, norm] = [0, 0];
  for (const [i, value] of x.entries()) {
    difference += (value - (y[i] as number)) ** 2;
    norm += (y[i] as number) ** 2;
  }
  return Math.sqrt(difference / norm);
}
