import {
  CriticalPredictor,
  criticalSharpness,
  findCriticalLearningRate,
  relativeCriticalSharpness,
  SharpnessMeter,
  sharpnessMatrix,
} from "../../lib/index.js";
import { stabilityThreshold } from "../../lib/optimizers/index.js";
import { each, type Row, type World } from "./world.js";

const measure = (change: object) => (world: World) => {
  const { model, batch, direction } = world;
  return criticalSharpness({ model, batch, direction, ...change } as never);
};
const nothings = [undefined, null, 3, "x", {}, []];

/** criticalSharpness, relativeCriticalSharpness. */
export const measureRows: Row[] = [
  ...each("criticalSharpness of", [undefined, null, 3, [], {}], (options) => criticalSharpness(options)),
  ...each("the measured model", nothings, (model, w) => measure({ model })(w)),
  ...each("the measured batch", nothings, (batch, w) => measure({ batch })(w)),
  ...each("the measured direction", nothings, (direction, w) => measure({ direction })(w)),
  ...each("the slope", [NaN, Infinity, "1", 1n, null], (slope, w) => measure({ slope })(w)),
  ...each("the gradient", [null, 3, {}, [], { gradient: 3 }], (gradient, w) => measure({ gradient })(w)),
  ["both a slope and a gradient", (w) => measure({ slope: 1, gradient: w.gradient })(w)],
  ...each("tolerance", [0, 1, -0.1, NaN, "0.1", 1e-12, null], (tolerance, w) => measure({ tolerance })(w)),
  ...each("method", ["newton", "", 1, null], (method, w) => measure({ method })(w)),
  ...each("initialLearningRate", [0, -1, NaN, Infinity, "1", null], (r, w) =>
    measure({ initialLearningRate: r })(w),
  ),
  ...each("perturbation of a measurement", ["inplace", true, null], (perturbation, w) =>
    measure({ perturbation })(w),
  ),
  ...each("microBatch of a measurement", [0, 1.5, "2", null], (microBatch, w) => measure({ microBatch })(w)),
  ...each("signal of a measurement", [null, {}, "stop"], (signal, w) => measure({ signal })(w)),
  ...each("onEvaluation", [null, 3, {}], (onEvaluation, w) => measure({ onEvaluation })(w)),
  ["an option of unknown name", (w) => measure({ epsilon: 0.1 })(w)],
  ["another model's direction measured", (w) => measure({ direction: w.foreign })(w)],
  ["another model's direction measured with a slope", (w) => measure({ direction: w.foreign, slope: 1 })(w)],
  ["another model's gradient", (w) => measure({ gradient: w.foreign })(w)],
  ["a batch that the model does not take", (w) => measure({ batch: w.tokens })(w)],
  ["a disposed model measured", (w) => measure({ model: w.gone.model })(w)],
  ["a disposed batch measured", (w) => measure({ batch: w.gone.batch })(w)],
  ["a disposed direction measured", (w) => measure({ direction: w.gone.direction })(w)],
  ["a disposed gradient measured with", (w) => measure({ gradient: w.gone.direction })(w)],
  ["the gradient of another batch", (w) => measure({ gradient: { ...w.gradient, batch: w.classes } })(w)],
  [
    "a gradient of older weights",
    (w) => measure({ gradient: { ...w.gradient, version: w.gradient.version - 1 } })(w),
  ],
  ["a gradient without its batch", (w) => measure({ gradient: { ...w.gradient, batch: undefined } })(w)],
  ["a gradient whose loss is NaN", (w) => measure({ gradient: { ...w.gradient, loss: NaN } })(w)],
  ["a gradient whose loss is a text", (w) => measure({ gradient: { ...w.gradient, loss: "1" } })(w)],
  [
    "a direction so long that the slope is not finite",
    async (w) => {
      const long = await (await w.wideDirection.scale(1e308)).scale(1e10);
      return criticalSharpness({ model: w.wide, batch: w.batch, direction: long, gradient: w.wideDirection });
    },
  ],
  ...each("relativeCriticalSharpness of", [undefined, null, 3], (options) =>
    relativeCriticalSharpness(options),
  ),
  ...each(
    "evaluate",
    [undefined, null, 3, [], { a: 3 }, { a: undefined }],
    (evaluate, { model, direction }) => relativeCriticalSharpness({ model, direction, evaluate }),
  ),
  ...each("slopes", [3, { b: 1 }, { a: NaN }, { a: "1" }], (slopes, { model, direction, batch }) =>
    relativeCriticalSharpness({ model, direction, evaluate: { a: batch }, slopes }),
  ),
  ...each("gradients", [3, { b: 1 }, { a: 3 }], (gradients, { model, direction, batch }) =>
    relativeCriticalSharpness({ model, direction, evaluate: { a: batch }, gradients }),
  ),
  [
    "one batch of several that the model does not take",
    ({ model, direction, batch, tokens }) =>
      relativeCriticalSharpness({ model, direction, evaluate: { a: batch, b: tokens } }),
  ],
  [
    "a relative measurement of an unknown option",
    ({ model, direction, batch }) =>
      relativeCriticalSharpness({ model, direction, evaluate: { a: batch }, batch } as never),
  ],
  ...each("findSlopes", [null, 1, "yes"], (findSlopes, { model, direction, batch }) =>
    relativeCriticalSharpness({ model, direction, evaluate: { a: batch }, findSlopes }),
  ),
  ...each("sharpnessMatrix of", [undefined, null, 3, {}], (options) => sharpnessMatrix(options)),
  ...each("tasks of a matrix", [null, 3, [], { a: 3 }], (tasks, { model }) =>
    sharpnessMatrix({ model, tasks }),
  ),
  ...each("directions of a matrix", [null, 3, { b: 1 }, { a: 1 }], (directions, { model, batch }) =>
    sharpnessMatrix({ model, tasks: { a: batch }, directions }),
  ),
  [
    "another model's direction in a matrix",
    ({ model, batch, foreign }) =>
      sharpnessMatrix({ model, tasks: { a: batch }, directions: { a: foreign } }),
  ],
  [
    "a matrix with a batch that the model does not take",
    ({ model, batch, tokens }) => sharpnessMatrix({ model, tasks: { a: batch, b: tokens } }),
  ],
];

