import { writeFileSync } from "node:fs";
import path from "node:path";
import { measureProbes, type ProbesConfigurationInput } from "../../lib/index.js";
import { makeProbe } from "../experiments/probes-helpers.js";
import { each, folderOf, type Row, type World } from "./world.js";

const measure = async (world: World, change: object, options: object = {}) => {
  const own = folderOf(world, {});
  await makeProbe(path.join(own, "probes"), 1);
  return measureProbes(
    { probes: path.join(own, "probes"), ...change } as ProbesConfigurationInput,
    { directory: path.join(own, "run"), once: true, ...options } as never,
  );
};

/** measureProbes. */
export const probesRows: Row[] = [
  ...each("the options of probes", [undefined, null, 3, {}], (options) =>
    measureProbes({ probes: "probes" }, options),
  ),
  ...each("the configuration of probes", [undefined, null, "probes", {}], (configuration, w) =>
    measureProbes(configuration, { directory: path.join(w.folder, "unused"), once: true }),
  ),
  ["a key of probes of unknown meaning", (w) => measure(w, { steps: 3 })],
  ...each("the folder of probes", ["", 3, null], (probes, w) => measure(w, { probes })),
  ...each("the program of probes", ["", 3], (program, w) => measure(w, { program })),
  ...each("microBatch of probes", [0, 1.5, "2"], (microBatch, w) => measure(w, { microBatch })),
  ...each("search of probes", [{ tolerance: 2 }, { method: "newton" }, 3], (search, w) =>
    measure(w, { search }),
  ),
  ...each("once of probes", [1, null], (once, w) => measure(w, {}, { once })),
  ...each("untilIdle of probes", [-1, "2", null], (untilIdle, w) => measure(w, {}, { untilIdle })),
  ...each("remove of probes", [1, null], (remove, w) => measure(w, {}, { remove })),
  ...each("directory of probes", [undefined, "", 3], (directory, w) => measure(w, {}, { directory })),
  ["probes that are not there", (w) => measure(w, { probes: path.join(w.folder, "none") })],
  [
    "probes in the directory of a run",
    (w) => measure(w, {}, { directory: folderOf(w, { "config.json": '{"data":1,"steps":3}' }) }),
  ],
  [
    "probes whose records are damaged",
    async (w) => {
      const { directory } = await measure(w, {});
      writeFileSync(path.join(directory, "metrics.jsonl"), "{\n{}\n");
      return measure(w, { probes: path.join(path.dirname(directory), "probes") }, { directory });
    },
  ],
];
