import path from "node:path";
import { findCheckpoints, measureCheckpoints, type SeriesConfigurationInput } from "../../lib/index.js";
import { each, fileOf, folderOf, type Row, type World } from "./world.js";

const measure = async (world: World, change: object, options: object = {}) => {
  const own = folderOf(world, {});
  const model = path.join(own, "step1");
  await world.language.save(model);
  return measureCheckpoints(
    {
      data: { files: [fileOf(world, new Uint8Array(40), "tokens.bin")] },
      batch: { size: 1 },
      accumulate: 1,
      measure: 1,
      ...change,
    } as SeriesConfigurationInput,
    { directory: path.join(own, "series"), checkpoints: [model], ...options } as never,
  );
};

/** measureCheckpoints. */
export const seriesRows: Row[] = [
  ...each("the options of a series", [undefined, null, 3, {}], (options) =>
    measureCheckpoints({ data: "a.bin", batch: { size: 1 } }, options),
  ),
  ...each("a series' configuration", [undefined, null, "run.json", {}], (configuration, w) =>
    measureCheckpoints(configuration, { directory: path.join(w.folder, "unused"), checkpoints: ["a"] }),
  ),
  ["a series' key of unknown meaning", (w) => measure(w, { stepz: 3 })],
  ...each("optimizerState of a series", ["", 3, null, "none-of-it"], (optimizerState, w) =>
    measure(w, { optimizerState }),
  ),
  ...each("learningRate of a series", [0, -1, "0.1", NaN], (learningRate, w) => measure(w, { learningRate })),
  ...each("schedule of a series", ["cosine", { type: "step" }, { type: "cosine" }, 3], (schedule, w) =>
    measure(w, { schedule }),
  ),
  ...each("accumulate of a series", [0, 1.5, "2", null], (accumulate, w) => measure(w, { accumulate })),
  ...each("measure of a series", [0, -1, "2", null], (m, w) => measure(w, { measure: m })),
  ...each("parts of a series", ["kinds", ["layers"], 3, null], (parts, w) => measure(w, { parts })),
  ...each("hessian of a series", [true, { every: 3 }, { tolerance: 0 }], (hessian, w) =>
    measure(w, { hessian }),
  ),
  ["second derivatives of a series in bfloat16", (w) => measure(w, { hessian: {}, dtype: "bfloat16" })],
  ...each("optimizer of a series", ["adamw", { type: "adam" }, null], (optimizer, w) =>
    measure(w, { optimizer }),
  ),
  ...each("data of a series", [3, "a.csv", ["a.bin"], { files: [] }], (data, w) => measure(w, { data })),
  ["data of a series that are not there", (w) => measure(w, { data: path.join(w.folder, "none.bin") })],
  [
    "text of a series without a tokenizer",
    (w) => measure(w, { data: { files: [fileOf(w, "text", "a.txt")] } }),
  ],
  ...each("a series' directory", [undefined, "", 3], (directory, w) => measure(w, {}, { directory })),
  ...each("a series' checkpoints", [undefined, [], "a", [3], [{}], [""]], (checkpoints, w) =>
    measure(w, {}, { checkpoints }),
  ),
  ...each("a series' fresh", [1, null], (fresh, w) => measure(w, {}, { fresh })),
  ...each("a series' signal", [{}, null], (signal, w) => measure(w, {}, { signal })),
  ...each("a series' onProgress", ["bar", 3], (onProgress, w) => measure(w, {}, { onProgress })),
  [
    "a series in the directory of a run",
    (w) => measure(w, {}, { directory: folderOf(w, { "config.json": '{"data":1,"steps":3}' }) }),
  ],
  [
    "a series whose records are damaged",
    async (w) => {
      const { directory } = await measure(w, {});
      const { writeFileSync } = await import("node:fs");
      writeFileSync(path.join(directory, "metrics.jsonl"), "{\n{}\n");
      return measure(w, {}, { directory });
    },
  ],
];

/** findCheckpoints. */
export const checkpointListRows: Row[] = [
  ...each("findCheckpoints of", [undefined, null, "step*", [3], [""]], (patterns) =>
    findCheckpoints(patterns),
  ),
  ["a pattern that fits nothing", ({ folder }) => findCheckpoints([`${folder}/step*`])],
];
