import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { readSafetensorsHeader } from "../../lib/files/safetensors.js";
import { type ComputeDtype, createModel, loadModel, type ModelConfigInput } from "../../lib/index.js";
import { failure, temporaryFolder } from "../data/helpers.js";
import { badArgument, gpt, mlp, randomModel } from "./files.js";

const root = temporaryFolder();
const models: Record<string, ModelConfigInput> = {
  "gpt2, tied": gpt,
  "gpt2, untied, every key": {
    ...gpt,
    tie_word_embeddings: false,
    n_inner: 20,
    activation_function: "relu",
    layer_norm_epsilon: 1e-3,
  },
  mlp,
  "mlp of one layer": { ...mlp, layer_sizes: [2, 3], loss: "cross_entropy" },
};

describe.each(Object.entries(models))("%s", (name, config) => {
  test.each(["float32", "float64", "bfloat16"] as ComputeDtype[])(
    "comes back bit for bit, %s",
    async (dtype) => {
      const folder = path.join(root, `${name} ${dtype}`);
      const model = await randomModel(config, dtype);
      await model.save(folder);
      const again = await loadModel(folder, { dtype });
      expect(await again.digest()).toBe(await model.digest());
      expect(again.config).toEqual(model.config);
      expect(again.parameters).toEqual(model.parameters);
      expect(readdirSync(folder).sort()).toEqual(["config.json", "model.safetensors"]);
    },
  );
});

test("the files are Hugging Face's", async () => {
  const folder = path.join(root, "files");
  const model = await randomModel();
  await model.save(folder);
  const config = JSON.parse(readFileSync(path.join(folder, "config.json"), "utf8"));
  expect(config).toMatchObject({ architectures: ["GPT2LMHeadModel"], ...gpt, tie_word_embeddings: true });
  const { tensors, metadata } = await readSafetensorsHeader(path.join(folder, "model.safetensors"));
  expect(metadata).toEqual({ format: "pt" });
  expect([...tensors.keys()]).toEqual(model.parameters.map((p) => p.name));
  expect([...tensors.values()].map((t) => t.byteOffset % 4)).toEqual(model.parameters.map(() => 0));
  expect(tensors.get("transformer.h.0.attn.c_attn.weight")?.shape).toEqual([8, 24]);
});

test("a directory is made where there is none, and what was there is replaced", async () => {
  const folder = path.join(root, "a", "b", "c");
  const [first, second] = [await randomModel(gpt), await randomModel(mlp)];
  await first.save(folder);
  await second.save(folder);
  expect(await (await loadModel(folder)).digest()).toBe(await second.digest());
});

test("the digest is equal if and only if name, shape, dtype and every bit are", async () => {
  const model = await randomModel(mlp, "float32", 1);
  expect(await (await randomModel(mlp, "float32", 1)).digest()).toBe(await model.digest());
  expect(await (await randomModel(mlp, "bfloat16", 1)).digest()).toBe(await model.digest());
  const others = [
    await randomModel(mlp, "float32", 2),
    await randomModel(mlp, "float64", 1),
    await randomModel({ ...mlp, layer_sizes: [4, 3, 6, 3] }),
    await createModel(mlp, { initialization: "zeros" }),
    await createModel({ ...mlp, layer_sizes: [6, 4, 3] }, { initialization: "zeros" }),
  ];
  const digests = await Promise.all([model, ...others].map((m) => m.digest()));
  expect(new Set(digests).size).toBe(digests.length);
  for (const digest of digests) expect(digest).toMatch(/^[0-9a-f]{64}$/);
});

test("where nothing can be written it is ERR_FILE, and what was there stays", async () => {
  const model = await randomModel();
  const folder = path.join(root, "stays");
  await model.save(folder);
  const bytes = readFileSync(path.join(folder, "model.safetensors"));
  writeFileSync(path.join(root, "plain"), "");
  for (const place of [path.join(root, "plain"), path.join(root, "plain", "below")])
    await expect(model.save(place)).rejects.toEqual(failure("ERR_FILE", place));
  const blocked = path.join(root, "blocked");
  mkdirSync(path.join(blocked, "config.json", "x"), { recursive: true });
  await expect(model.save(blocked)).rejects.toEqual(failure("ERR_FILE", "config.json"));
  model.dispose();
  await expect(model.save(folder)).rejects.toMatchObject({ code: "ERR_DISPOSED" });
  expect(readFileSync(path.join(folder, "model.safetensors"))).toEqual(bytes);
  expect(existsSync(path.join(folder, `model.safetensors.${process.pid}.tmp`))).toBe(false);
  const other = await randomModel();
  for (const wrong of [undefined, null, "", 3, {}, "a\0b"])
    await expect(other.save(wrong as string)).rejects.toEqual(badArgument);
});
