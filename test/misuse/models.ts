import path from "node:path";
import { createModel, loadModel, type Model, type ModelConfigInput, setThreads } from "../../lib/index.js";
import { float32, int64, pack, raw, safetensors } from "../models/files.js";
import { each, folderOf, gpt, mlp, type Row, type World } from "./world.js";

const make = (config: object, options: object = {}) => createModel(config as ModelConfigInput, options);

/** createModel. */
export const createRows: Row[] = [
  ...each("createModel of", [undefined, null, 3, "mlp", [], () => mlp], (config) => createModel(config)),
  ...each("model_type", ["llama", "", undefined, 1, null], (model_type) => make({ ...mlp, model_type })),
  ...each(
    "layer_sizes",
    [
      undefined,
      [],
      [4],
      "4,3",
      [4, 0],
      [4, -1],
      [4, 1.5],
      [4, "3"],
      [4, NaN],
      [4, 2 ** 31],
      [2 ** 31 - 1, 2 ** 31 - 1],
    ],
    (layer_sizes) => make({ ...mlp, layer_sizes }),
  ),
  ...each("activation", ["swish", undefined, 3], (activation) => make({ ...mlp, activation })),
  ...each("loss", ["l1", "MSE", undefined], (loss) => make({ ...mlp, loss })),
  ...["vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner"].flatMap((key) =>
    each(`gpt2's ${key}`, [0, -1, 2.5, "8", NaN, Infinity], (value) => make({ ...gpt, [key]: value })),
  ),
  ...each("n_head that does not divide n_embd", [3, 16], (n_head) => make({ ...gpt, n_head })),
  ...each("layer_norm_epsilon", [0, -1e-5, NaN, "1e-5"], (layer_norm_epsilon) =>
    make({ ...gpt, layer_norm_epsilon }),
  ),
  ...each("tie_word_embeddings", [1, "true", null], (tie_word_embeddings) =>
    make({ ...gpt, tie_word_embeddings }),
  ),
  ...each("activation_function", ["silu", 1], (activation_function) => make({ ...gpt, activation_function })),
  ["a key that changes the loss", () => make({ ...gpt, scale_attn_by_inverse_layer_idx: true })],
  ["a key of unknown meaning", () => make({ ...gpt, rotary: true })],
  ["an MLP's key that is GPT-2's", () => make({ ...mlp, n_embd: 8 })],
  ...each("createModel's options", [null, 3, "float32", []], (options) => make(mlp, options)),
  ...each("dtype", ["float16", "F32", 32, null, ""], (dtype) => make(mlp, { dtype })),
  ...each("device", ["gpu", "cuda:", "cuda:-1", "cuda:99", "cpu:0", 0, null], (device) =>
    make(mlp, { device }),
  ),
  ...each("seed", [-1, 0.5, NaN, Infinity, "1", 2 ** 60, 1n, null], (seed) => make(mlp, { seed })),
  ...each("initialization", ["xavier", 1, null, "gpt2"], (initialization) => make(mlp, { initialization })),
  ...each("gpt2's initialization", ["he", "pytorch"], (initialization) => make(gpt, { initialization })),
  ...each("setThreads of", [0, -1, 1.5, NaN, "2", undefined, 1e6], (threads) => setThreads(threads)),
];

const weights = {
  "layers.0.weight": float32([2, 2], [1, 2, 3, 4]),
  "layers.0.bias": float32([2], [1, 2]),
};
const small = JSON.stringify({ ...mlp, layer_sizes: [2, 2] });
const load = (world: World, files: Record<string, string | Uint8Array>): Promise<Model> =>
  loadModel(folderOf(world, files));
const withWeights = (tensors: Parameters<typeof pack>[0]) => (world: World) =>
  load(world, { "config.json": small, "model.safetensors": pack(tensors) });
const withFile = (content: string | Uint8Array) => (world: World) =>
  load(world, { "config.json": small, "model.safetensors": content });
const withIndex = (index: string) => (world: World) =>
  load(world, {
    "config.json": small,
    "model.safetensors.index.json": index,
    "one.safetensors": pack(weights),
  });
const withConfig = (config: string) => (world: World) =>
  load(world, { "config.json": config, "model.safetensors": pack(weights) });
const entry = { dtype: "F32", shape: [2, 2], data_offsets: [0, 16] };
const withEntry = (change: object) =>
  withFile(safetensors({ x: { ...entry, ...change } }, new Uint8Array(16)));

