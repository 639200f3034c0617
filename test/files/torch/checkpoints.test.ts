import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { isStoredArray, readDistributedCheckpoint } from "../../../lib/files/index.js";
import { p, sha256, torchArchive } from "./helpers.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "checkpoint-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A file with two rows of a tensor [2, 3], an archive each, one after the other. */
const rows = [0, 1].map((row) => {
  const numbers = Float32Array.of(3 * row, 3 * row + 1, 3 * row + 2);
  const tensor = p.of(p.tensor(p.storage(3), 0, [1, 3], [3, 1]));
  return torchArchive(tensor, { 0: Buffer.from(numbers.buffer) });
}) as [Buffer, Buffer];
writeFileSync(path.join(folder, "__0_0.distcp"), Buffer.concat(rows));

interface Part {
  offsets: number[];
  sizes: number[];
  place?: { file?: string; offset?: number; length?: number; transforms?: Buffer };
}
const sound: Part[] = [
  { offsets: [0, 0], sizes: [1, 3], place: {} },
  { offsets: [1, 0], sizes: [1, 3], place: { offset: rows[0].length, length: rows[1].length } },
];

/** Reads a checkpoint whose metadata say this of the tensor "w". */
async function read(parts: readonly Part[], { dtype = "float32", size = [2, 3] } = {}) {
  const chunk = ({ offsets, sizes }: Part) =>
    p.instance("metadata.ChunkStorageMetadata", { offsets: p.size(offsets), sizes: p.size(sizes) });
  const tensor = p.instance("metadata.TensorStorageMetadata", {
    properties: p.instance("metadata.TensorProperties", { dtype: p.global("torch", dtype) }),
    size: p.size(size),
    chunks: p.call(p.global("builtins", "list"), p.tuple(...parts.map(chunk))),
  });
  const places = parts.flatMap(({ offsets, place }) => {
    if (!place) return [];
    const { file = "__0_0.distcp", offset = 0, length = rows[0].length, transforms = p.none } = place;
    const index = p.instance("metadata.MetadataIndex", {
      fqn: p.text("w"),
      offset: p.size(offsets),
      index: p.none,
    });
    const info = p.instance("filesystem._StorageInfo", {
      relative_path: p.text(file),
      offset: p.int(offset),
      length: p.int(length),
      transform_descriptors: transforms,
    });
    return [[index, info] as const];
  });
  const metadata = p.instance("metadata.Metadata", {
    state_dict_metadata: p.dict([p.text("w"), tensor]),
    planner_data: p.none,
    storage_data: p.dict(...places),
  });
  writeFileSync(path.join(folder, ".metadata"), p.of(metadata));
  return readDistributedCheckpoint(folder);
}

const [first, second] = sound as [Part, Part];
const at = (place: Part["place"]): Part[] => [first, { ...second, place: { ...second.place, ...place } }];

describe("the parts of a distributed checkpoint", () => {
  it("make the tensor, each where it lies", async () => {
    const array = (await read(sound)).get("w");
    if (!isStoredArray(array)) throw new Error("no tensor");
    // Of the bytes of 0 to 5 as float32, by Python's hashlib.
    expect(await sha256(array)).toBe("e2c0a71510b5394df7773b63fb5f54372b84c3564e67811bde7d665be227976d");
  });

  const unsound: [string, readonly Part[], RegExp][] = [
    ["a path that leads out", at({ file: "../__0_0.distcp" }), /within the folder/],
    ["an absolute path", at({ file: "/etc/passwd" }), /within the folder/],
    ["a path of Windows", at({ file: "..\\x" }), /within the folder/],
    ["a file that is not there", at({ file: "__1_0.distcp" }), /copy or download/],
    ["compressed parts", at({ transforms: p.tuple(p.text("zstd")) }), /compressed/],
    ["a part beyond the file", at({ length: 2 ** 40 }), /truncated/],
    ["a part of another", at({ offset: 0, length: 100 }), /cut short|damaged/],
    ["a negative place", at({ offset: -1 }), /a length of each part/],
    ["a part without a place", [first, { offsets: [1, 0], sizes: [1, 3] }], /not whole/],
    ["a row left out", [first], /once.*leave some out/],
    ["a row twice", [first, first, second], /once|two of the same/],
    ["parts beyond it", [first, { ...second, sizes: [2, 3] }], /beyond it/],
    ["another shape than in the file", [{ ...first, sizes: [2, 3] }], /as a part of "w"/],
  ];
  it.each(unsound)("are refused: %s", async (_, parts, message) => {
    await expect(read(parts)).rejects.toMatchObject({
      code: "ERR_TORCH_FILE",
      message: expect.stringMatching(message),
    });
  });

  it("are refused in another dtype or of a size that cannot be", async () => {
    const code = "ERR_TORCH_FILE";
    await expect(read(sound, { dtype: "int32" })).rejects.toMatchObject({ code });
    await expect(read(sound, { size: [2 ** 40, 2 ** 40] })).rejects.toMatchObject({ code });
    await expect(read(sound, { size: [3, 3] })).rejects.toMatchObject({ code });
  });

  it("are refused with tensors in the metadata, or another pickle there", async () => {
    for (const value of [p.tensor(p.storage(1), 0, [1], [1]), p.int(3), p.dict()]) {
      writeFileSync(path.join(folder, ".metadata"), p.of(value));
      await expect(readDistributedCheckpoint(folder)).rejects.toMatchObject({ code: "ERR_TORCH_FILE" });
    }
  });
});
