// The golden cases of test/golden, which PyTorch computed in float64.
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { readSafetensorsHeader, readStoredTensor } from "../../dist/files/safetensors.js";
import { Direction, loadBatches, loadModel } from "../../dist/index.js";
import { native } from "../../dist/torch/load.js";

const folder = path.join(path.dirname(fileURLToPath(import.meta.url)), "../../test/golden");
export const golden = JSON.parse(readFileSync(path.join(folder, "golden.json"), "utf8"));

export async function openCase(name, dtype, device = "cpu") {
  const directory = path.join(folder, "cases", name);
  const batches = await loadBatches(path.join(directory, "batches.safetensors"));
  const { losses, lines } = golden.cases[name];
  return {
    name,
    dtype,
    losses,
    batches,
    model: await loadModel(directory, { dtype, device }),
    vectors: await readSafetensorsHeader(path.join(directory, "vectors.safetensors")),
    lines: [
      { vector: `gradient.${batches.length - 1}`, ...lines.gradient },
      { vector: "adamw", ...lines.adamw },
    ],
  };
}

/** A golden vector, in the model's precision. */
export async function goldenVector({ model, vectors }, vector) {
  const places = model.parameters.map(({ name }) => {
    const { byteOffset, dtype } = vectors.tensors.get(`${vector}/${name}`);
    return { path: vectors.path, byteOffset, dtype };
  });
  return Direction.of(model, await native().loadVector(model.handle, places));
}

/** ‖ours − golden‖ / ‖golden‖ */
export async function distance({ vectors }, vector, ours) {
  let difference = 0;
  let norm = 0;
  for (const [index, { name, size }] of ours.parameters.entries()) {
    const bytes = await ours.handle.read(index, 0, 8 * size);
    const values = ours.dtype === "float64" ? new Float64Array(bytes) : new Float32Array(bytes);
    const stored = vectors.tensors.get(`${vector}/${name}`);
    for (const [i, value] of new Float64Array(await readStoredTensor(vectors.path, stored)).entries()) {
      difference += (values[i] - value) ** 2;
      norm += value ** 2;
    }
  }
  return Math.sqrt(difference / norm);
}
