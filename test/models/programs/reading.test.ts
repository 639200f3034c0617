import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { AbortError } from "../../../lib/errors.js";
import { readSafetensorsHeader } from "../../../lib/files/index.js";
import { type ProgramOptions, readProgram } from "../../../lib/models/programs/program.js";
import type {
  NativeProgramGraph,
  NativeProgramNode,
  ReadProgram,
} from "../../../lib/torch/program-description.js";
import { fixture, type Member, unzip, zip } from "./archives.js";

const folder = mkdtempSync(path.join(tmpdir(), "programs-"));
afterAll(() => rmSync(folder, { recursive: true }));

const options: ProgramOptions = { reduction: "loss", dropoutSeed: null };
// Those of other versions of PyTorch too, in producers/.
const names = readdirSync(path.dirname(fixture("mlp")), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".pt2") && !name.startsWith("refused"))
  .map((name) => name.slice(0, -".pt2".length).replaceAll(path.sep, "/"));
const companion = (name: string, ending: string) => fixture(name).replace(/\.pt2$/, ending);

async function read(name: string, given: Partial<ProgramOptions> = {}): Promise<ReadProgram> {
  const { metadata } = await readSafetensorsHeader(companion(name, ".expected.safetensors"));
  return readProgram(fixture(name), {
    ...options,
    reduction: metadata.reduction as ProgramOptions["reduction"],
    ...given,
  });
}

/** Of what node a graph and those within it have, each with what it knows of the values so far. */
function* nodesOf(graph: NativeProgramGraph): Generator<NativeProgramNode> {
  for (const node of graph.nodes) {
    yield node;
    for (const { value } of node.arguments) if (value.kind === "graph") yield* nodesOf(value.value);
  }
}

/** That each value has a number of its own, and is there before it is read. */
function checkSlots(graph: NativeProgramGraph): void {
  const there = new Set<number>();
  const define = (slot: number) => {
    if (slot === -1) return;
    expect(slot).toBeLessThan(graph.slots);
    expect(there.has(slot)).toBe(false);
    there.add(slot);
  };
  const use = (slot: number) => slot === -1 || expect(there.has(slot)).toBe(true);
  for (const slot of graph.inputs) define(slot);
  for (const { arguments: given, outputs } of graph.nodes) {
    for (const { value } of given) {
      if (value.kind === "slot") use(value.value);
      if (value.kind === "slots") value.value.forEach(use);
      if (value.kind === "ints") value.slots?.forEach(use);
      if (value.kind === "graph") checkSlots(value.value);
    }
    outputs.flat().forEach(define);
  }
  graph.outputs.forEach(use);
}

