import path from "node:path";
import { runFiles } from "../experiments/run-directory.js";
import { readSafetensorsHeader } from "../models/safetensors.js";

/** Number of weights of a run's model, from its checkpoint; a tied one counts once. Undefined before the first. */
export async function parameterCount(directory: string): Promise<number | undefined> {
  const file = path.join(directory, runFiles.checkpoint, "model.safetensors");
  const header = await readSafetensorsHeader(file).catch(() => undefined);
  if (!header) return undefined;
  let count = 0;
  for (const { shape } of header.tensors.values()) count += shape.reduce((n, size) => n * size, 1);
  return count;
}
