import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { AbortError, CriticalSharpnessError } from "../../../lib/errors.js";
import { readSafetensorsHeader } from "../../../lib/files/index.js";
import { type ProgramOptions, readProgram } from "../../../lib/models/programs/program.js";
import type {
  NativeProgramGraph,
  NativeProgramNode,
  ReadProgram,
} from "../../../lib/torch/program-description.js";
import { type Edits, edited, fixture, type Json, type Member, unzip, zip } from "./archives.js";

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

// ---- what is refused ---------------------------------------------------------------------------------------------------

let count = 0;
function write(bytes: Buffer): string {
  const file = path.join(folder, `${count++}.pt2`);
  writeFileSync(file, bytes);
  return file;
}

async function refusal(bytes: Buffer, given: Partial<ProgramOptions> = {}): Promise<string> {
  const file = write(bytes);
  const error = await readProgram(file, { ...options, ...given }).then(
    () => "read it",
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CriticalSharpnessError);
  expect((error as CriticalSharpnessError).code).toBe("ERR_MODEL_FILE");
  const { message } = error as CriticalSharpnessError;
  expect(message).toMatch(/^Expected .+ but received .+/s);
  expect(message).toContain(file);
  expect(message.length).toBeLessThan(600 + 2 * file.length);
  return message;
}

type Refusals = [what: string, edits: Edits & { of?: string }, message: RegExp][];
const graphOf = (model: Json) => model.graph_module.graph;
const nodeOf = (model: Json, i = 0) => graphOf(model).nodes[i];
const specsOf = (model: Json) => model.graph_module.signature;
const first = (config: Json) => Object.values(config)[0] as Json;
const meta = (change: (tensor: Json) => void) => ({
  weights: (config: Json) => change(first(config).tensor_meta),
});
const inputMeta = (change: (tensor: Json) => void) => ({
  model: (model: Json) => change(graphOf(model).tensor_values.inputs),
});
const argument = (arg: Json) => ({
  model: (model: Json) => {
    nodeOf(model).inputs[0].arg = arg;
  },
});
const member = (ending: string, change: (member: Member) => void) => ({
  members: (members: Member[]) => {
    change(members.find((one) => one.name.endsWith(ending)) as Member);
    return members;
  },
});

