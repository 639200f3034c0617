import path from "node:path";
import { Batch, Direction, type PassOptions } from "../../lib/index.js";
import { float32, int64, pack, type RawTensor } from "../models/files.js";
import { each, fileOf, inputs, type Row, type World } from "./world.js";

const nothings = [undefined, null, 3, "batch", {}, []];
const perturbed = (change: object) => (world: World) =>
  world.model.loss(world.batch, {
    perturbation: { direction: world.direction, learningRate: 0.1, ...change } as never,
  });

/** Model's methods. */
export const passRows: Row[] = [
  ...each("model.loss of", nothings, (batch, { model }) => model.loss(batch)),
  ...each("model.gradient of", nothings, (batch, { model }) => model.gradient(batch)),
  ["a regression's loss of tokens", ({ model, tokens }) => model.loss(tokens)],
  ["a regression's gradient of tokens", ({ model, tokens }) => model.gradient(tokens)],
  ["a regression's loss of classes", ({ model, classes }) => model.loss(classes)],
  ["a classifier's loss of numbers", ({ classifier, batch }) => classifier.loss(batch)],
  ["a classifier's gradient of numbers", ({ classifier, batch }) => classifier.gradient(batch)],
  ["a language model's loss of examples", ({ language, batch }) => language.loss(batch)],
  ["a language model's gradient of examples", ({ language, classes }) => language.gradient(classes)],
  [
    "a class that the classifier has not",
    ({ classifier }) =>
      classifier.loss(Batch.examples({ inputs, targets: Uint8Array.of(0, 1, 2, 3, 0), shape: [5] })),
  ],
  [
    "features that the model does not take",
    ({ model }) => model.loss(Batch.examples({ inputs, targets: new Float32Array(12), shape: [4] })),
  ],
  [
    "targets that the model does not give",
    ({ model }) => model.loss(Batch.examples({ inputs, targets: new Float32Array(5), shape: [5] })),
  ],
  [
    "a token id past the vocabulary",
    ({ language }) => language.loss(Batch.tokens({ inputIds: [1, 11], labels: [1, 2], shape: [1, 2] })),
  ],
  [
    "a label past the vocabulary",
    ({ language }) => language.gradient(Batch.tokens({ inputIds: [1, 2], labels: [1, 11], shape: [1, 2] })),
  ],
  [
    "a token id of 2⁵⁰",
    ({ language }) =>
      language.loss(Batch.tokens({ inputIds: BigInt64Array.of(2n ** 50n), labels: [1], shape: [1, 1] })),
  ],
  [
    "a sequence longer than the context",
    ({ language }) =>
      language.loss(Batch.tokens({ inputIds: Array(7).fill(1), labels: Array(7).fill(1), shape: [1, 7] })),
  ],
  ...each("the options of a pass", [null, 3, "all", []], (options, { model, batch }) =>
    model.loss(batch, options),
  ),
  ...each("microBatch", [0, -1, 1.5, NaN, Infinity, "2", 1n, null], (microBatch, { model, batch }) =>
    model.gradient(batch, { microBatch }),
  ),
  ...each("signal", [null, true, {}, "abort", new AbortController()], (signal, { model, batch }) =>
    model.loss(batch, { signal } as PassOptions),
  ),
  ...each("perturbation", [null, 3, "view", []], (perturbation, { model, batch }) =>
    model.loss(batch, { perturbation }),
  ),
  ...each("perturbation.learningRate", [undefined, null, NaN, Infinity, "0.1", 1n], (learningRate, world) =>
    perturbed({ learningRate })(world),
  ),
  ...each("perturbation.mode", ["inplace", "copy", 1, null], (mode, world) => perturbed({ mode })(world)),
  ...each("perturbation.direction", [undefined, null, {}, 3, [0]], (direction, world) =>
    perturbed({ direction })(world),
  ),
  ["a model in place of a direction", (world) => perturbed({ direction: world.model })(world)],
  ["another model's direction, as a view", (world) => perturbed({ direction: world.foreign })(world)],
  [
    "another model's direction, in place",
    (world) => perturbed({ direction: world.foreign, mode: "in-place" })(world),
  ],
  ["a float64 direction in a float32 model", (world) => perturbed({ direction: world.wideDirection })(world)],
  ["a disposed model's loss", ({ gone, batch }) => gone.model.loss(batch)],
  ["a disposed model's gradient", ({ gone, batch }) => gone.model.gradient(batch)],
  ["a disposed model's digest", ({ gone }) => gone.model.digest()],
  ["a disposed model's version", ({ gone }) => gone.model.version],
  ["a disposed model saved", ({ gone, folder }) => gone.model.save(path.join(folder, "gone"))],
  ["a disposed batch's loss", ({ model, gone }) => model.loss(gone.batch)],
  ["a disposed batch's gradient", ({ model, gone }) => model.gradient(gone.batch)],
  ["a disposed batch's count", ({ gone }) => gone.batch.count],
  ["a loss along a disposed direction", (world) => perturbed({ direction: world.gone.direction })(world)],
  ...each("model.save to", [undefined, null, "", 3, "a\0b"], (directory, { model }) => model.save(directory)),
  ["a model saved where a file is", ({ model }) => model.save(import.meta.filename)],
  ["a model saved below a file", ({ model }) => model.save(path.join(import.meta.filename, "model"))],
];

