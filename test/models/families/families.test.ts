import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { readSafetensorsHeader } from "../../../lib/files/safetensors.js";
import {
  Curvature,
  createModel,
  type Direction,
  loadBatch,
  loadModel,
  type ModelConfigInput,
} from "../../../lib/models/index.js";
import { criticalSharpness } from "../../../lib/sharpness/index.js";
import { temporaryFolder } from "../../data/helpers.js";
import { relative } from "../../golden/golden.js";
import { configOf, distance, far, folderOf, names, openCase, step } from "./cases.js";

const root = temporaryFolder();
/** With the auxiliary loss, which is each micro-batch's own, and of padding tokens too. */
const isBalanced = (name: string) => name.endsWith("-balanced");
const precisions = [
  { dtype: "float64", ofLoss: 1e-12, ofGradient: 1e-12 },
  { dtype: "float32", ofLoss: 2e-6, ofGradient: 1e-5 },
] as const;

describe.each(names)("%s", (name) => {
  test.each(precisions)("loss, gradient and θ − ηΔ are transformers', $dtype", async (precision) => {
    const { model, batch, loss, movedLoss, ...open } = await openCase(name, precision.dtype);
    const digest = await model.digest();
    const gradient = await open.vector("gradient");
    const received = await model.gradient(batch);
    expect(relative(received.loss, loss)).toBeLessThan(precision.ofLoss);
    expect(await model.loss(batch)).toBe(received.loss);
    expect(await distance(received.gradient, gradient)).toBeLessThan(precision.ofGradient);
    const moved = (mode: "view" | "in-place") =>
      model.loss(batch, { perturbation: { direction: gradient, learningRate: step, mode } });
    expect(relative(await moved("view"), movedLoss)).toBeLessThan(precision.ofLoss);
    expect(await moved("in-place")).toBe(await moved("view"));
    expect(await model.digest()).toBe(digest);
  });

  test("micro-batches add up, and bfloat16 is near", async () => {
    const { model, batch, loss, ...open } = await openCase(name, "float64");
    const parts = await model.gradient(batch, isBalanced(name) ? {} : { microBatch: 1 });
    expect(relative(parts.loss, loss)).toBeLessThan(1e-12);
    expect(await distance(parts.gradient, await open.vector("gradient"))).toBeLessThan(1e-12);
    const rounded = await openCase(name, "bfloat16");
    expect(relative(await rounded.model.loss(batch), loss)).toBeLessThan(2e-2);
    const { gradient } = await rounded.model.gradient(batch);
    // A token at the edge between two experts takes the other one.
    const near = /^(mixtral|olmoe|.*-moe)/.test(name) ? 0.2 : 0.1;
    expect(await distance(gradient, await rounded.vector("gradient"))).toBeLessThan(near);
  });

  test.skipIf(isBalanced(name))("padding on either side and packing give transformers' loss", async () => {
    const { model, raggedLoss } = await openCase(name, "float64");
    const gradients = [];
    for (const kind of ["right", "left", "packed"]) {
      const batch = await loadBatch(path.join(folderOf(name), `${kind}.safetensors`));
      const { loss, gradient } = await model.gradient(batch);
      expect([kind, relative(loss, raggedLoss) < 1e-12]).toEqual([kind, true]);
      gradients.push(gradient);
    }
    const [right, left, packed] = gradients as [Direction, Direction, Direction];
    expect(await distance(left, right)).toBeLessThan(1e-13);
    expect(await distance(packed, right)).toBeLessThan(1e-13);
  });

  test("Hessian-vector products are PyTorch's double backward", async () => {
    const { model, batch, slope, ...open } = await openCase(name, "float64");
    const [vector, expected] = [await open.vector("vector"), await open.vector("product")];
    for (const microBatch of isBalanced(name) ? [undefined] : [undefined, 2]) {
      const received = await new Curvature(model, batch, { microBatch }).product(vector);
      expect(Math.abs(received.slope - slope)).toBeLessThan(1e-12);
      expect(await distance(received.product, expected)).toBeLessThan(1e-12);
    }
    const narrow = await openCase(name, "float32");
    const { product } = await new Curvature(narrow.model, batch).product(await narrow.vector("vector"));
    expect(await distance(product, await narrow.vector("product"))).toBeLessThan(2e-5);
  });

  test("tokens change experts along the line where transformers' do", async () => {
    const { model, batch, expertChanges, ...open } = await openCase(name, "float64");
    const direction = await open.vector("gradient");
    const options = { perturbation: { direction, learningRate: far } };
    expect(model.hasExperts).toBe(expertChanges !== undefined);
    expect(await model.expertChanges(batch, options)).toEqual(expertChanges ?? { tokens: 0, of: 0 });
    expect(await model.expertChanges(batch, { ...options, microBatch: 2 })).toEqual(
      expertChanges ?? { tokens: 0, of: 0 },
    );
    expect((await model.expertChanges(batch, { perturbation: { direction, learningRate: 0 } })).tokens).toBe(
      0,
    );
    if (expertChanges === undefined) return;
    const found = await criticalSharpness({ model, batch, direction, initialLearningRate: 0.1 });
    expect(found.status).toBe("converged");
    expect(found.expertChanges?.of).toBe(expertChanges.of);
  });

  test("comes back from a file bit for bit, with its configuration", async () => {
    const model = await loadModel(folderOf(name));
    const folder = path.join(root, name);
    await model.save(folder);
    const again = await loadModel(folder);
    expect(await again.digest()).toBe(await model.digest());
    expect(again.config).toEqual(model.config);
    const saved = JSON.parse(readFileSync(path.join(folder, "config.json"), "utf8"));
    const ownHead = name.endsWith("-other-head") && { tie_word_embeddings: false };
    expect(saved).toMatchObject({ ...configOf(name), ...ownHead });
    const tensors = async (directory: string) =>
      [...(await readSafetensorsHeader(path.join(directory, "model.safetensors"))).tensors.keys()].sort();
    const buffers = /inv_freq|attention\.bias/;
    // Experts' matrices are saved one by one, as they are published.
    if (name.endsWith("-fused"))
      expect(await tensors(folder)).toEqual(again.parameters.map((parameter) => parameter.name).sort());
    else
      expect(await tensors(folder)).toEqual((await tensors(folderOf(name))).filter((t) => !buffers.test(t)));
  });

  test("starts with weights N(0, initializer_range²) and norms that multiply by 1", async () => {
    const config = {
      ...configOf(name),
      vocab_size: 4000,
      initializer_range: 0.03,
    } as unknown as ModelConfigInput;
    const model = await createModel(config, { dtype: "float64", seed: 1, initialization: "normal" });
    const deviation = configOf(name).model_type === "gpt2" ? 0.02 : 0.03;
    const [embedding] = model.parameters;
    const bytes = await model.handle.read(0, 0, 8 * (embedding?.size ?? 0));
    const values = new Float64Array(bytes);
    const square = values.reduce((sum, v) => sum + v * v, 0) / values.length;
    expect(relative(Math.sqrt(square), deviation)).toBeLessThan(0.02);
    for (const [index, parameter] of model.parameters.entries()) {
      if (parameter.shape.length > 1) continue;
      const first = new Float64Array(await model.handle.read(index, 0, 8))[0];
      const one = parameter.name.endsWith("weight") && !/^gemma/.test(String(configOf(name).model_type));
      expect([parameter.name, first]).toEqual([parameter.name, one ? 1 : 0]);
    }
  });
});
