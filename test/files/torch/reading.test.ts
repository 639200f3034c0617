import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import {
  isStoredArray,
  readDistributedCheckpoint,
  readTorchFile,
  type StoredArray,
  storedBytes,
} from "../../../lib/files/index.js";
import { described, expectedFiles, fixture, p, torchArchive } from "./helpers.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "torch-files-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("files of torch.save", () => {
  it.each(Object.entries(expectedFiles.files))("%s has what PyTorch has", async (name, expected) => {
    expect(await described(await readTorchFile(fixture(name)))).toEqual(expected);
  });

  it("keep keys apart that are objects' own in JavaScript", async () => {
    const value = (await readTorchFile(fixture("values-4.pt"))) as ReadonlyMap<unknown, unknown>;
    expect(value.get("__proto__")).toEqual(new Map([["polluted", true]]));
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    expect(value.get(7)).toBe("int key");
  });

  it("give tensors where they lie, those that share a storage too", async () => {
    const value = (await readTorchFile(fixture("odd.pt"))) as ReadonlyMap<string, unknown>;
    const places = ["first", "second", "tied"].map((name) => {
      const array = value.get(name);
      return isStoredArray(array) ? array.pieces[0]?.byteOffset : undefined;
    }) as number[];
    expect(places[1]).toBe((places[0] as number) + 6 * 4);
    expect(places[2]).toBe(places[0]);
  });

  it("stop when they are told to", async () => {
    const signal = AbortSignal.abort();
    await expect(readTorchFile(fixture("adamw.pt"), { signal })).rejects.toMatchObject({ code: "ABORT_ERR" });
  });
});

describe("a tensor's bytes", () => {
  const together = async (array: StoredArray, most?: number) => {
    const all: Buffer[] = [];
    for await (const bytes of storedBytes(array, undefined, most)) all.push(bytes);
    return all;
  };
  it.each([8, 16, 40, 64])("are the same in blocks of at most %i", async (most) => {
    const odd = (await readTorchFile(fixture("odd.pt"))) as ReadonlyMap<string, unknown>;
    const tensors = [...odd.values(), ...(await readDistributedCheckpoint(fixture("ranks-3"))).values()];
    for (const tensor of tensors.filter(isStoredArray)) {
      const blocks = await together(tensor, most);
      for (const block of blocks) expect(block.length).toBeLessThanOrEqual(most);
      expect(Buffer.concat(blocks).equals(Buffer.concat(await together(tensor)))).toBe(true);
    }
  });

  it("are not read with the file", async () => {
    const count = 2 ** 24;
    const file = path.join(folder, "large.pt");
    const tensor = p.of(p.tensor(p.storage(count), 0, [count], [1]));
    writeFileSync(file, torchArchive(tensor, { 0: Buffer.alloc(4 * count) }));
    const before = process.memoryUsage().arrayBuffers;
    expect(isStoredArray(await readTorchFile(file))).toBe(true);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
  });
});

describe("folders of torch.distributed.checkpoint", () => {
  it.each(Object.entries(expectedFiles.checkpoints))("%s has what PyTorch has", async (name, expected) => {
    const found = await readDistributedCheckpoint(fixture(name));
    const all: Record<string, unknown> = {};
    for (const [key, value] of found) all[key] = await described(value);
    expect(all).toEqual(expected);
  });

  it("are pieces of several files", async () => {
    const found = await readDistributedCheckpoint(fixture("ranks-3"));
    const columns = found.get("columns");
    if (!isStoredArray(columns)) throw new Error("no tensor");
    expect(columns.pieces.map(({ start }) => start)).toEqual([
      [0, 0],
      [0, 3],
      [0, 6],
    ]);
    expect(new Set(columns.pieces.map((piece) => path.basename(piece.path))).size).toBe(3);
  });

  it("lie in the folders that torchtitan and OLMo-core make", async () => {
    const titan = path.join(folder, "checkpoint", "step-10");
    cpSync(fixture("ranks-2"), titan, { recursive: true });
    expect((await readDistributedCheckpoint(titan)).size).toBeGreaterThan(10);
    const olmo = path.join(folder, "step10");
    mkdirSync(olmo);
    cpSync(fixture("ranks-2"), path.join(olmo, "model_and_optim"), { recursive: true });
    writeFileSync(path.join(olmo, ".metadata.json"), "{}");
    writeFileSync(path.join(olmo, "config.json"), "{}");
    await expect(readDistributedCheckpoint(olmo)).rejects.toThrow(/take ".*model_and_optim"/);
    expect((await readDistributedCheckpoint(path.join(olmo, "model_and_optim"))).size).toBeGreaterThan(10);
  });

  it("are refused where a file of theirs is missing or cut", async () => {
    const cut = path.join(folder, "cut");
    cpSync(fixture("ranks-2"), cut, { recursive: true });
    rmSync(path.join(cut, "__1_0.distcp"));
    const code = "ERR_TORCH_FILE";
    await expect(readDistributedCheckpoint(cut)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(/__1_0.distcp.*copy or download the whole folder/),
    });
    writeFileSync(path.join(cut, "__1_0.distcp"), "PK");
    await expect(readDistributedCheckpoint(cut)).rejects.toMatchObject({
      code,
      message: expect.stringContaining("the file is truncated"),
    });
    rmSync(path.join(cut, ".metadata"));
    await expect(readDistributedCheckpoint(cut)).rejects.toMatchObject({ code });
    expect(existsSync(cut)).toBe(true);
  });
});
