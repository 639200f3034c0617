// How soon calls on a model of 200 M weights, one tensor, stop: process.exit() in their middle, and an abort.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { duration } from "./shared/results.mjs";

const index = JSON.stringify(new URL("../dist/index.js", import.meta.url).href);

const prelude = (folder) => `
  const { AdamW, createModel, Direction, loadModel } = await import(${index});
  const config = { model_type: "mlp", layer_sizes: [14142, 14142], activation: "relu", loss: "mse" };
  const folder = ${JSON.stringify(folder)};
  const zeros = () => createModel(config, { initialization: "zeros" });
  const withState = async () => {
    const model = await zeros();
    const optimizer = new AdamW(model, { learningRate: 1 });
    const gradient = await Direction.between(model, model);
    await optimizer.accumulate(gradient);
    return { model, optimizer, gradient };
  };`;

/** What comes before a call, and the call, which is given options. */
const calls = {
  createModel: ["", "createModel(config, options)"],
  "loadModel, float64": ["", 'loadModel(folder, { dtype: "float64", ...options })'],
  "model.save": ["const model = await zeros();", 'model.save(folder + "/new", options)'],
  "model.digest": ["const model = await zeros();", "model.digest(options)"],
  "Direction.between": ["const model = await zeros();", "Direction.between(model, model, options)"],
  "direction.scale": [
    "const model = await zeros(); const d = await Direction.between(model, model);",
    "d.scale(2, options)",
  ],
  "optimizer.direction": ["const { optimizer } = await withState();", "optimizer.direction(options)"],
  "optimizer.accumulate": [
    "const { optimizer, gradient } = await withState();",
    "optimizer.accumulate(gradient, options)",
  ],
  "optimizer.step": ["const { optimizer } = await withState();", "optimizer.step(options)"],
};

/** Milliseconds into the call at which it is stopped: within the shortest of them. */
const moment = 60;

/** Runs a module's text; its lines on standard output, its exit code, and when it had ended. */
function run(text) {
  const child = spawn(process.execPath, ["--input-type=module", "-e", text], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.on("data", (chunk) => {
    said += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, lines: said.trim().split("\n"), ended: Date.now() }));
  });
}

/** Without a call: of a process that has libtorch, and holds what the call is given, and does nothing. */
async function exitTime(folder, [before, call = "createModel({ ...config, layer_sizes: [1, 1] })"]) {
  const text = `${prelude(folder)} ${before}
    setTimeout(() => { console.log(Date.now()); process.exit(7); }, ${moment});
    const options = {};
    await ${call};
    console.log("done");`;
  const { code, lines, ended } = await run(text);
  // One that was done before its moment says so; the process ends by itself later, at that moment.
  return { seconds: (ended - Number(lines.at(-1))) / 1000, right: code === 7, done: lines[0] === "done" };
}

async function abortTime(folder, [before, call]) {
  const text = `${prelude(folder)} ${before}
    const controller = new AbortController();
    const options = { signal: controller.signal };
    let aborted;
    setTimeout(() => { aborted = performance.now(); controller.abort(); }, ${moment});
    const outcome = await ${call}.then(() => "done", (error) => error.name);
    console.log(outcome, aborted === undefined ? -1 : performance.now() - aborted);`;
  const [outcome, milliseconds] = (await run(text)).lines[0].split(" ");
  return { outcome, seconds: Number(milliseconds) / 1000 };
}

export async function stoppingRows() {
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-bench-"));
  const rows = [];
  try {
    await run(`${prelude(folder)} await (await zeros()).save(folder);`);
    for (const [name, call] of Object.entries(calls)) {
      const exits = [];
      const idle = [];
      for (let i = 0; i < 3; i++) {
        exits.push(await exitTime(folder, call));
        idle.push(await exitTime(folder, [call[0]]));
      }
      const longestOf = (ends) => Math.max(...ends.map(({ seconds }) => seconds));
      const longest = longestOf(exits);
      const { outcome, seconds } = await abortTime(folder, call);
      const early = exits.filter(({ done }) => done).length;
      rows.push({
        what: `process.exit() in the middle of ${name}, 200 M weights in one tensor`,
        bar: "≤ 1 s",
        measured: duration(longest),
        met: longest <= 1 && exits.every(({ right }) => right),
        detail: `longest of 3, from the call of process.exit() to the end of the process, ${moment} ms into the call${
          early > 0 ? ` (done before in ${early})` : ""
        }; of a process that holds the same and does nothing ${duration(longestOf(idle))}; an abort at that moment: ${seconds < 0 ? "the call was done before" : `${outcome} after ${duration(seconds)}`}`,
      });
      rmSync(path.join(folder, "new"), { recursive: true, force: true });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return rows;
}
