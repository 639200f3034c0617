import { writeFileSync } from "node:fs";
import {
  AdamW,
  type AdamWOptions,
  constantSchedule,
  cosineSchedule,
  Direction,
  loadOptimizer,
  Sgd,
  type SgdOptions,
  warmupStableDecaySchedule,
} from "../../lib/index.js";
import { pack, safetensors, unpack } from "../models/files.js";
import { each, fileOf, type Row, type World } from "./world.js";

const sgd = (world: World, change: object) =>
  new Sgd(world.model, { learningRate: 0.1, ...change } as SgdOptions);
const adamw = (world: World, change: object) =>
  new AdamW(world.model, { learningRate: 0.1, ...change } as AdamWOptions);

/** Making optimizers. */
export const optimizerRows: Row[] = [
  ...each("new Sgd of", [undefined, null, {}, "model"], (model) => new Sgd(model, { learningRate: 1 })),
  ...each("new AdamW of", [undefined, null, {}, 3], (model) => new AdamW(model, { learningRate: 1 })),
  ["an optimizer of a disposed model", ({ gone }) => new Sgd(gone.model, { learningRate: 1 })],
  ["an optimizer of a batch", ({ batch }) => new AdamW(batch as never, { learningRate: 1 })],
  ...each("Sgd's options", [undefined, null, 0.1, []], (options, { model }) => new Sgd(model, options)),
  ...each("learningRate", [undefined, null, -0.1, NaN, Infinity, "0.1"], (learningRate, w) =>
    sgd(w, { learningRate }),
  ),
  ...each("momentum", [1, -0.1, NaN, "0.9", null], (momentum, w) => sgd(w, { momentum })),
  ...each("nesterov", [1, "yes", null], (nesterov, w) => sgd(w, { nesterov, momentum: 0.9 })),
  ...each(
    "loadOptimizer of",
    [undefined, null, "", 3, "nowhere", "/dev/zero", import.meta.dirname, import.meta.filename],
    (place, w) => loadOptimizer(place as never, w.model),
  ),
  ["loadOptimizer of a state of ours", (w) => loadOptimizer(fileOf(w, "state"), w.model)],
  ["loadOptimizer for no model", (w) => loadOptimizer(fileOf(w, "state"), w.batch as never)],
  ...each(
    "loadOptimizer's options",
    [null, 3, { parameters: [] }, { parameters: [3] }, { order: ["a"] }],
    (options, w) => loadOptimizer(fileOf(w, "state"), w.model, options as never),
  ),
  ...each("an adapter's folder", [undefined, null, "", 3, "nowhere", import.meta.dirname], (folder, w) =>
    Direction.fromAdapter(w.model, folder as never),
  ),
  ["nesterov without momentum", (w) => sgd(w, { nesterov: true })],
  ...each("Sgd's weightDecay", [-1, NaN, Infinity, "0", null], (weightDecay, w) => sgd(w, { weightDecay })),
  ...each(
    "betas",
    [null, 0.9, [0.9], [0.9, 0.99, 0.999], [1, 0.9], [0.9, 1], [-0.1, 0.9], [0.9, NaN], ["0.9", 0.9]],
    (betas, w) => adamw(w, { betas }),
  ),
  ...each("epsilon", [-1e-8, NaN, Infinity, "1e-8", null], (epsilon, w) => adamw(w, { epsilon })),
  ...each(
    "groups",
    [
      null,
      {},
      "all",
      [3],
      [{}],
      [{ parameters: 3 }],
      [{ parameters: "layers.9.weight" }],
      [{ parameters: ["layers.0.weight", 3] }],
      [{ parameters: "layers.0.weight", learningRate: 0 }],
      [{ parameters: "layers.0.weight", learningRate: NaN }],
      [{ parameters: "layers.0.weight", weightDecay: -1 }],
      [{ parameters: "layers.0.weight" }, { parameters: ["layers.0.bias", "layers.0.weight"] }],
    ],
    (groups, w) => adamw(w, { groups }),
  ),
  [
    "a group's learning rate beside 0",
    (w) => sgd(w, { learningRate: 0, groups: [{ parameters: "layers.0.bias", learningRate: 1 }] }),
  ],
];

const fresh = (world: World) => new AdamW(world.model, { learningRate: 0.1 });
/** A file of AdamW's state, changed. */
async function stateFile(
  world: World,
  change: (tensors: Awaited<ReturnType<typeof unpack>>) => object,
): Promise<string> {
  const file = fileOf(world, "");
  await world.adamw.save(file);
  const tensors = await unpack(file);
  writeFileSync(file, withMetadata(change(tensors) as typeof tensors, { optimizer: "adamw", steps: "1" }));
  return file;
}
function withMetadata(tensors: Awaited<ReturnType<typeof unpack>>, metadata: object): Buffer {
  const plain = pack(tensors);
  const end = 8 + Number(plain.readBigUInt64LE());
  const header = JSON.parse(plain.subarray(8, end).toString());
  return safetensors({ ...header, __metadata__: metadata }, plain.subarray(end));
}
const without = (name: string) => (tensors: object) =>
  Object.fromEntries(Object.entries(tensors).filter(([n]) => n !== name));

