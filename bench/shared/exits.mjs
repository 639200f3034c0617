// Processes that measure and end in different ways, each in the middle of a job where that is possible.
import { spawn } from "node:child_process";

const index = JSON.stringify(new URL("../../dist/index.js", import.meta.url).href);

/** `measure()` is one measurement; `long()` a job of many seconds. */
const prelude = `
  const { Batch, createModel, criticalSharpness } = await import(${index});
  const model = await createModel({ model_type: "mlp", layer_sizes: [8, 32, 4], activation: "gelu", loss: "mse" });
  const examples = (rows) => Batch.examples({
    inputs: Float32Array.from({ length: 8 * rows }, (_, i) => Math.sin(i)), targets: new Float32Array(4 * rows), shape: [rows] });
  const [batch, large] = [examples(16), examples(100000)];
  const long = () => model.loss(large, { microBatch: 1 });
  const measure = async () => {
    const gradient = await model.gradient(batch);
    const { status } = await criticalSharpness({ model, batch, direction: gradient.gradient, gradient });
    if (status !== "converged") throw new Error(status);
  };
  await measure();`;

const worker = JSON.stringify(`(async () => { ${prelude}
  long(); long(); measure();
  require("node:worker_threads").parentPort.postMessage(1); })()`);

/** What each process runs, and how it must end: [exit code, signal]. `error`: what it says on standard error. */
export const endings = {
  return: { text: `${prelude} console.log("ready");`, ends: [0, null] },
  "process.exit": {
    text: `${prelude} long(); console.log("ready"); setTimeout(() => process.exit(7), 20);`,
    ends: [7, null],
  },
  exception: {
    text: `${prelude} long(); console.log("ready"); setTimeout(() => { throw new Error("on purpose"); }, 20);`,
    ends: [1, null],
    error: "Error: on purpose",
  },
  SIGTERM: {
    text: `${prelude} long(); console.log("ready");`,
    ends: [null, "SIGTERM"],
    kill: true,
  },
  "worker terminated": {
    text: `${prelude}
      const { Worker } = await import("node:worker_threads");
      const worker = new Worker(${worker}, { eval: true, execArgv: [] });
      await new Promise((resolve) => worker.once("message", resolve));
      const mine = measure(); // behind the worker's jobs
      if ((await worker.terminate()) !== 1) throw new Error("exit code of the worker");
      await mine;
      await measure();
      console.log("ready");`,
    ends: [0, null],
  },
};

/** Runs one; what was wrong with how it ended, or undefined. */
export function end(name) {
  const { text, ends, error, kill } = endings[name];
  const child = spawn(process.execPath, ["--input-type=module", "-e", text], {
    env: { ...process.env, OMP_NUM_THREADS: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (said) => {
    stdout += said;
    if (kill) child.kill();
  });
  child.stderr.on("data", (said) => {
    stderr += said;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (...ended) => {
      const quiet = error
        ? stderr.includes(error) && !/terminate called|libtorch|CANCELLED/.test(stderr)
        : stderr === "";
      const right = ended[0] === ends[0] && ended[1] === ends[1] && stdout === "ready\n" && quiet;
      resolve(right ? undefined : `${name}: ended with ${ended}, said ${stdout}${stderr}`);
    });
  });
}
