import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { launcherVariable } from "../../lib/ranks/environment.js";
import { temporaryFolder } from "../data/helpers.js";
import { oraclePython } from "../oracle.js";

const folder = temporaryFolder();
const program = path.join(import.meta.dirname, "program.mjs");
const command = path.resolve(import.meta.dirname, "../../dist/cli/main.js");

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

function run(
  args: readonly string[],
  environment: Record<string, string> = {},
  file = process.execPath,
): Promise<Ended> {
  const child = spawn(file, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, OMP_NUM_THREADS: "1", ...environment },
  });
  const ended = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const)
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      ended[stream] += text;
    });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, ...ended }));
  });
}

const launch = (ranks: number, args: readonly string[]) =>
  run([command, "launch", "--ranks", String(ranks), "--", process.execPath, ...args]);

const llama = {
  model_type: "llama",
  vocab_size: 301,
  max_position_embeddings: 64,
  hidden_size: 96,
  intermediate_size: 200,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
};
const gpt2 = { model_type: "gpt2", vocab_size: 301, n_positions: 64, n_embd: 96, n_layer: 2, n_head: 4 };
const cases = {
  "GPT-2, tied": { config: gpt2, rows: 4, microBatch: 1, dtype: "float32" },
  "Llama in bfloat16, uneven": { config: llama, rows: 5, microBatch: 2, dtype: "bfloat16" },
};

describe("a training and its measurements over ranks", () => {
  for (const [name, given] of Object.entries(cases))
    test(`have the bits, and the files, of one process: ${name}`, { timeout: 300_000 }, async () => {
      const input = (ranks: number) => {
        const place = path.join(folder, `${name} ${ranks}`);
        mkdirSync(place);
        return JSON.stringify({ ...given, length: 16, folder: place });
      };
      const alone = await run([program, input(1)]);
      expect(alone).toMatchObject({ code: 0, stderr: "" });
      const expected = JSON.parse(alone.stdout);
      expect(expected.again).toBe(true);
      for (const ranks of [2, 3]) {
        const over = await launch(ranks, [program, input(ranks)]);
        expect(over).toMatchObject({ code: 0, stderr: "" });
        expect(JSON.parse(over.stdout)).toEqual({ ...expected, size: ranks });
      }
    });
});

const prelude = `import { Batch, createModel, joinGroup } from "critical-sharpness";
  const group = await joinGroup({ joinTimeout: 20, timeout: 20 });
  const model = await createModel(${JSON.stringify(llama)}, { group });
  const inputIds = Int32Array.from({ length: 64 }, (_, i) => i);
  const batch = Batch.tokens({ inputIds, labels: inputIds.map((id) => (5 * id + 1) % 64), shape: [4, 16] });
  const told = (error) => console.error(error.code, error.message);`;
const script = (body: string) => ["--input-type=module", "-e", `${prelude} ${body}`];

test.skipIf(oraclePython === undefined)(
  "torchrun starts ranks, and keeps the store",
  { timeout: 200_000 },
  async () => {
    const place = path.join(folder, "torchrun");
    mkdirSync(place);
    const given = JSON.stringify({ ...cases["GPT-2, tied"], length: 16, folder: place });
    const alone = await run([program, given]);
    const [python = "", ...args] = [oraclePython, "-m", "torch.distributed.run", "--nproc-per-node", "2"];
    const over = await run([...args, "--no-python", process.execPath, program, given], {}, python);
    expect(over).toMatchObject({ code: 0 });
    expect(JSON.parse(over.stdout)).toEqual({ ...JSON.parse(alone.stdout), size: 2 });
  },
);

