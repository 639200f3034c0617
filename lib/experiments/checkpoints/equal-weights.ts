import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import path from "node:path";
import { throwIfAborted } from "../../errors.js";
import { openFile, readExactly, type StoredTensor } from "../../files/index.js";
import { findTensors, inOneBlock } from "../../models/index.js";
import type { ListedCheckpoint } from "./checkpoint-list.js";

/** A tensor in a file of weights. */
type Place = StoredTensor & { path: string };

/** Bytes of a tensor that a first look takes, and bytes that are hashed at a time. */
const glance = 64;
const chunk = 1 << 20;

/**
 * Groups of checkpoints whose weights are the same, tensor by tensor, bit for bit: published series have had such. A few bytes of every tensor
 * tell nearly all apart; only what these leave is read whole. Of a checkpoint that cannot be read nothing is said: measuring it will.
 *
 * @returns each group in the order of the series
 */
export async function equalWeights(
  checkpoints: readonly ListedCheckpoint[],
  signal?: AbortSignal | undefined,
): Promise<ListedCheckpoint[][]> {
  const found: { checkpoint: ListedCheckpoint; places: Place[]; key: string }[] = [];
  for (const checkpoint of checkpoints) {
    throwIfAborted(signal);
    try {
      const places = await placesOf(checkpoint.directory, signal);
      found.push({ checkpoint, places, key: await digest(places, glance, signal) });
    } catch (error) {
      throwIfAborted(signal);
      if (!(error instanceof Error)) throw error;
    }
  }
  const groups: ListedCheckpoint[][] = [];
  for (const alike of groupBy(found, ({ key }) => key)) {
    if (alike.length < 2) continue;
    const whole: { checkpoint: ListedCheckpoint; key: string }[] = [];
    for (const { checkpoint, places } of alike)
      whole.push({ checkpoint, key: await digest(places, Infinity, signal) });
    for (const same of groupBy(whole, ({ key }) => key))
      if (same.length > 1) groups.push(same.map(({ checkpoint }) => checkpoint));
  }
  return groups;
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return [...groups.values()];
}

async function placesOf(place: string, signal: AbortSignal | undefined): Promise<Place[]> {
  const adapter = path.join(place, "adapter_model.safetensors");
  const { tensors } = await findTensors(existsSync(adapter) ? adapter : place, signal);
  return [...tensors.values()].map(inOneBlock).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** SHA-256 over names, types, shapes, and up to `most` bytes from the middle of each tensor on. */
async function digest(
  places: readonly Place[],
  most: number,
  signal: AbortSignal | undefined,
): Promise<string> {
  const hash = createHash("sha256");
  for (const { path: file, name, dtype, shape, byteOffset, byteLength } of places) {
    throwIfAborted(signal);
    hash.update(`${name}:${dtype}[${shape}]\n`);
    const start = most < byteLength ? byteOffset + ((byteLength - most) >> 1) : byteOffset;
    const end = start + Math.min(most, byteLength);
    await using open = await openFile(path.resolve(file), "r");
    for (let at = start; at < end; at += chunk) {
      throwIfAborted(signal);
      hash.update(await readExactly(open, at, Math.min(chunk, end - at)));
    }
  }
  return hash.digest("hex");
}
