// A user's project in an empty folder, and what must work in it.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { root } from "../run.mjs";

const main = "critical-sharpness";

/** A folder with a package.json that depends on the tarballs, and the programs that the checks run. */
export function writeProject(folder, manager, tarballs) {
  mkdirSync(folder);
  const write = (name, text) => writeFileSync(path.join(folder, name), text);
  const { [main]: own, ...platform } = Object.fromEntries(
    Object.entries(tarballs).map(([name, file]) => [name, `file:${file}`]),
  );
  // The platform package is not in the registry yet: its tarball stands for it.
  const manifest = { private: true, dependencies: { [main]: own }, ...manager.overrides(platform) };
  write("package.json", `${JSON.stringify(manifest, null, 2)}\n`);
  write("yarn.lock", ""); // so that Yarn takes the folder for a project of its own
  const readme = readFileSync(path.join(root, "README.md"), "utf8");
  const [, example] = /^```js\n(.*?)^```$/ms.exec(readme);
  write("example.mjs", example);
  write("require.cjs", 'console.log(Object.keys(require("critical-sharpness")).length);\n');
  write("make-files.mjs", makeFiles);
  write("worker.mjs", worker);
  write("command.mjs", command);
}

/** Writes a model and a batch for the command line. */
const makeFiles = `
import { writeFileSync } from "node:fs";
import { createModel } from "critical-sharpness";
const model = await createModel({ model_type: "mlp", layer_sizes: [4, 16, 3], activation: "gelu", loss: "mse" });
await model.save("model");
const tensors = { inputs: [8, 4], targets: [8, 3] };
const header = {};
let end = 0;
for (const [name, shape] of Object.entries(tensors)) {
  const bytes = 4 * shape[0] * shape[1];
  header[name] = { dtype: "F32", shape, data_offsets: [end, (end += bytes)] };
}
const json = Buffer.from(JSON.stringify(header).padEnd(Math.ceil(JSON.stringify(header).length / 8) * 8));
const length = Buffer.alloc(8);
length.writeBigUInt64LE(BigInt(json.length));
const data = Buffer.from(Float32Array.from({ length: end / 4 }, (_, i) => Math.sin(i)).buffer);
writeFileSync("batch.safetensors", Buffer.concat([length, json, data]));
`;

/** The command by its file: each package manager puts it elsewhere. */
const command = `
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
const manifest = createRequire(import.meta.url).resolve("critical-sharpness/package.json");
await import(pathToFileURL(path.join(path.dirname(manifest), "dist/cli/main.js")));
`;

const worker = `
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { Batch, createModel, criticalSharpness } from "critical-sharpness";
async function measure() {
  const model = await createModel({ model_type: "mlp", layer_sizes: [4, 16, 3], activation: "gelu", loss: "mse" });
  const inputs = Float32Array.from({ length: 32 }, (_, i) => Math.sin(i));
  const batch = Batch.examples({ inputs, targets: new Float32Array(24), shape: [8] });
  const gradient = await model.gradient(batch);
  return (await criticalSharpness({ model, batch, direction: gradient.gradient, gradient })).criticalSharpness;
}
if (isMainThread) {
  const other = new Worker(new URL(import.meta.url));
  const theirs = new Promise((resolve, reject) => other.on("message", resolve).on("error", reject));
  const [a, b] = await Promise.all([measure(), theirs]);
  console.log(a === b ? "same" : "different");
} else parentPort.postMessage(await measure());
`;

function expect(right, what, received) {
  if (!right) throw new Error(`Expected ${what} but received ${String(received).slice(0, 500)}`);
}

/** Each is given the folder and how Node.js is run in it. */
export const checks = {
  "README's embedding example"(_, node) {
    const lines = node("example.mjs").trim().split("\n");
    const right = lines.every((line) => /^\d+ \d\.\d{3} λc \d+\.\d converged$/.test(line));
    expect(right && lines.length === 20, "20 steps that measured", lines.join("\n"));
    return lines.at(-1);
  },
  measure(_, node) {
    node("make-files.mjs");
    const said = node("command.mjs", "measure", "model", "--batch", "batch.safetensors", "--json");
    const { status, criticalSharpness } = JSON.parse(said);
    expect(status === "converged", "a measurement that converged", said);
    return `λc ${criticalSharpness.toPrecision(4)}`;
  },
  doctor(_, node) {
    const {
      problem,
      libtorch,
      forwardPasses,
      node: version,
    } = JSON.parse(node("command.mjs", "doctor", "--json"));
    const right = problem === null && libtorch.source.startsWith("the package @critical-sharpness/");
    expect(right, "no problem, with libtorch from the package", JSON.stringify({ problem, libtorch }));
    return `Node ${version}, forward pass ${forwardPasses[0].milliseconds.toPrecision(2)} ms`;
  },
  require(_, node) {
    const count = Number(node("require.cjs"));
    expect(count > 20, "the package's exports", count);
  },
  "worker threads"(_, node) {
    const said = node("worker.mjs").trim();
    expect(said === "same", "the same λc in two threads", said);
  },
};