describe("what goes wrong on one rank", () => {
  test("a difference is told to all before the pass, and the group goes on", {
    timeout: 60_000,
  }, async () => {
    const { code, stdout, stderr } = await launch(
      2,
      script(`await model.loss(batch, { microBatch: 1 + group.rank }).catch(told);
        console.error((await model.loss(batch, { microBatch: 1 })).toFixed(2));`),
    );
    const message =
      'ERR_RANKS_DIFFER Expected every rank to call "loss" with the same micro-batch but received another on rank 1 than on rank 0: every rank must run the same program on the same data';
    expect(code).toBe(0);
    expect(stdout).toBe("");
    expect(stderr.split("\n").filter((line) => line.includes(message))).toHaveLength(2);
    expect(stderr.split("\n").filter((line) => /^(rank 1: )?\d+\.\d+$/.test(line))).toHaveLength(2);
  });

  for (const [when, body] of [
    ["before a pass", `if (group.rank === 1) process.kill(process.pid, "SIGKILL");`],
    [
      "in the middle of one",
      `if (group.rank === 1) setTimeout(() => process.kill(process.pid, "SIGKILL"), 30);`,
    ],
  ])
    test(`one that is killed ${when} is named at once`, { timeout: 60_000 }, async () => {
      const { stderr } = await launch(
        2,
        script(`await model.loss(batch);
          ${body}
          const start = performance.now();
          try {
            for (;;) await model.loss(batch, { microBatch: 1 });
          } catch (error) {
            told(error);
          }
          console.error("after", Math.round(performance.now() - start));`),
      );
      expect(stderr).toMatch(
        /ERR_RANK_LOST Expected rank 1 \(.+, process \d+\) to go on but received a closed connection/,
      );
      expect(Number(/after (\d+)/.exec(stderr)?.[1])).toBeLessThan(10_000);
    });

  test("a wish to stop on one ends the call on all", { timeout: 60_000 }, async () => {
    const { code, stderr } = await launch(
      2,
      script(`const controller = new AbortController();
        const loss = model.loss(batch, { microBatch: 1, signal: controller.signal });
        if (group.rank === 1) controller.abort();
        await loss.catch(told);
        await model.loss(batch);`),
    );
    expect(code).toBe(0);
    expect(stderr).toContain("rank 1: ABORT_ERR");
    expect(stderr).toMatch(/^CANCELLED/m);
  });

  test("the same between the passes of a measurement, or before the first", { timeout: 60_000 }, async () => {
    const { code, stderr } = await launch(
      2,
      script(`const { criticalSharpness, hessianEigenvalues } = await import("critical-sharpness");
        const { gradient } = await model.gradient(batch);
        const controller = new AbortController();
        const line = { model, batch, direction: gradient, signal: controller.signal };
        await criticalSharpness({ ...line, onEvaluation: () => group.rank === 1 && controller.abort() }).catch(told);
        await criticalSharpness(line).catch(told);
        await hessianEigenvalues({ model, batch, signal: controller.signal }).catch(told);
        await optimizer(controller.signal);
        await model.loss(batch);
        console.error("together");
        async function optimizer(signal) {
          const { AdamW } = await import("critical-sharpness");
          const adamw = new AdamW(model, { learningRate: 0.1 });
          await adamw.accumulate(gradient, { signal });
          await adamw.accumulateFrom(batch, { signal }).catch(told);
          await adamw.step({ signal });
        }`),
    );
    expect(stderr.match(/^rank 1: ABORT_ERR/gm)).toHaveLength(4);
    expect(stderr.match(/^CANCELLED/gm)).toHaveLength(4);
    expect(stderr.match(/together$/gm)).toHaveLength(2);
    expect(code).toBe(0);
  });

  test("a command that fails ends the others, and its code is the launcher's", {
    timeout: 60_000,
  }, async () => {
    const place = path.join(folder, "never");
    const { code } = await launch(3, [
      "-e",
      `if (process.env.RANK === "2") process.exit(9);
       setTimeout(() => require("fs").writeFileSync(${JSON.stringify(place)}, ""), 30_000)`,
    ]);
    expect(code).toBe(9);
    expect(existsSync(place)).toBe(false);
  });

  test("one whose launcher has ended before it joins does not wait for others", {
    timeout: 60_000,
  }, async () => {
    const { pid } = spawnSync(process.execPath, ["-e", ""]);
    const place = { RANK: "1", WORLD_SIZE: "2", MASTER_ADDR: "127.0.0.1", MASTER_PORT: "9" };
    const { code, stderr } = await run(script(""), { ...place, [launcherVariable]: String(pid) });
    expect(code).toBe(1);
    expect(stderr).toContain(
      `Expected the launcher of this rank, process ${pid}, but received none: it has ended`,
    );
  });

  test("the last one that ends counts as any other", { timeout: 60_000 }, async () => {
    const body = `setTimeout(() => process.exit(process.env.RANK === "0" ? 7 : 0), process.env.RANK === "0" ? 500 : 0)`;
    expect(await launch(2, ["-e", body])).toMatchObject({ code: 7 });
  });

  test("what is not for ranks is refused by name", { timeout: 60_000 }, async () => {
    const { code, stderr } = await launch(
      2,
      script(`const { Muon, Direction } = await import("critical-sharpness");
        try { new Muon(model, { learningRate: 1 }) } catch (error) { told(error) }
        const direction = await Direction.random(model, { seed: 1 });
        await model.loss(batch, { perturbation: { direction, learningRate: 1, mode: "in-place" } }).catch(told);`),
    );
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /Expected an update rule that treats every number by itself for ".+" of a model over 2 ranks/,
    );
    expect(stderr).toMatch(
      /Expected a model in one process for the perturbation "in-place" but received one over 2 ranks/,
    );
  });
});

test("doctor --ranks says how long ranks take to agree, and how weights come from one to another", {
  timeout: 60_000,
}, async () => {
  const { code, stdout } = await run([command, "doctor", "--ranks", "2", "--json"]);
  expect(code).toBe(0);
  expect(JSON.parse(stdout).ranks).toEqual({
    size: 2,
    agree: expect.any(Number),
    transfers: [{ device: "cpu", rate: expect.any(Number), shared: true, problem: null }],
  });
});
