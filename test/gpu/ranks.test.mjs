// A model over two GPUs: the bits of one.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test, { after } from "node:test";
import { native } from "../../dist/torch/load.js";
import { onGpu } from "./device.mjs";

const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-gpu-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const { devices } = (await native().info()).cuda;
const skip = onGpu && devices.length < 2 ? "needs two GPUs" : false;

const config = {
  model_type: "llama",
  vocab_size: 301,
  max_position_embeddings: 64,
  hidden_size: 96,
  intermediate_size: 200,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
};

/** What test/ranks/program.mjs prints with so many ranks. */
function found(ranks, dtype) {
  const own = path.join(folder, `${ranks}-${dtype}`);
  mkdirSync(own);
  const root = path.resolve(import.meta.dirname, "../..");
  const given = {
    config,
    rows: 5,
    length: 16,
    microBatch: 1,
    dtype,
    device: onGpu ? "cuda" : "cpu",
    folder: own,
  };
  const program = [path.join(root, "test/ranks/program.mjs"), JSON.stringify(given)];
  const launched = [
    path.join(root, "dist/cli/main.js"),
    "launch",
    "--ranks",
    String(ranks),
    "--",
    process.execPath,
  ];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [...(ranks > 1 ? launched : []), ...program],
    { encoding: "utf8" },
  );
  assert.equal(status, 0, stderr);
  return { ...JSON.parse(stdout), size: undefined };
}

for (const dtype of ["float32", "bfloat16"])
  test(`${dtype}: losses, λc, weights and states of two ranks are those of one process`, { skip }, () => {
    assert.deepEqual(found(2, dtype), found(1, dtype));
  });