/** Using them. */
export const optimizerUseRows: Row[] = [
  ...each("accumulate", [undefined, null, 3, {}, [], { gradient: 3 }], (gradient, { sgd: s }) =>
    s.accumulate(gradient),
  ),
  ["another model's gradient accumulated", ({ adamw: a, foreign }) => a.accumulate(foreign)],
  ["a float64 gradient accumulated", ({ sgd: s, wideDirection }) => s.accumulate(wideDirection)],
  ["a disposed gradient accumulated", ({ sgd: s, gone }) => s.accumulate(gone.direction)],
  ["a direction before the first gradient", (w) => fresh(w).direction()],
  ["a preconditioner before the first gradient", (w) => fresh(w).preconditioner()],
  ["a step before the first gradient", (w) => fresh(w).step()],
  ...each("direction's options", [null, 3, []], (options, { adamw: a }) => a.direction(options)),
  ...each("direction's weightDecay", [0, 0.1, "no", null], (weightDecay, { adamw: a }) =>
    a.direction({ weightDecay }),
  ),
  ...each("step's learningRate", [-1, NaN, Infinity, "0.1", null], (learningRate, { adamw: a }) =>
    a.step({ learningRate }),
  ),
  ...each("step's options", [null, 0.1, "fast"], (options, { sgd: s }) => s.step(options)),
  [
    "a step with a learning rate that became NaN",
    async (w) => {
      const optimizer = sgd(w, {});
      await optimizer.accumulate(w.gradient);
      optimizer.learningRate = NaN;
      await optimizer.step();
    },
  ],
  ["a disposed optimizer accumulating", ({ gone, gradient }) => gone.sgd.accumulate(gradient)],
  ["a disposed optimizer's direction", ({ gone }) => gone.adamw.direction()],
  ["a disposed optimizer's step", ({ gone }) => gone.adamw.step()],
  ["a disposed optimizer's steps", ({ gone }) => gone.sgd.steps],
  ["a disposed optimizer saved", ({ gone, folder }) => gone.adamw.save(`${folder}/gone`)],
  ...each("optimizer.save to", [undefined, "", 3], (file, { adamw: a }) => a.save(file)),
  ...each("optimizer.load of", [undefined, "", {}], (file, { adamw: a }) => a.load(file)),
  ["an optimizer's state from nowhere", ({ adamw: a, folder }) => a.load(`${folder}/nowhere`)],
  ["an optimizer's state from a text", ({ adamw: a }) => a.load(import.meta.filename)],
  ["AdamW's state for SGD", async (w) => sgd(w, {}).load(await stateFile(w, (t) => t))],
  [
    "AdamW's state without v",
    async (w) =>
      fresh(w).load(
        await stateFile(w, (t) =>
          Object.fromEntries(Object.entries(t).filter(([n]) => !n.startsWith("exp_avg_sq"))),
        ),
      ),
  ],
  [
    "AdamW's state without one tensor",
    async (w) => fresh(w).load(await stateFile(w, without("exp_avg.layers.1.bias"))),
  ],
  [
    "AdamW's state without the first tensors",
    async (w) => fresh(w).load(await stateFile(w, without("exp_avg.layers.0.weight"))),
  ],
  [
    "the state of another model",
    async (w) => new AdamW(w.language, { learningRate: 1 }).load(await stateFile(w, (t) => t)),
  ],
  ...each("a state's steps", ["-1", "1.5", "many", ""], async (steps, w) =>
    fresh(w).load(fileOf(w, safetensors({ __metadata__: { optimizer: "adamw", steps } }))),
  ),
  ["a state without metadata", async (w) => fresh(w).load(fileOf(w, pack({})))],
  [
    "a state of steps without tensors",
    async (w) => fresh(w).load(fileOf(w, safetensors({ __metadata__: { optimizer: "adamw", steps: "3" } }))),
  ],
];

const wsd = { learningRate: 1, stableSteps: 2, decaySteps: 2 };
/** Schedules. */
export const scheduleRows: Row[] = [
  ...each("constantSchedule of", [undefined, null, 3], (options) => constantSchedule(options)),
  ...each("a schedule's learningRate", [undefined, -1, NaN, "1"], (learningRate) =>
    constantSchedule({ learningRate }),
  ),
  ...each("warmupSteps", [-1, 1.5, NaN, "2", null], (warmupSteps) =>
    constantSchedule({ learningRate: 1, warmupSteps }),
  ),
  ...each("a cosine's steps", [undefined, 0, 1.5, "9"], (steps) =>
    cosineSchedule({ learningRate: 1, steps }),
  ),
  ["a cosine shorter than its warm-up", () => cosineSchedule({ learningRate: 1, steps: 3, warmupSteps: 4 })],
  ...each("finalLearningRate", [-1, 2, NaN, null], (f) =>
    cosineSchedule({ learningRate: 1, steps: 3, finalLearningRate: f }),
  ),
  ...each("stableSteps", [undefined, -1, 0.5], (stableSteps) =>
    warmupStableDecaySchedule({ ...wsd, stableSteps }),
  ),
  ...each("decaySteps", [undefined, -1, "2"], (decaySteps) =>
    warmupStableDecaySchedule({ ...wsd, decaySteps }),
  ),
  ...each("decay", ["exponential", 1, null], (decay) => warmupStableDecaySchedule({ ...wsd, decay })),
  ...each("the step of a schedule", [0, -1, 1.5, NaN, "1", undefined], (step) =>
    cosineSchedule({ learningRate: 1, steps: 3 })(step),
  ),
];