const tensors = {
  "layers.0.weight": float32([6, 4], Array(24).fill(1)),
  "layers.1.bias": float32([3], [1, 2, 3]),
};
const load = (content: Record<string, RawTensor>) => async (world: World) =>
  Direction.load(fileOf(world, pack(content)), world.model);

/** Direction's methods and files. */
export const directionRows: Row[] = [
  ...each("direction.dot of", [undefined, null, 3, {}, []], (other, { direction }) => direction.dot(other)),
  ["a direction's product with another model's", ({ direction, foreign }) => direction.dot(foreign)],
  [
    "a direction's product with a float64 one",
    ({ direction, wideDirection }) => direction.dot(wideDirection),
  ],
  ["a direction's product with a disposed one", ({ direction, gone }) => direction.dot(gone.direction)],
  [
    "a direction's product with a gradient's whole result",
    ({ direction, gradient }) => direction.dot(gradient as never),
  ],
  ...each("direction.scale by", [undefined, null, NaN, Infinity, "2", 2n, {}], (k, { direction }) =>
    direction.scale(k),
  ),
  ...each(
    "direction.mask of",
    [undefined, null, 3, {}, "layers.9.bias", ["layers.0.bias", "x"], [1]],
    (s, { direction }) => direction.mask(s),
  ),
  ["a disposed direction's norm", ({ gone }) => gone.direction.norm()],
  ["a disposed direction scaled", ({ gone }) => gone.direction.scale(2)],
  ["a disposed direction masked", ({ gone }) => gone.direction.mask("layers.0.bias")],
  ["a disposed direction saved", ({ gone, folder }) => gone.direction.save(path.join(folder, "gone"))],
  ...each("direction.save to", [undefined, "", 3], (file, { direction }) => direction.save(file)),
  ["a direction saved to a folder", ({ direction, folder }) => direction.save(folder)],
  [
    "a direction saved in a folder that is not there",
    ({ direction, folder }) => direction.save(`${folder}/no/such/file`),
  ],
  ...each("Direction.load of", [undefined, null, "", 3], (file, { model }) => Direction.load(file, model)),
  ...each("Direction.load for", [undefined, null, {}, "model"], (model) =>
    Direction.load(import.meta.filename, model),
  ),
  ["a direction from a text", ({ model }) => Direction.load(import.meta.filename, model)],
  ["a direction from nowhere", ({ model, folder }) => Direction.load(`${folder}/nowhere`, model)],
  ["a direction without a tensor", load({})],
  ["a direction with a tensor of no parameter", load({ ...tensors, other: float32([1], [1]) })],
  ["a direction of another shape", load({ ...tensors, "layers.1.bias": float32([4], [1, 2, 3, 4]) })],
  ["a direction of integers", load({ ...tensors, "layers.1.bias": int64([3], [1, 2, 3]) })],
  [
    "a direction cut short",
    async (world) => Direction.load(fileOf(world, pack(tensors).subarray(0, -4)), world.model),
  ],
  [
    "a direction for a disposed model",
    async (world) => Direction.load(fileOf(world, pack(tensors)), world.gone.model),
  ],
  ...each("Direction.between, other", [undefined, null, {}], (other, { model }) =>
    Direction.between(model, other),
  ),
  ["a direction between two kinds of model", ({ model, language }) => Direction.between(model, language)],
  ["a direction between two precisions", ({ model, wide }) => Direction.between(model, wide)],
  [
    "a direction between a model and a disposed one",
    ({ model, gone }) => Direction.between(model, gone.model),
  ],
];
