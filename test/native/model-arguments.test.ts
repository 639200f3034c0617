import { describe, expect, it } from "vitest";
import type { NativeDecoderDescription, NativeDecoderNames } from "../../lib/torch/model-description.js";
import { addon, expectAllRejected, expectRejected, noCount, noHandle } from "./misuse.js";

const n = addon();
const mlp = { kind: "mlp", layerSizes: [2, 2], activation: "gelu", loss: "mse" };
const kinds: Pick<NativeDecoderDescription, "attentionKinds" | "layers"> = {
  attentionKinds: [{ window: 0, frequencies: [1, 0.5], rotaryScale: 1 }],
  layers: [0, 0],
};
const norm: NativeDecoderDescription["norm"] = {
  kind: "rms",
  epsilon: 1e-5,
  weight: true,
  bias: false,
  weightFromOne: false,
};
const names = {
  embedding: "e",
  layers: "l.",
  finalNorm: "n",
  query: "q",
  key: "k",
  value: "v",
  attentionOutput: "o",
  up: "u",
  down: "d",
};
const decoder: NativeDecoderDescription = {
  kind: "decoder",
  vocabularySize: 16,
  width: 8,
  heads: 2,
  keyValueHeads: 1,
  headWidth: 4,
  innerWidth: 32,
  positions: 0,
  ...kinds,
  norm,
  queryKeyNorm: "head",
  parallel: false,
  queryKeyValueByHead: false,
  queryKeyValueBias: false,
  attentionOutputBias: false,
  mlpBias: false,
  headBias: false,
  storage: "out_in",
  activation: "silu",
  attentionScale: 0.5,
  attentionCap: 0,
  logitCap: 0,
  embeddingScale: 1,
  residualScale: 1,
  logitScale: 1,
  queryKeyValueBound: 0,
  initialDeviation: 0.02,
  paddingToken: -1,
  names,
};

/** All that a description may say, as the compiler knows it. */
const everyName: Required<NativeDecoderNames> = {
  ...names,
  positions: "p",
  head: "h",
  attentionNorm: "an",
  mlpNorm: "mn",
  attentionPostNorm: "ap",
  mlpPostNorm: "mp",
  queryKeyValue: "qkv",
  queryNorm: "qn",
  keyNorm: "kn",
  gate: "g",
  router: "r",
  experts: "e.",
  expertGate: "eg",
  expertUp: "eu",
  expertDown: "ed",
};
const everything: Required<NativeDecoderDescription> = {
  ...decoder,
  mixture: { layers: [1], experts: 2, chosen: 1, innerWidth: 3, normalized: true, balance: 0 },
  adapters: [{ module: "l.0.q", rank: 2, scale: 1 }],
  names: everyName,
};

/** Its keys, "norm.kind" of those within. */
const keysOf = (value: unknown, of = ""): string[] =>
  Array.isArray(value)
    ? keysOf(value[0], of)
    : typeof value === "object" && value !== null
      ? Object.entries(value).flatMap(([key, within]) => [of + key, ...keysOf(within, `${of + key}.`)])
      : [];

/** The same, and what is read of it is put down. */
function watched(value: unknown, seen: Set<string>, of = ""): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((one) => watched(one, seen, of));
  return new Proxy(value, {
    get(target, key) {
      if (typeof key === "string") seen.add(of + key);
      return watched(Reflect.get(target, key), seen, `${of + String(key)}.`);
    },
  });
}