describe("a program of torch.export", () => {
  it.each(names)("%s has what PyTorch says of it", async (name) => {
    const { description, weights } = await read(name);
    const { parameters, inputs, symbols, graph, feeds, stored } = description;
    checkSlots(graph);
    expect(graph.inputs.length).toBe(feeds.length);
    const counts = { parameter: parameters.length, stored: stored.length, input: inputs.length };
    for (const kind of ["parameter", "stored", "input"] as const)
      expect(new Set(feeds.flatMap((feed) => (feed.kind === kind ? feed.index : [])))).toEqual(
        new Set(Array.from({ length: counts[kind] }, (_, i) => i)),
      );
    const { tensors, metadata } = await readSafetensorsHeader(companion(name, ".expected.safetensors"));
    const trainable = parameters.filter((one) => one.trainable);
    expect(Object.fromEntries(trainable.map((one) => [`gradient.${one.name}`, one.shape]))).toEqual(
      Object.fromEntries(
        [...tensors.values()].filter((t) => t.name.startsWith("gradient.")).map((t) => [t.name, t.shape]),
      ),
    );
    for (const tied of Object.keys(JSON.parse(metadata.tied as string)))
      expect(parameters.map((one) => one.name)).not.toContain(tied);
    expect(weights.length).toBe(parameters.length);
    const batch = await readSafetensorsHeader(companion(name, ".safetensors"));
    const sizes = symbols.map((): Set<number> => new Set());
    expect(inputs.map((one) => one.name).toSorted()).toEqual([...batch.tensors.keys()].toSorted());
    for (const input of inputs) {
      const tensor = batch.tensors.get(input.name);
      expect(input.dtype).toBe(tensor?.dtype);
      for (const [axis, size] of input.sizes.entries())
        if (typeof size === "number") expect(size).toBe(tensor?.shape[axis]);
        else sizes[size.symbol]?.add(tensor?.shape[axis] as number);
    }
    for (const [i, { least, most }] of symbols.entries()) {
      expect(sizes[i]?.size).toBe(1);
      for (const size of sizes[i] ?? []) expect(least <= size && size <= most).toBe(true);
    }
    expect(graph.outputs.length).toBe(description.reduction === "sum-and-weight" ? 2 : 1);
    for (const { where } of nodesOf(graph)) expect(where).toMatch(/^$|^[\w.]+, line \d+$/);
    expect([...nodesOf(graph)].some(({ where }) => where !== "")).toBe(true);
  });

  it("has its weights where it says", async () => {
    const bytes = readFileSync(fixture("mlp"));
    const members = unzip(bytes);
    const { weights, description } = await read("mlp");
    for (const [i, { path: file, byteOffset, dtype }] of weights.entries()) {
      expect([file, dtype]).toEqual([fixture("mlp"), "float32"]);
      const { bytes: stored } = members.find((one) => one.name.endsWith(`/weight_${i}`)) as Member;
      const length = 4 * (description.parameters[i]?.shape.reduce((a, b) => a * b, 1) as number);
      expect(bytes.subarray(byteOffset, byteOffset + length)).toEqual(stored);
    }
  });

  const argumentsOf = async (name: string, target: RegExp, argument: string) =>
    [...nodesOf((await read(name)).description.graph)].flatMap((node) =>
      target.test(node.target)
        ? node.arguments.flatMap((one) => (one.name === argument ? one.value : []))
        : [],
    );

  it("has tied parameters once, and frozen ones among them", async () => {
    const tied = (await read("tied")).description;
    const index = tied.parameters.findIndex((one) => one.name === "embed.weight");
    expect(tied.feeds.filter((feed) => feed.kind === "parameter" && feed.index === index).length).toBe(2);
    const { parameters } = (await read("options")).description;
    expect(parameters.filter((one) => !one.trainable).map((one) => one.name)).toEqual(["a.weight", "a.bias"]);
    const dpo = (await read("dpo")).description.parameters;
    expect(dpo.filter((one) => !one.trainable).length).toBe(dpo.length / 2);
  });

  it("has no input for an argument that export fixed", async () => {
    const { inputs, feeds, stored } = (await read("options")).description;
    expect(inputs.map((one) => one.name)).toEqual(["inputs", "targets", "unused"]);
    expect(feeds.filter((feed) => feed.kind === "input").length).toBe(3);
    expect(stored.map((one) => one.shape)).toEqual([[4], [4], [3]]);
  });

  it("has no output for what it writes to its buffers", async () => {
    const { graph } = (await read("cnn-decomposed")).description;
    expect(graph.outputs.length).toBe(1);
  });

  it("has numbers beyond those of JSON", async () => {
    expect(await argumentsOf("masked-attention", /masked_fill/, "value")).toContainEqual({
      kind: "float",
      value: Number.NEGATIVE_INFINITY,
    });
    const ends = await argumentsOf("masked-attention", /slice/, "end");
    expect(ends).toContainEqual({ kind: "int", value: 2 ** 63 });
  });

  it("has lists of tensors with none among them, and of integers with sizes among them", async () => {
    const indices = await argumentsOf("masked-attention", /index\.Tensor/, "indices");
    expect(indices).toContainEqual({ kind: "slots", value: [-1, expect.any(Number)] });
    const sizes = await argumentsOf("lstm-dropout", /zeros/, "size");
    expect(sizes[0]).toMatchObject({ kind: "ints", value: [2, 0, 8], slots: [-1, expect.any(Number), -1] });
  });

  it("has graphs in its nodes", async () => {
    for (const [name, target, count] of [
      ["cond", "torch.ops.higher_order.cond", 2],
      ["autocast", "torch.ops.higher_order.wrap_with_autocast", 1],
      ["dpo", "torch.ops.higher_order.wrap_with_set_grad_enabled", 1],
    ] as const) {
      const node = (await read(name)).description.graph.nodes.find((one) => one.target === target);
      expect(node?.arguments.filter(({ value }) => value.kind === "graph").length).toBe(count);
      expect(node?.arguments.every((one) => one.name === "")).toBe(true);
    }
  });

  it("shares two sizes, and bounds them", async () => {
    const { symbols, inputs } = (await read("gcn")).description;
    expect(symbols.length).toBe(2);
    expect(inputs.map((one) => one.sizes)).toEqual([[{ symbol: 0 }, 4], [2, { symbol: 1 }], [{ symbol: 0 }]]);
    for (const { least, most } of symbols) expect(least >= 0 && most > least).toBe(true);
  });

  it("is read for a reduction and a seed", async () => {
    expect((await read("mlp", { reduction: "mean-of-rows", dropoutSeed: 7 })).description).toMatchObject({
      reduction: "mean-of-rows",
      dropoutSeed: 7,
    });
  });

  it("is read in ZIP64 too, and beside members that are not asked for", async () => {
    const members = unzip(readFileSync(fixture("mlp")));
    const file = path.join(folder, "wide.pt2");
    members.push({ name: "mlp/extra/notes", bytes: Buffer.alloc(9), method: 8 });
    members.push({ name: "mlp/extra/", bytes: Buffer.alloc(0) });
    writeFileSync(file, zip(members, { wide: true, comment: "packed anew" }));
    const { description } = await readProgram(file, options);
    expect(description).toEqual((await read("mlp")).description);
  });
});

describe("a reader that is told to stop", () => {
  it("stops before it begins and in between", async () => {
    await expect(readProgram(fixture("t5"), options, AbortSignal.abort())).rejects.toThrow(AbortError);
    const controller = new AbortController();
    const reading = readProgram(fixture("t5"), options, controller.signal);
    setImmediate(() => controller.abort());
    await expect(reading).rejects.toThrow(AbortError);
  });
});
