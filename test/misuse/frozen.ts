import path from "node:path";
import { frozenSharpness } from "../../lib/index.js";
import { each, fileOf, type Row, type World } from "./world.js";

const call = ({ model, batch }: World, change: object) =>
  frozenSharpness({
    model,
    batches: [batch, batch],
    optimizer: { type: "sgd" },
    accumulate: 1,
    measure: 1,
    ...change,
  } as never);

/** frozenSharpness. */
export const frozenRows: Row[] = [
  ...each("frozenSharpness's options", [undefined, null, 3, {}], (options) => frozenSharpness(options)),
  ["frozenSharpness's option of unknown meaning", (w) => call(w, { step: 1 })],
  ...each("frozen batches", [undefined, null, 3, [], [1]], (batches, w) => call(w, { batches })),
  ["frozen batches of a function that gives none", (w) => call(w, { batches: () => undefined })],
  ["frozen batches of another kind of model", (w) => call(w, { batches: () => w.tokens })],
  ...each("frozen optimizer", [null, "sgd", {}, { type: "adam" }], (optimizer, w) => call(w, { optimizer })),
  ["frozen optimizer's momentum", (w) => call(w, { optimizer: { type: "sgd", momentum: 2 } })],
  ["an optimizer and a direction", (w) => call(w, { direction: w.direction })],
  ["neither optimizer nor direction", (w) => call(w, { optimizer: undefined })],
  ["a direction that is none", (w) => call(w, { optimizer: undefined, direction: 3 })],
  ["a direction of another model", (w) => call(w, { optimizer: undefined, direction: w.foreign })],
  ...each("frozen accumulate", [undefined, 0, -1, 1.5, "1", null], (accumulate, w) =>
    call(w, { accumulate }),
  ),
  ...each("frozen measure", [undefined, 0, 1.5, "1", null, 2], (measure, w) => call(w, { measure })),
  ...each("optimizerState", [3, "", null], (optimizerState, w) => call(w, { optimizerState })),
  ["an optimizer state that is not there", (w) => call(w, { optimizerState: path.join(w.folder, "none") })],
  ["an optimizer state that is none", (w) => call(w, { optimizerState: fileOf(w, "state") })],
  [
    "a state beside a direction",
    (w) => call(w, { ...{ optimizer: undefined, direction: w.direction }, optimizerState: "a" }),
  ],
  ...each("weightDecay of Δ", [1, null], (weightDecay, w) => call(w, { weightDecay })),
  ...each("parts", [3, [3], { all: 3 }, { all: "wte" }, { none: [] }], (parts, w) => call(w, { parts })),
  ...each("directional", ["yes", null], (directional, w) => call(w, { directional })),
  ...each(
    "hessian of frozen weights",
    [3, null, { tolerance: 0 }, { maximumIterations: 0 }, { count: 2 }],
    (hessian, w) => call(w, { hessian }),
  ),
  ...each("frozen onProgress", [null, "bar"], (onProgress, w) => call(w, { onProgress })),
  ...each("frozen signal", [null, 1], (signal, w) => call(w, { signal })),
  ["a tolerance of frozen weights", (w) => call(w, { tolerance: 1 })],
];