/** What a meter that has measured twice has learnt. */
async function state(world: World): Promise<Record<string, never>> {
  const meter = new SharpnessMeter();
  for (let i = 0; i < 2; i++) await meter.measure(world);
  return JSON.parse(JSON.stringify(meter.state()));
}
const restored = (change: (state: Record<string, never>) => unknown) => async (world: World) =>
  new SharpnessMeter().restore((await change(await state(world))) as never);

/** SharpnessMeter, CriticalPredictor, stabilityThreshold. */
export const meterRows: Row[] = [
  ...each(
    "new SharpnessMeter of",
    [null, 3, "fast", [], { epsilon: 1 }],
    (options) => new SharpnessMeter(options),
  ),
  ...each("a meter's tolerance", [0, NaN, "1"], (tolerance) => new SharpnessMeter({ tolerance })),
  ...each("a meter's method", ["newton", 1], (method) => new SharpnessMeter({ method })),
  ...each("a meter's microBatch", [0, 0.5], (microBatch) => new SharpnessMeter({ microBatch })),
  ...each("meter.measure of", [undefined, null, 3, {}, []], (line) => new SharpnessMeter().measure(line)),
  [
    "meter.measure with a tolerance of its own",
    ({ model, batch, direction }) =>
      new SharpnessMeter().measure({ model, batch, direction, tolerance: 0.1 } as never),
  ],
  [
    "meter.measure of a disposed direction",
    ({ model, batch, gone }) => new SharpnessMeter().measure({ model, batch, direction: gone.direction }),
  ],
  ...each("meter.restore of", [undefined, null, 3, "state", [], {}, { version: 2 }, { version: 1 }], (s) =>
    new SharpnessMeter().restore(s),
  ),
  ...each("a state's last ηc", [-1, 0, NaN, "1", undefined], (last, w) =>
    restored((s) => ({ ...s, lastCriticalLearningRate: last }))(w),
  ),
  ...each(
    "a state's predictor",
    [null, 3, {}, [], { level: null }, { level: {}, shape: {} }],
    (predictor, w) => restored((s) => ({ ...s, predictor }))(w),
  ),
  [
    "a state with a number missing",
    restored((s) => JSON.parse(JSON.stringify(s).replace(/\d\.\d+/, "null"))),
  ],
  [
    "a state with a text in place of a number",
    restored((s) => JSON.parse(JSON.stringify(s).replace(/\d\.\d+/, '"x"'))),
  ],
  ...each("predictor.restore of", [undefined, null, {}, 3], (s) => new CriticalPredictor().restore(s)),
  ...each("predictor.predict of", [undefined, null, 3], (facts) => new CriticalPredictor().predict(facts)),
  ...each("stabilityThreshold of", [undefined, null, 3], (options) => stabilityThreshold(options)),
  ...each("the threshold's optimizer", ["adam", undefined, 1], (optimizer) =>
    stabilityThreshold({ optimizer, learningRate: 1 }),
  ),
  ...each("the threshold's learningRate", [0, -1, NaN, "1", undefined], (learningRate) =>
    stabilityThreshold({ optimizer: "gd", learningRate }),
  ),
  ...each("the threshold's weightDecay", [-1, NaN, "0"], (weightDecay) =>
    stabilityThreshold({ optimizer: "gd", learningRate: 1, weightDecay }),
  ),
  ...each("the threshold's beta1", [1, -0.1, "0.9"], (beta1) =>
    stabilityThreshold({ optimizer: "adamw", learningRate: 1, beta1 }),
  ),
  [
    "β₁ of gradient descent",
    () => stabilityThreshold({ optimizer: "gd", learningRate: 1, beta1: 0.9 } as never),
  ],
];

const parabola = (eta: number) => eta * (eta - 1);
const find = (options: object) => findCriticalLearningRate(parabola, options as never);

/** findCriticalLearningRate; its own tests have more. */
export const searchRows: Row[] = [
  ...each("lossAt", [undefined, 1, {}], (lossAt) => findCriticalLearningRate(lossAt)),
  ...each("what lossAt gives", [undefined, "0.5", null, 1n], (loss) =>
    findCriticalLearningRate(() => loss, { baseLoss: 0 }),
  ),
  ...each("the loss at 0", [NaN, Infinity], (loss) => findCriticalLearningRate(() => loss)),
  ...each("baseLoss", [NaN, "1", null], (baseLoss) => find({ baseLoss })),
  ...each("a search's slope", [NaN, "1"], (slope) => find({ slope })),
  ...each("maximumDoublings", [0, 1.5, 1e9, "4"], (maximumDoublings) => find({ maximumDoublings })),
  ...each("firstCrossing", [1, "yes", { near: -1 }, { near: [1, NaN] }], (firstCrossing) =>
    find({ firstCrossing }),
  ),
  ...each("shape", [1, {}, { inverseExponent: 1, bend: 99, deviation: 1 }], (shape) => find({ shape })),
  ["a search option of unknown name", () => find({ precision: 1 })],
];
