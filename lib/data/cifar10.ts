import { readFile } from "node:fs/promises";
import { badData, unreadable } from "./errors.js";
import type { ExampleSet } from "./examples.js";
import { listFiles } from "./texts.js";

const pixels = 32 * 32;
const features = 3 * pixels;
const record = 1 + features;

/**
 * CIFAR-10 in its binary layout: of each image a label byte (0–9), then 3,072 bytes, the red, green and blue planes.
 * Inputs are scaled so that each colour has mean 0 and standard deviation 1 over the set.
 *
 * @param paths files, or folders whose `*.bin` are read in order of their names.
 * @throws CriticalSharpnessError `ERR_FILE`, `ERR_DATA` naming file and record.
 */
export async function loadCifar10(paths: readonly string[]): Promise<ExampleSet> {
  const files = await listFiles(paths, ".bin");
  if (files.length === 0) throw badData("at least one file of images", "paths", "none");
  const parts: Buffer[] = [];
  for (const file of files) {
    const bytes = await readFile(file).catch((error) => {
      throw unreadable("a readable file", file, error);
    });
    if (bytes.length === 0 || bytes.length % record !== 0)
      throw badData(`images of ${record} bytes each`, `"${file}"`, `a file of ${bytes.length} bytes`);
    for (let at = 0; at < bytes.length; at += record)
      if ((bytes[at] as number) > 9)
        throw badData("a label 0–9", `image ${at / record} of "${file}"`, `${bytes[at]}`);
    parts.push(bytes);
  }
  const all = Buffer.concat(parts);
  const count = all.length / record;
  const targets = Uint8Array.from({ length: count }, (_, i) => all[i * record] as number);
  const inputs = new Float32Array(count * features);
  for (const [plane, { scale, offset }] of planeScales(all, count).entries())
    for (let image = 0; image < count; image++) {
      const from = image * record + 1 + plane * pixels;
      const to = image * features + plane * pixels;
      for (let p = 0; p < pixels; p++) inputs[to + p] = (all[from + p] as number) * scale + offset;
    }
  return { name: files.join(", "), count, features, outputs: 10, inputs, targets };
}

/** For each colour the scale and offset that give its bytes mean 0 and standard deviation 1. */
function planeScales(all: Buffer, count: number): { scale: number; offset: number }[] {
  return [0, 1, 2].map((plane) => {
    let sum = 0;
    let squares = 0;
    for (let image = 0; image < count; image++) {
      const from = image * record + 1 + plane * pixels;
      for (let p = from; p < from + pixels; p++) {
        const value = all[p] as number;
        sum += value;
        squares += value * value;
      }
    }
    const mean = sum / (count * pixels);
    const deviation = Math.sqrt(Math.max(0, squares / (count * pixels) - mean * mean)) || 1;
    return { scale: 1 / deviation, offset: -mean / deviation };
  });
}
