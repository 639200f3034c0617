import { cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { writeSafetensors } from "../../lib/files/index.js";
import { type Described, expectedFiles, fixture, p, torchArchive } from "../files/torch/helpers.js";
import { fixture as program } from "../models/programs/archives.js";
import { command, temporaryFolder } from "./helpers.js";

const folder = temporaryFolder();
const golden = path.join(import.meta.dirname, "../golden/cases/gpt2-tied");

interface Shown {
  kind: string;
  facts: Record<string, unknown>;
  tensors: { name: string; dtype: string; shape: number[]; sha256?: string }[];
  values: { name: string; value: unknown }[];
  parts: (Shown & { path: string; refused?: string })[];
  notOpened: { file: string; reason: string }[];
}

async function inspect(place: string, ...flags: string[]): Promise<Shown> {
  const { code, stdout, stderr } = await command(["inspect", place, "--json", ...flags]);
  expect(stderr.replace(/^tensor \d+ .*\n/gm, "")).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout) as Shown;
}

/** As make_files.py has tensors. */
const tensorsOf = (described: Described[]) =>
  described.flatMap(([at, { tensor }]) => (tensor ? [{ name: at.join("."), ...(tensor as object) }] : []));

async function writeWeights(file: string): Promise<void> {
  const bytes = Float32Array.of(1, 2, 3, 4).buffer;
  const read = async (offset: number, length: number) => bytes.slice(offset, offset + length);
  await writeSafetensors(file, [{ name: "w", dtype: "float32", shape: [2, 2], read }]);
}

describe("inspect", () => {
  it.each(["adamw.pt", "odd.pt", "dtypes.pt"])("says what PyTorch has in %s", async (name) => {
    const { kind, tensors } = await inspect(fixture(name), "--sha256");
    expect(kind).toBe("a file of torch.save");
    expect(tensors).toEqual(tensorsOf(expectedFiles.files[name] as Described[]));
  });

  it("says values, and what is none of data", async () => {
    const { values } = await inspect(fixture("adamw.pt"));
    expect(values).toContainEqual({ name: "param_groups.0.betas", value: [0.9, 0.999] });
    expect(values).toContainEqual({ name: "param_groups.0.foreach", value: null });
    const { values: others, tensors } = await inspect(fixture("opaque.pt"));
    expect(others[0]).toEqual({ name: "namespace", value: { notRead: "argparse.Namespace" } });
    expect(tensors.map(({ name }) => name)).toEqual(["weight"]);
  });

  it("puts the parts of a distributed checkpoint together", async () => {
    const { kind, tensors } = await inspect(fixture("ranks-3"), "--sha256");
    expect(kind).toBe("a checkpoint of torch.distributed");
    const all = Object.entries(expectedFiles.checkpoints["ranks-3"] as Record<string, Described[]>);
    const expected = all.flatMap(([name, described]) =>
      tensorsOf(described).map((tensor) => ({ ...tensor, name })),
    );
    const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
    expect(tensors.toSorted(byName)).toEqual(expected.toSorted(byName));
  });

  it("goes through a checkpoint of the Trainer, and opens nothing that need not be", async () => {
    const trainer = path.join(folder, "checkpoint-3");
    mkdirSync(trainer);
    cpSync(fixture("adamw.pt"), path.join(trainer, "optimizer.pt"));
    cpSync(fixture("legacy.pt"), path.join(trainer, "scheduler.pt"));
    writeFileSync(path.join(trainer, "training_args.bin"), "no pickle at all");
    writeFileSync(path.join(trainer, "rng_state_0.pth"), "none either");
    writeFileSync(path.join(trainer, "config.json"), '{ "model_type": "llama" }');
    const state = { global_step: 3, log_history: [{ step: 2, loss: 1.5, learning_rate: 0.1 }, { step: 3 }] };
    writeFileSync(path.join(trainer, "trainer_state.json"), JSON.stringify(state));
    await writeWeights(path.join(trainer, "model.safetensors"));
    const { code, stdout, stderr } = await command(["inspect", trainer, "--json"]);
    const { kind, facts, parts, notOpened } = JSON.parse(stdout) as Shown;
    expect(kind).toBe("a checkpoint of transformers' Trainer");
    expect(facts).toEqual({ model_type: "llama", global_step: 3, last_logged: state.log_history[0] });
    expect(parts.map((part) => path.basename(part.path))).toEqual([
      "model.safetensors",
      "optimizer.pt",
      "scheduler.pt",
    ]);
    expect(notOpened.map(({ file }) => file)).toEqual(["rng_state_0.pth", "training_args.bin"]);
    // One part is refused: all else is said, and the command has failed.
    expect(parts[2]?.refused).toContain("earlier PyTorch");
    expect(stderr).toBe(`error: ${parts[2]?.refused}\n`);
    expect(code).toBe(1);
  });

  it("knows adapters, models, programs and tokens", async () => {
    const adapter = path.join(folder, "adapter");
    mkdirSync(adapter);
    writeFileSync(path.join(adapter, "adapter_config.json"), '{ "peft_type": "LORA", "r": 4 }');
    await writeWeights(path.join(adapter, "adapter_model.safetensors"));
    expect(await inspect(adapter)).toMatchObject({
      kind: "a PEFT adapter",
      facts: { peft_type: "LORA", r: 4 },
    });

    const model = await inspect(golden);
    expect(model).toMatchObject({ kind: "a model", facts: { model_type: "gpt2" } });
    expect(model.parts.some(({ tensors }) => tensors.length > 10)).toBe(true);

    const { kind, facts, tensors } = await inspect(program("mlp"), "--sha256");
    expect(kind).toBe("a program of torch.export");
    expect(facts.reduction).toBe("loss");
    expect(tensors[0]?.sha256).toMatch(/^[0-9a-f]{64}$/);

    const tokens = path.join(folder, "tokens.bin");
    writeFileSync(tokens, Buffer.from(Uint16Array.of(5, 300, 7).buffer));
    expect(await inspect(tokens)).toMatchObject({ kind: "tokens", facts: { tokens: 3, dtype: "uint16" } });
  });

  it("finds the checkpoint in OLMo-core's folder", async () => {
    const olmo = path.join(folder, "step10");
    mkdirSync(olmo);
    cpSync(fixture("ranks-1"), path.join(olmo, "model_and_optim"), { recursive: true });
    writeFileSync(path.join(olmo, ".metadata.json"), "{}");
    writeFileSync(path.join(olmo, "config.json"), "{}");
    const { kind, parts } = await inspect(olmo);
    expect(kind).toBe("a checkpoint of OLMo-core");
    expect(parts[0]?.tensors.length).toBeGreaterThan(5);
  });

  it("prints a table for people", async () => {
    const { stdout } = await command(["inspect", fixture("odd.pt")]);
    expect(stdout).toContain("a file of torch.save: 11 tensors");
    expect(stdout).toMatch(/^ {2}parameter {3}float32 {2}\[3, 2\]$/m);
  });

  it.each([
    ["a pickle that calls", () => torchArchive(p.of(p.call(p.global("os", "system"), p.text("touch ran"))))],
    ["another file", () => Buffer.from("just text")],
    ["a part of a zip", () => torchArchive(p.of(p.int(1))).subarray(0, 200)],
  ] as const)("refuses %s in one sentence", async (_, bytes) => {
    const file = path.join(folder, "refused.pt");
    writeFileSync(file, bytes());
    const { code, stdout, stderr } = await command(["inspect", file]);
    expect(code).toBe(1);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^error: Expected .+ but received .+\n$/);
    expect(existsSync("ran")).toBe(false);
  });
});