describe("model descriptions", () => {
  it("say to native code what their type says", () => {
    const seen = new Set<string>();
    expect(() => n.createModel(watched(everything, seen), "float32")).toThrow(/positions/);
    expect([...seen].toSorted()).toEqual([...new Set(keysOf(everything))].toSorted());
  });

  it("are objects of a known kind with a known compute dtype", async () => {
    await expectAllRejected([...noHandle, new Proxy({}, {})], (d) => n.createModel(d, "float32"));
    await expectAllRejected(["float16", "", 32, undefined], (dtype) => n.createModel(mlp, dtype));
    await expectAllRejected(["gpu", "cuda:", "cuda:1x", "cuda:99", "cpu\0", "", 0, null], (device) =>
      n.createModel(mlp, "float32", "float32", device),
    );
    await expectAllRejected(["gpt3", 1, null, "mlp\0"], (kind) => n.createModel({ ...mlp, kind }, "float32"));
  });

  it("have sizes", async () => {
    const sizes = ["vocabularySize", "width", "heads", "keyValueHeads", "headWidth", "innerWidth"];
    for (const key of sizes)
      await expectAllRejected([...noCount, 0], (value) =>
        n.createModel({ ...decoder, [key]: value }, "float32"),
      );
    const lists = [
      [],
      [2],
      3,
      "23",
      { length: 2 },
      new Array(2 ** 32 - 1),
      new Int32Array(2),
      Object.assign([2], { length: 3 }),
    ];
    await expectAllRejected(lists, (layerSizes) => n.createModel({ ...mlp, layerSizes }, "float32"));
    await expectAllRejected([...noCount, 0], (size) =>
      n.createModel({ ...mlp, layerSizes: [2, size] }, "float32"),
    );
  });

  it("have sizes that belong together and fit into a memory", async () => {
    const huge = 2 ** 31 - 1;
    await expectRejected("heads", () => n.createModel({ ...decoder, heads: 3, keyValueHeads: 2 }, "float32"));
    await expectRejected("a matrix", () => n.createModel({ ...mlp, layerSizes: [huge, huge] }, "float32"));
    await expectRejected("a sum", () =>
      n.createModel({ ...mlp, layerSizes: Array(9).fill(2 ** 19) }, "float32"),
    );
    await expectRejected("a table", () =>
      n.createModel({ ...decoder, vocabularySize: huge, width: huge - 1 }, "float32"),
    );
    await expectRejected("channels", () =>
      n.createModel({ ...decoder, heads: huge, headWidth: huge }, "float32"),
    );
    for (const key of [
      "attentionScale",
      "attentionCap",
      "logitCap",
      "embeddingScale",
      "residualScale",
      "logitScale",
      "queryKeyValueBound",
    ])
      await expectAllRejected([NaN, -1, "0", null], (value) =>
        n.createModel({ ...decoder, [key]: value }, "float32"),
      );
    for (const key of ["parallel", "queryKeyValueByHead", "queryKeyValueBias", "mlpBias", "headBias"])
      await expectAllRejected([1, "true", undefined], (value) =>
        n.createModel({ ...decoder, [key]: value }, "float32"),
      );
    for (const key of ["queryKeyNorm", "storage", "activation"])
      await expectAllRejected(["none", 1, undefined], (value) =>
        n.createModel({ ...decoder, [key]: value }, "float32"),
      );
    await expectAllRejected(["GELU", 1], (activation) => n.createModel({ ...mlp, activation }, "float32"));
    await expectAllRejected(["l1", 1], (loss) => n.createModel({ ...mlp, loss }, "float32"));
  });

  it("have norms, layers, kinds of attention and names", async () => {
    const rejected = (changes: object[]) =>
      expectAllRejected(changes, (change) => n.createModel({ ...decoder, ...(change as object) }, "float32"));
    const kind = kinds.attentionKinds[0];
    await rejected(
      [
        ...noHandle,
        { ...norm, kind: "batch" },
        { ...norm, epsilon: -1 },
        { ...norm, bias: true },
        { ...norm, weight: 1 },
      ].map((value) => ({ norm: value })),
    );
    await rejected([[], [2], [-1], [0.5], "00", Array(10_001).fill(0)].map((layers) => ({ layers })));
    await rejected([[], [null], [3], Array(65).fill(kind)].map((attentionKinds) => ({ attentionKinds })));
    await rejected(
      [
        { window: -1 },
        { window: 1.5 },
        { frequencies: [1, 1, 1] },
        { frequencies: ["1"] },
        { rotaryScale: NaN },
      ].map((change) => ({ attentionKinds: [{ ...kind, ...change }] })),
    );
    await rejected(
      [
        { embedding: undefined },
        { down: 3 },
        { query: undefined },
        { queryKeyValue: "qkv" },
        { queryNorm: "q" },
        { positions: "p" },
      ].map((change) => ({ names: { ...names, ...change } })),
    );
    const mixture = { layers: [1], experts: 2, chosen: 1, innerWidth: 3, normalized: true, balance: 0 };
    const known = {
      mixture,
      names: { ...names, router: "r", experts: "e.", expertUp: "eu", expertDown: "ed" },
    };
    n.createModel({ ...decoder, ...known }, "float32").dispose();
    await rejected(
      [
        ...[
          { layers: [2] },
          { layers: [] },
          { layers: [-1] },
          { chosen: 3 },
          { chosen: 0 },
          { experts: 2 ** 17 },
        ],
        ...[{ experts: 2 ** 31 }, { innerWidth: 0.5 }, { normalized: 1 }, { balance: -1 }],
      ].map((change) => ({ ...known, mixture: { ...mixture, ...change } })),
    );
    const adapter = { module: "l.0.q", rank: 2, scale: 1 };
    n.createModel({ ...decoder, adapters: [adapter] }, "float32").dispose();
    await rejected([
      ...[
        { module: "" },
        { module: "l.2.q" },
        { rank: 0 },
        { rank: 2 ** 31 },
        { scale: -1 },
        { scale: NaN },
      ].map((change) => ({
        adapters: [{ ...adapter, ...change }],
      })),
      { adapters: [adapter, adapter] },
      { adapters: [] },
      { adapters: null },
    ]);
    await rejected([
      { mixture },
      { ...known, mixture: null },
      { ...known, names: { ...known.names, experts: "" } },
    ]);
  });
});
