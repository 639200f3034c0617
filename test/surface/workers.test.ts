import { Worker } from "node:worker_threads";
import { expect, it } from "vitest";
import { native } from "../../lib/torch/load.js";
import { moduleOf } from "./package.js";

const measuring = new URL("./measuring.mjs", import.meta.url);
const index = moduleOf("index");

function inWorker(): Promise<string> {
  const worker = new Worker(measuring, { workerData: { index } });
  return new Promise((resolve, reject) => {
    let said: string;
    worker.on("message", (message: string) => {
      said = message;
    });
    worker.on("error", reject);
    worker.on("exit", (code) => (code === 0 ? resolve(said) : reject(new Error(`exit code ${code}`))));
  });
}

it("worker threads that measure at once, and the main thread, get the same bits as one alone", async () => {
  const before = native().memory();
  const alone = await inWorker();
  const results = JSON.parse(alone).slice(0, -1) as [string, ...unknown[]][];
  expect(results.map(([status]) => status)).toEqual(Array(60).fill("converged"));
  const main = (await import(measuring.href)) as { measuring(index: string): Promise<string> };
  const together = await Promise.all([inWorker(), main.measuring(index), inWorker(), inWorker()]);
  for (const said of together) expect(said).toBe(alone);
  expect(native().memory()).toEqual(before);
});