/** loadModel. */
export const loadRows: Row[] = [
  ...each("loadModel of", [undefined, null, "", 3, {}, "a\0b"], (directory) => loadModel(directory)),
  ...each(
    "an adapter of loadModel",
    [
      3,
      null,
      "",
      "nowhere",
      {},
      { rank: 0, targets: ["a"] },
      { rank: 1, targets: ["nothing"] },
      { rank: 1, targets: [] },
    ],
    (adapter, world) => loadModel(folderOf(world, {}), { adapter: adapter as never }),
  ),
  ["a directory that is not there", ({ folder }) => loadModel(path.join(folder, "nowhere"))],
  ["a file in place of a directory", () => loadModel(import.meta.filename)],
  ["loadModel to float16", (world) => loadModel(folderOf(world, {}), { dtype: "float16" as never })],
  ["no config.json", (world) => load(world, { "model.safetensors": pack(weights) })],
  ["no weights", (world) => load(world, { "config.json": small })],
  ["an empty config.json", withConfig("")],
  ["a config.json cut short", withConfig(small.slice(0, -5))],
  ["a config.json that is a list", withConfig("[]")],
  ["a config.json that is null", withConfig("null")],
  ["a config.json of another model", withConfig('{"model_type":"bert"}')],
  ["a config.json of other sizes", withConfig(JSON.stringify({ ...mlp, layer_sizes: [2, 3] }))],
  ["a config.json of more layers", withConfig(JSON.stringify({ ...mlp, layer_sizes: [2, 2, 2] }))],
  ["a tensor missing", withWeights({ "layers.0.weight": weights["layers.0.weight"] })],
  ["a tensor too many", withWeights({ ...weights, "layers.1.bias": float32([2], [1, 2]) })],
  ["a tensor transposed away", withWeights({ ...weights, "layers.0.weight": float32([4], [1, 2, 3, 4]) })],
  ["weights that are integers", withWeights({ ...weights, "layers.0.bias": int64([2], [1, 2]) })],
  [
    "weights of a dtype we do not know",
    withWeights({ ...weights, "layers.0.bias": raw("I32", [2], new Int32Array(2)) }),
  ],
  [
    "weights that are quantized",
    withWeights({ ...weights, "layers.0.bias": raw("F8_E4M3", [2], new Uint8Array(2)) }),
  ],
  ["a pointer of Git LFS as config.json", withConfig("version https://git-lfs.github.com/spec/v1\n")],
  [
    "a pointer of Git LFS as weights",
    withFile("version https://git-lfs.github.com/spec/v1\noid sha256:4d\n"),
  ],
  ["a pickle as weights", withFile(Buffer.concat([Buffer.from([0x80, 2]), Buffer.alloc(40, "q")]))],
  [
    "an adapter",
    (world) => load(world, { "adapter_config.json": "{}", "adapter_model.safetensors": pack({}) }),
  ],
  [
    "an adapter beside a model",
    (world) =>
      load(world, { "config.json": small, "model.safetensors": pack(weights), "adapter_config.json": "{}" }),
  ],
  ["a model of the hub by its name", () => loadModel("org/name")],
  ["an empty safetensors file", withFile("")],
  ["a safetensors file of 7 bytes", withFile("1234567")],
  ["a text in place of safetensors", withFile("These are no weights, but a text of some length.")],
  ["a safetensors file cut in its data", withFile(pack(weights).subarray(0, -1))],
  ["a safetensors file cut in its header", withFile(pack(weights).subarray(0, 40))],
  ["a safetensors file with bytes too many", withFile(Buffer.concat([pack(weights), Buffer.alloc(3)]))],
  ["a header longer than the file", withFile(safetensors({}, new Uint8Array(4), 10_000n))],
  ["a header of 2⁶³ bytes", withFile(safetensors({}, new Uint8Array(4), 2n ** 63n))],
  ["a header that is no JSON", withFile(safetensors("{,}"))],
  ["a header that is a list", withFile(safetensors("[]"))],
  [
    "a header of bytes that are no UTF-8",
    withFile(Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe])])),
  ],
  ["an entry that is null", withFile(safetensors({ x: null }))],
  ["an entry without a shape", withEntry({ shape: undefined })],
  ["a shape with a fraction", withEntry({ shape: [2.5, 2] })],
  ["a shape with a negative size", withEntry({ shape: [-2, -2] })],
  ["a shape that overflows", withEntry({ shape: [2 ** 52, 2 ** 52] })],
  ["data offsets in the wrong order", withEntry({ data_offsets: [16, 0] })],
  ["data offsets past the end", withEntry({ data_offsets: [8, 24] })],
  ["data offsets that are texts", withEntry({ data_offsets: ["0", "16"] })],
  ["data offsets that do not fit the shape", withEntry({ data_offsets: [0, 12] })],
  ["a dtype of another format", withEntry({ dtype: "float32" })],
  ["metadata that are no texts", withFile(safetensors({ __metadata__: { steps: 3 } }))],
  [
    "tensors that overlap",
    withFile(safetensors({ a: entry, b: { ...entry, data_offsets: [8, 24] } }, new Uint8Array(24))),
  ],
  ["an index that is no JSON", withIndex("{")],
  ["an index that is null", withIndex("null")],
  ["an index without a weight_map", withIndex("{}")],
  ["an index that names a number", withIndex('{"weight_map":{"a":3}}')],
  ["an index that leaves its folder", withIndex('{"weight_map":{"a":"../one.safetensors"}}')],
  ["an index of another tensor", withIndex('{"weight_map":{"a":"one.safetensors"}}')],
  ["an index that names a shard that is not there", withIndex('{"weight_map":{"a":"two.safetensors"}}')],
];
