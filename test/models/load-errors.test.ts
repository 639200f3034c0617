import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { loadModel, type Model } from "../../lib/models/index.js";
import { failure, put, temporaryFolder } from "../data/helpers.js";
import { badArgument, float32, int64, pack, type RawTensor, randomModel, raw, rewrite } from "./files.js";

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

test("weights of torch.save that are none", async () => {
  rmSync(file);
  put(folder, "pytorch_model.bin.index.json", "");
  await rejects("ERR_MODEL_FILE", "pytorch_model.bin.index.json", "JSON");
  put(folder, "pytorch_model.bin", "");
  await rejects("ERR_TORCH_FILE", path.join(folder, "pytorch_model.bin"));
});

test("weights under another name", async () => {
  renameSync(file, path.join(folder, "model.fp16.safetensors"));
  await rejects("ERR_MODEL_FILE", file, "model.fp16.safetensors", "rename it");
});

describe("what stands in a model's place is called by its name, with what helps:", () => {
  const config = () => path.join(folder, "config.json");
  const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";

  test("pointers of Git LFS", async () => {
    put(folder, "model.safetensors", pointer);
    await rejects("ERR_SAFETENSORS", file, "a pointer of Git LFS", "git lfs pull");
    put(folder, "config.json", pointer);
    await rejects("ERR_MODEL_FILE", config(), "a pointer of Git LFS", "git lfs pull");
  });

  test("a run", async () => {
    put(folder, "config.json", '{"model": {"model_type": "mlp"}, "steps": 5}');
    await rejects("ERR_INVALID_ARG_TYPE", "config.model_type");
    put(folder, "metrics.jsonl", "");
    await rejects("ERR_MODEL_FILE", config(), "a run's", path.join(folder, "checkpoint"));
  });

  test("a PEFT adapter, alone or beside a model", async () => {
    put(folder, "adapter_config.json", '{"base_model_name_or_path": "org/base", "peft_type": "LORA"}');
    await rejects("ERR_MODEL_FILE", folder, "a PEFT adapter", "org/base", "remove adapter_config.json");
    rmSync(config());
    await rejects("ERR_FILE", config(), "a PEFT adapter", "org/base", "merge_and_unload().save_pretrained");
    put(folder, "adapter_config.json", "null");
    await rejects("ERR_FILE", config(), "a PEFT adapter", '"BASE"');
  });

  test("folders of checkpoints, of adapters, of the hub", async () => {
    const above = path.join(folder, "out");
    for (const name of ["checkpoint-9", "checkpoint-100"]) {
      mkdirSync(path.join(above, name), { recursive: true });
      put(path.join(above, name), "adapter_config.json", "{}");
    }
    const said = async (directory: string, ...parts: string[]) => {
      for (const part of parts) await expect(loadModel(directory)).rejects.toEqual(failure("ERR_FILE", part));
    };
    await said(above, "a folder of PEFT adapters", "Direction.fromAdapter");
    for (const name of ["checkpoint-9", "checkpoint-100"]) put(path.join(above, name), "config.json", "{}");
    await said(above, "a folder of 2 models", path.join(above, "checkpoint-100"));
    const cache = path.join(folder, "models--org--name");
    mkdirSync(path.join(cache, "snapshots", "4d7a"), { recursive: true });
    await said(cache, "the Hugging Face hub's cache", path.join(cache, "snapshots", "4d7a"));
    await said("org/name-1b", "hf download org/name-1b --local-dir name-1b");
    await said(file, "a file: a model is the folder", `"${folder}"`);
    const other = path.join(folder, "other");
    mkdirSync(other);
    await said(other, "an empty folder");
    put(other, "tokenizer.json", "{}");
    await said(other, "a folder without it (tokenizer.json)");
    for (const [name, part] of [
      ["model_index.json", "diffusers"],
      ["a.gguf", "GGUF"],
      ["params.json", "Meta's own format"],
      ["__0_0.distcp", "torch.distributed"],
    ] as const) {
      put(other, name, "");
      await said(other, part);
      rmSync(path.join(other, name));
    }
  });
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
  // A head of its own is missing where the configuration knows of none but the tied.
  await rewrite(file, (tensors) => without(tensors, "transformer.h.2.ln_1.bias"));
  put(folder, "config.json", JSON.stringify({ ...model.config, tie_word_embeddings: false }));
  await rejects("ERR_MODEL_FILE", folder, "lm_head.weight", "tie_word_embeddings: true");
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
  for (const [dtype, said] of [
    ["I8", "int8"],
    ["U8", "uint8"],
    ["F8_E4M3", "float8_e4m3fn"],
    ["BOOL", "bool"],
  ] as const) {
    await rewrite(file, (tensors) => ({ ...tensors, [norm]: raw(dtype, [8], new Uint8Array(8)) }));
    await rejects("ERR_MODEL_FILE", file, norm, said, "not quantized");
  }
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
  index({ weight_map: { "transformer.wte.weight": copies[0], "transformer.wte.bias": copies[0] } });
  await rejects(
    "ERR_MODEL_FILE",
    "model.safetensors.index.json",
    "transformer.wte.bias",
    "none of that name",
  );
  put(folder, copies[1] as string, pack({ "transformer.wte.bias": float32([1], [0]) }));
  index({ weight_map: { "transformer.wte.weight": copies[0], "transformer.ln_f.bias": copies[1] } });
  await rejects("ERR_MODEL_FILE", "model.safetensors.index.json", `it in "${copies[0]}"`);
  put(folder, "model.safetensors.index.json", "version https://git-lfs.github.com/spec/v1\n");
  await rejects("ERR_MODEL_FILE", "model.safetensors.index.json", "git lfs pull");
});

test("arguments that are none", async () => {
  for (const directory of [undefined, null, 3, "", "a\0b", {}])
    await expect(loadModel(directory as string)).rejects.toEqual(badArgument);
  for (const options of [null, 3, { dtype: "float16" }, { dtype: null }, { device: "gpu" }, { device: 0 }])
    await expect(loadModel(folder, options as object)).rejects.toEqual(badArgument);
});