const refusals: Record<string, Refusals> = {
  "archives that are none of today's torch.export.save": [
    [
      "AOTInductor",
      { members: (all) => [...all, { name: "mlp/data/aotinductor/model/a.so", bytes: Buffer.alloc(1) }] },
      /AOTInductor/,
    ],
    [
      "another format",
      member("/archive_format", (one) => (one.bytes = Buffer.from("zip"))),
      /archive_format/,
    ],
    [
      "a mark that is long",
      member("/archive_format", (one) => (one.bytes = Buffer.alloc(65))),
      /at most 64 bytes .* one of 65/,
    ],
    ["big-endian", member("/byteorder", (one) => (one.bytes = Buffer.from("big"))), /byteorder is "big"/],
    [
      "no model.json",
      { members: (all) => all.filter((one) => !one.name.endsWith("model.json")) },
      /PyTorch 2\.9 or later.*without models\/model\.json/,
    ],
    [
      "another program's name",
      member("model.json", (one) => (one.name = "mlp/models/actor.json")),
      /but with actor/,
    ],
    [
      "before 2.8",
      {
        members: () => [
          { name: "version", bytes: Buffer.from("8.8") },
          { name: "serialized_exported_program.json", bytes: Buffer.from("{}") },
        ],
      },
      /before 2\.8/,
    ],
    [
      "2.8",
      { members: (all) => [...all, { name: "mlp/data/weights/model.pt", bytes: Buffer.alloc(1) }] },
      /PyTorch 2\.8, whose weights are pickled/,
    ],
    [
      "TorchScript",
      {
        members: () =>
          ["data.pkl", "constants.pkl", "code/__torch__.py"].map((name) => ({
            name: `m/${name}`,
            bytes: Buffer.alloc(1),
          })),
      },
      /TorchScript/,
    ],
    [
      "torch.save",
      { members: () => [{ name: "m/data.pkl", bytes: Buffer.alloc(1) }] },
      /an archive of torch\.save/,
    ],
    ["nothing", { members: () => [] }, /an empty archive/],
    ["another", { members: () => [{ name: "m/a.txt", bytes: Buffer.alloc(1) }] }, /another zip archive/],
    [
      "two folders",
      { members: (all) => [...all, { name: "other/a", bytes: Buffer.alloc(1) }] },
      /"other\/a" beside the folder "mlp"/,
    ],
  ],
  "zip archives that are damaged": [
    ["compressed", member("model.json", (one) => (one.method = 8)), /which is compressed/],
    ["encrypted", member("model.json", (one) => Object.assign(one, { flags: 1 })), /encrypted|damaged/],
    [
      "a name twice",
      { members: (all) => [...all, { name: "mlp/byteorder", bytes: Buffer.from("little") }] },
      /once for .* twice/,
    ],
    [
      "a name that leads out",
      { members: (all) => [...all, { name: "mlp/../../a", bytes: Buffer.alloc(1) }] },
      /damaged one: invalid relative path/,
    ],
    [
      "an absolute name",
      { members: (all) => [...all, { name: "/etc/passwd", bytes: Buffer.alloc(1) }] },
      /absolute path/,
    ],
    ["members that overlap", member("weight_1", (one) => (one.claims = { offset: 0 })), /bytes of their own/],
    ["a member beyond the end", member("weight_1", (one) => (one.claims = { size: 2 ** 31 })), /damaged one/],
    [
      "an offset beyond the end",
      member("weight_1", (one) => (one.claims = { offset: 2 ** 31 })),
      /beyond its end/,
    ],
  ],
  "stored tensors": [
    [
      "pickled",
      { weights: (config) => (first(config).use_pickle = true) },
      /"net\.0\.weight", which is pickled/,
    ],
    ["without a description", { weights: (config) => (first(config).tensor_meta = null) }, /pickled/],
    [
      "that are missing",
      { weights: (config) => delete config["net.0.bias"] },
      /a tensor "net\.0\.bias" in data/,
    ],
    [
      "whose member is missing",
      { weights: (config) => (first(config).path_name = "weight_99") },
      /weight_99/,
    ],
    ["elsewhere", { weights: (config) => (first(config).path_name = "../../byteorder") }, /without data/],
    ["with a great stride", meta((one) => (one.strides[0].as_int = 10 ** 12)), /bytes of "net\.0\.weight"/],
    [
      "whose extent is beyond 64 bits",
      meta((one) => {
        one.strides[0].as_int = 2 ** 52;
        one.sizes[0].as_int = 2 ** 52;
      }),
      /Expected \d{30,} bytes/,
    ],
    ["with a negative stride", meta((one) => (one.strides[0].as_int = -1)), /whole numbers/],
    ["with a negative size", meta((one) => (one.sizes[0].as_int = -8)), /whole numbers/],
    ["with a negative offset", meta((one) => (one.storage_offset.as_int = -1)), /whole numbers/],
    ["with an offset beyond the end", meta((one) => (one.storage_offset.as_int = 1)), /388 bytes .* 384/],
    ["with a size of 2⁶³", meta((one) => (one.sizes[0].as_int = 2 ** 63)), /whole numbers/],
    [
      "with a symbol for a size",
      meta((one) => (one.sizes[0] = { as_expr: { expr_str: "s0" } })),
      /but received an expression/,
    ],
    ["with strides missing", meta((one) => one.strides.pop()), /2 strides .* received 1/],
    ["that are expanded", meta((one) => (one.strides[0].as_int = 0)), /clone\(\)/],
    ["sparse", meta((one) => (one.layout = 1)), /layout sparse_coo/],
    ["complex", meta((one) => (one.dtype = 10)), /in complex64/],
    ["in float8", meta((one) => (one.dtype = 29)), /float8_e4m3fn/],
    ["of an unknown dtype", meta((one) => (one.dtype = 99)), /dtype 99/],
  ],
  parameters: [
    [
      "in bfloat16",
      meta((one) => (one.dtype = 13)),
      /float32 or float64 .* "net\.0\.weight" in bfloat16.*model\.float/,
    ],
    [
      "in integers",
      meta((one) => {
        one.dtype = 5;
        one.sizes[0].as_int = 6;
      }),
      /in int64/,
    ],
    [
      "of two dtypes",
      meta((one) => {
        one.dtype = 8;
        one.sizes[0].as_int = 6;
      }),
      /of one dtype .* in float64 and .* in float32/,
    ],
    [
      "transposed",
      meta((one) => {
        one.strides[0].as_int = 1;
        one.strides[1].as_int = 12;
      }),
      /contiguous\(\)/,
    ],
    [
      "that share some elements",
      {
        weights: (config) => {
          config["net.0.bias"].path_name = "weight_0";
          config["net.0.bias"].tensor_meta.storage_offset.as_int = 8;
        },
      },
      /"net\.0\.bias", which shares some/,
    ],
    [
      "tied and half frozen",
      {
        of: "tied",
        weights: (config) => {
          config["head.weight"].tensor_meta.requires_grad = false;
        },
      },
      /all are frozen, or none/,
    ],
    [
      "shared with a buffer",
      { of: "cnn-eval", weights: (config) => (config["norm.running_mean"].path_name = "weight_1") },
      /which shares some/,
    ],
  ],
  signatures: [
    [
      "a custom object",
      {
        model: (model) =>
          (specsOf(model).input_specs[0] = { custom_obj: { arg: {}, custom_obj_name: "queue" } }),
      },
      /a custom_obj/,
    ],
    ["a token", { model: (model) => (specsOf(model).input_specs[0] = { token: { arg: {} } }) }, /a token/],
    [
      "an integer that varies",
      {
        model: (model) => {
          const spec = specsOf(model).input_specs.at(-1);
          spec.user_input.arg = { as_sym_int: { as_name: "n" } };
        },
      },
      /tensors as forward's arguments .* kind sym_int/,
    ],
    ["too few", { model: (model) => specsOf(model).input_specs.pop() }, /8 inputs .* one of 7/],
    [
      "in another order",
      { model: (model) => specsOf(model).input_specs.reverse() },
      /in order .* "targets" in place 0/,
    ],
    [
      "a write to an input",
      {
        model: (model) =>
          (specsOf(model).output_specs[0] = { user_input_mutation: { arg: {}, user_input_name: "inputs" } }),
      },
      /user_input_mutation/,
    ],
    [
      "a write to a parameter",
      { model: (model) => (specsOf(model).output_specs[0] = { parameter_mutation: {} }) },
      /parameter_mutation/,
    ],
    ["no outputs", { model: (model) => (specsOf(model).output_specs = []) }, /graph's 1 outputs/],
  ],
  inputs: [
    [
      "a size that is an expression",
      inputMeta((one) => (one.sizes[0] = { as_expr: { expr_str: "Mul(Integer(2), Symbol('s24'))" } })),
      /Mul\(Integer\(2\), Symbol\('s24'\)\) along axis 0 of "inputs": .*Dim\.STATIC/,
    ],
    ["a negative size", inputMeta((one) => (one.sizes[1].as_int = -8)), /-8 along axis 1/],
    ["complex", inputMeta((one) => (one.dtype = 10)), /input "inputs" in complex64/],
    ["sparse", inputMeta((one) => (one.layout = 2)), /input "inputs" with the layout sparse_csr/],
    [
      "without sizes",
      { model: (model) => delete graphOf(model).tensor_values.inputs },
      /"inputs" in tensor_values/,
    ],
    [
      "an empty range",
      { model: (model) => ((Object.values(model.range_constraints)[0] as Json).max_val = 1) },
      /from 2 to 1/,
    ],
  ],
  graphs: [
    [
      "a value that nobody defines",
      argument({ as_tensor: { name: "nobody" } }),
      /"nobody", an argument of torch\.ops\.aten\.linear/,
    ],
    [
      "a value before it is defined",
      argument({ as_tensor: { name: "gelu" } }),
      /defined before they are read/,
    ],
    [
      "a value twice",
      { model: (model) => (nodeOf(model).outputs[0].as_tensor.name = "inputs") },
      /"inputs" a second time/,
    ],
    ["__proto__", argument({ as_tensor: { name: "__proto__" } }), /"__proto__"/],
    [
      "complex numbers",
      argument({ as_complex: { real: 0, imag: 1 } }),
      /kind complex of torch\.ops\.aten\.linear\.default \(\w+\.py, line \d+\)/,
    ],
    ["operators as arguments", argument({ as_operator: "torch.ops.aten.add" }), /kind operator/],
    ["custom objects", argument({ as_custom_obj: { name: "a", class_fqn: "b" } }), /kind custom_obj/],
    ["two kinds at once", argument({ as_int: 1, as_none: true }), /kind int and as_none/],
    ["no kind", argument({}), /kind nothing/],
    [
      "integers that JSON cannot hold",
      argument({ as_int: 2 ** 60 }),
      /an integer \(up to 2⁵³.*1152921504606847000/,
    ],
    ["halves as integers", argument({ as_int: 0.5 }), /an integer/],
    ["words as numbers", argument({ as_float: "Infinite" }), /a number/],
    ["a sparse layout", argument({ as_layout: 1 }), /sparse_coo/],
    ["a complex dtype", argument({ as_scalar_type: 9 }), /complex32/],
    ["a memory format of the future", argument({ as_memory_format: 9 }), /the code 9/],
    [
      "an argument twice",
      { model: (model) => nodeOf(model).inputs.push(nodeOf(model).inputs[0]) },
      /"input" twice of/,
    ],
    [
      "a list of words as a result",
      { model: (model) => (nodeOf(model).outputs[0] = { as_strings: ["a"] }) },
      /a result of the kind strings/,
    ],
    [
      "graphs without end",
      {
        model: (model) => {
          let inner: Json = { inputs: [], outputs: [], nodes: [], tensor_values: {} };
          for (let depth = 0; depth < 40; depth++) {
            const node = {
              target: "a",
              inputs: [{ name: "", arg: { as_graph: { graph: inner } } }],
              outputs: [],
            };
            inner = { ...inner, nodes: [node] };
          }
          graphOf(model).nodes.unshift(...inner.nodes);
        },
      },
      /graphs at most 16 deep/,
    ],
  ],
  "model.json": [
    [
      "another version",
      { model: (model) => (model.schema_version.major = 9) },
      /version 8 .* version 9\.\d+/,
    ],
    ["no version", { model: (model) => delete model.schema_version }, /model\.schema_version/],
    [
      "not JSON",
      member("/model.json", (one) => (one.bytes = Buffer.from("{"))),
      /JSON in models\/model\.json/,
    ],
    [
      "another value",
      member("/model.json", (one) => (one.bytes = Buffer.from("3"))),
      /Expected an? .* for model but received 3/,
    ],
    [
      "nested without end",
      member("/model.json", (one) => (one.bytes = Buffer.from("[".repeat(200_000) + "]".repeat(200_000)))),
      /for model/,
    ],
    ["no target", { model: (model) => delete nodeOf(model).target }, /nodes\[0\]\.target/],
    ["no arguments", { model: (model) => (nodeOf(model).inputs = "none") }, /nodes\[0\]\.inputs .*linear/],
  ],
};

describe.each(Object.entries(refusals))("%s", (_, list) => {
  it.each(list)("are refused: %s", async (_what, { of = "mlp", ...edits }, message) => {
    expect(await refusal(edited(of, edits))).toMatch(message);
  });
});

describe("what forward returns", () => {
  it.each([
    ["sum-and-weight", "loss", /the loss alone.*2 outputs/],
    ["sum-and-weight", "mean-of-rows", /the mean of the rows' losses.*2 outputs/],
    ["mlp", "sum-and-weight", /two numbers.*1 output$/],
    ["rows", "mean-of-rows", /one number.*a tensor of 1 axes/],
  ] as const)("%s is refused for %s", async (name, reduction, message) => {
    expect(await refusal(readFileSync(fixture(name)), { reduction })).toMatch(message);
  });

  it.each([
    ["logits", (meta: Json) => meta.sizes.push({ as_int: 3 }, { as_int: 3 }), /a tensor of 2 axes/],
    ["classes", (meta: Json) => (meta.dtype = 5), /a tensor in int64/],
  ])("%s are no loss", async (_, change, message) => {
    const model = (json: Json) => change(graphOf(json).tensor_values.cross_entropy_loss);
    expect(await refusal(edited("mlp", { model }))).toMatch(message);
  });

  it.each([{ as_none: true }, { as_int: 3 }])("%j is no loss", async (output) => {
    const model = (json: Json) => (graphOf(json).outputs[0] = output);
    expect(await refusal(edited("mlp", { model }))).toMatch(/the loss alone/);
  });
});

describe("a file", () => {
  it("that PyTorch 2.8 wrote is refused, with what writes it anew", async () => {
    expect(await refusal(readFileSync(fixture("refused/2.8.0")))).toMatch(
      /PyTorch 2\.8, whose weights are pickled: in a later one torch\.export\.save\(torch\.export\.load\(file\), file\)/,
    );
  });

  it("that is cut short anywhere is refused", async () => {
    const bytes = readFileSync(fixture("mlp"));
    const file = write(bytes);
    for (let length = bytes.length - 1; length >= 0; length -= 97) {
      truncateSync(file, length);
      await expect(readProgram(file, options)).rejects.toMatchObject({
        code: "ERR_MODEL_FILE",
        message: expect.stringMatching(/^Expected .* but received /),
      });
    }
  });

  it.each([
    ["a pickle", Buffer.from([0x80, 0x02, 0x7d])],
    ["a web page", Buffer.from("<!doctype html>")],
    ["another kind of file", Buffer.from("hello")],
    ["another kind of file", Buffer.alloc(0)],
    ["Git LFS", Buffer.from("version https://git-lfs.github.com/spec/v1\n")],
  ])("that is %s is named", async (what, bytes) => {
    expect(await refusal(bytes)).toContain(what);
  });

  it("in which names are those of JavaScript's own is refused, or read as any other", async () => {
    for (const name of ["__proto__", "constructor", "toString"]) {
      const rename = (one: Member) => {
        one.bytes = Buffer.from(one.bytes.toString().replaceAll('"targets"', JSON.stringify(name)));
      };
      const file = write(edited("mlp", member("/model.json", rename)));
      const inputs = await readProgram(file, options).then(
        ({ description }) => description.inputs.map((one) => one.name),
        (error: Error) => error.message,
      );
      if (name === "__proto__") expect(inputs).toMatch(/"__proto__" in tensor_values/);
      else expect(inputs).toEqual(["inputs", name]);
    }
  });

  it("that leads beyond all integers is refused", async () => {
    const bytes = zip(unzip(readFileSync(fixture("mlp"))), { wide: true });
    const locator = bytes.lastIndexOf("PK\x06\x07", undefined, "latin1");
    const record = bytes.lastIndexOf("PK\x06\x06", undefined, "latin1");
    for (const at of [locator + 8, record + 48]) {
      const changed = Buffer.from(bytes);
      changed.writeBigUInt64LE(2n ** 63n + 5n, at);
      expect(await refusal(changed)).toMatch(/beyond its end/);
    }
  });

  it("that is missing, or a folder, is named", async () => {
    for (const file of [path.join(folder, "none.pt2"), folder])
      await expect(readProgram(file, options)).rejects.toMatchObject({ code: "ERR_FILE" });
  });
});
