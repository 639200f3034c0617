import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, expect, test } from "vitest";
import { loadModel, type Model } from "../../lib/models/index.js";
import { failure, put, temporaryFolder } from "../data/helpers.js";
import { badArgument, float32, int64, type RawTensor, randomModel, raw, rewrite } from "./files.js";

const root = temporaryFolder();
let count = 0;
let folder: string;
let file: string;
let model: Model;
beforeEach(async () => {
  folder = path.join(root, String(count++));
  file = path.join(folder, "model.safetensors");
  model = await randomModel();
  await model.save(folder);
});

const without = (tensors: Record<string, RawTensor>, name: string) => {
  const { [name]: _, ...rest } = tensors;
  return rest;
};
const rejects = (code: string, ...parts: string[]) =>
  Promise.all(parts.map((part) => expect(loadModel(folder)).rejects.toEqual(failure(code, part))));
const norm = "transformer.h.1.ln_2.bias";

test("no directory, no configuration, no weights", async () => {
  rmSync(file);
  await rejects("ERR_FILE", file);
  rmSync(path.join(folder, "config.json"));
  await rejects("ERR_FILE", "config.json");
  await expect(loadModel(path.join(root, "nowhere"))).rejects.toEqual(failure("ERR_FILE", "nowhere"));
  await expect(loadModel(file)).rejects.toEqual(failure("ERR_FILE", "config.json"));
});

test("a configuration that is no JSON, or of another model", async () => {
  put(folder, "config.json", "{");
  await rejects("ERR_MODEL_FILE", "config.json");
  put(folder, "config.json", JSON.stringify({ model_type: "bert" }));
  await rejects("ERR_OUT_OF_RANGE", "config.model_type");
  put(folder, "config.json", "null");
  await rejects("ERR_INVALID_ARG_TYPE", "the model configuration");
});

test("weights in another format than safetensors, with the way out", async () => {
  rmSync(file);
  for (const pickle of ["pytorch_model.bin.index.json", "pytorch_model.bin"]) {
    put(folder, pickle, "");
    await rejects("ERR_MODEL_FILE", file, pickle, "save_pretrained");
  }
});

test("a missing tensor", async () => {
  await rewrite(file, (tensors) => without(tensors, norm));
  await rejects("ERR_MODEL_FILE", folder, norm);
});

test("a surplus tensor", async () => {
  await rewrite(file, (tensors) => ({
    ...tensors,
    "transformer.h.2.ln_1.bias": float32([8], Array(8).fill(0)),
  }));
  await rejects("ERR_MODEL_FILE", folder, "transformer.h.2.ln_1.bias");
  // An untied head is one where the configuration knows of none but the tied.
  await rewrite(file, (tensors) => without(tensors, "transformer.h.2.ln_1.bias"));
  put(folder, "config.json", JSON.stringify({ ...model.config, tie_word_embeddings: false }));
  await rejects("ERR_MODEL_FILE", folder, "lm_head.weight");
});

test("a tensor of another shape, also one of as many numbers", async () => {
  for (const shape of [[9], [2, 4], []]) {
    const values = Array(shape.reduce((a, b) => a * b, 1)).fill(0);
    await rewrite(file, (tensors) => ({ ...tensors, [norm]: float32(shape, values) }));
    await rejects("ERR_MODEL_FILE", file, norm, `[${shape}]`);
  }
});

test("a tensor of integers, or of a dtype that we do not read", async () => {
  await rewrite(file, (tensors) => ({ ...tensors, [norm]: int64([8], [1, 2, 3, 4, 5, 6, 7, 8]) }));
  await rejects("ERR_MODEL_FILE", file, norm, "int64");
  await rewrite(file, (tensors) => ({ ...tensors, [norm]: raw("I8", [8], new Uint8Array(8)) }));
  await rejects("ERR_MODEL_FILE", folder, norm);
});

test("a truncated file, at every kind of place", async () => {
  const whole = readFileSync(file);
  const headerLength = Number(whole.readBigUInt64LE());
  for (const length of [0, 7, 8, 20, 8 + headerLength - 1, 8 + headerLength, whole.length - 1]) {
    writeFileSync(file, whole.subarray(0, length));
    await rejects("ERR_SAFETENSORS", file);
  }
  await rejects("ERR_SAFETENSORS", "transformer.ln_f.bias"); // the last one's byte is missing
});

test("an index that does not lead to files beside it, or twice to a tensor", async () => {
  const copies = ["copy.safetensors", "again.safetensors"];
  for (const copy of copies) put(folder, copy, readFileSync(file));
  rmSync(file);
  const index = (value: unknown) => put(folder, "model.safetensors.index.json", JSON.stringify(value));
  for (const value of [{}, { weight_map: {} }, { weight_map: null }, null, [], 3]) {
    index(value);
    await rejects("ERR_MODEL_FILE", "model.safetensors.index.json");
  }
  for (const shard of ["../model.safetensors", "/etc/passwd", ".hidden", "a/b", 3, null]) {
    index({ weight_map: { x: shard } });
    await rejects("ERR_MODEL_FILE", "model.safetensors.index.json", JSON.stringify(shard));
  }
  index({ weight_map: { x: "none.safetensors" } });
  await rejects("ERR_FILE", "none.safetensors");
  index({ weight_map: { x: copies[0], y: copies[1] } });
  await rejects("ERR_MODEL_FILE", ...copies, "transformer.wte.weight");
});

test("arguments that are none", async () => {
  for (const directory of [undefined, null, 3, "", "a\0b", {}])
    await expect(loadModel(directory as string)).rejects.toEqual(badArgument);
  for (const options of [null, 3, { dtype: "float16" }, { dtype: null }, { device: "gpu" }, { device: 0 }])
    await expect(loadModel(folder, options as object)).rejects.toEqual(badArgument);
});
