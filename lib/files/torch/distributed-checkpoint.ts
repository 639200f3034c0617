import { existsSync } from "node:fs";
import path from "node:path";
import { throwIfAborted } from "../../errors.js";
import { openFile, unreadable } from "../file.js";
import { readExactly } from "../safetensors.js";
import type { StoredArray, StoredPiece } from "../stored-array.js";
import { largestPickle, readTorchArchive } from "./archive.js";
import { whyNotCovered } from "./cover.js";
import { unpickle } from "./pickle.js";
import { counts, product } from "./tensors.js";
import { badTorchFile, Instance, isStoredArray, Named, Opaque, type TorchValue } from "./values.js";

/** The file that says what a checkpoint holds. */
export const metadataFile = ".metadata";
/** Archives that are read at a time. */
const readers = 16;

/**
 * Reads a folder of torch.distributed.checkpoint: of each name the tensor, in pieces where the processes wrote them, or the plain
 * value. Of the tensors no byte is read.
 *
 * @throws CriticalSharpnessError `ERR_TORCH_FILE` if something in it is missing, damaged or compressed, or parts of a tensor do
 * not make the whole; `ERR_FILE` if a file cannot be read; AbortError
 */
export async function readDistributedCheckpoint(
  directory: string,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<Map<string, TorchValue>> {
  const file = path.join(directory, metadataFile);
  const metadata = await readMetadata(directory, file, signal);
  const places = placesOf(file, fieldOf(metadata, "storage_data"));
  const tasks: (() => Promise<void>)[] = [];
  const values = new Map<string, TorchValue>();
  for (const [name, described] of entriesOf(file, fieldOf(metadata, "state_dict_metadata"))) {
    values.set(name, null);
    const read = (place: Place | undefined) => readPlace(directory, file, name, place, signal);
    if (kindOf(described) === "BytesStorageMetadata") {
      tasks.push(
        async () =>
          void values.set(name, await read(places.get(keyOf(name, null)) ?? places.get(keyOf(name, [])))),
      );
      continue;
    }
    const { array, chunks } = describedTensor(file, name, described);
    const pieces: StoredPiece[] = [];
    values.set(name, { ...array, pieces });
    for (const [i, { start, shape }] of chunks.entries())
      tasks.push(async () => {
        const place =
          places.get(keyOf(name, start)) ?? (chunks.length === 1 ? places.get(keyOf(name, null)) : undefined);
        const part = await read(place);
        pieces[i] = pieceOf(file, name, array, { start, shape }, part);
      });
  }
  await inTurn(tasks, signal);
  return values;
}

async function readMetadata(
  directory: string,
  file: string,
  signal: AbortSignal | undefined,
): Promise<Instance> {
  const expectedFolder = "a checkpoint of torch.distributed";
  if (!existsSync(file)) {
    const inner = ["model_and_optim", "pytorch_model_fsdp_0", "optimizer_0"].find((name) =>
      existsSync(path.join(directory, name, metadataFile)),
    );
    throw badTorchFile(
      directory,
      expectedFolder,
      inner === undefined
        ? `a folder without ${metadataFile}, which is written last: the checkpoint may not be whole`
        : `the folder around it: take "${path.join(directory, inner)}"`,
    );
  }
  throwIfAborted(signal);
  await using handle = await openFile(file, "r").catch((error: unknown) => {
    throw unreadable("a readable file", file, error);
  });
  const stat = await handle.stat();
  if (!stat.isFile()) throw unreadable("a readable file", file, new Error("a directory or device"));
  if (stat.size > largestPickle)
    throw badTorchFile(file, `a pickle of at most ${largestPickle} bytes`, `${stat.size}`);
  const bytes = await readExactly(handle, 0, stat.size);
  const refuse = () => {
    throw badTorchFile(file, "descriptions alone", "a tensor among them");
  };
  const metadata = await unpickle(file, bytes, refuse, signal);
  if (metadata instanceof Instance && kindOf(metadata) === "Metadata") return metadata;
  throw badTorchFile(file, `the metadata of ${expectedFolder}`, "another pickle");
}

const kindOf = (value: unknown): string | undefined =>
  value instanceof Instance ? value.opaque.split(".").at(-1) : undefined;
const fieldOf = (value: unknown, name: string): unknown =>
  value instanceof Instance ? value.fields.get(name) : undefined;

function entriesOf(file: string, value: unknown): [string, unknown][] {
  const entries = value instanceof Map ? [...value] : [];
  if (value instanceof Map && entries.every(([name]) => typeof name === "string")) return entries;
  throw badTorchFile(file, "tensors and values by name", "something else");
}

/** Where a part or a value lies in the folder. */
interface Place {
  relativePath: string;
  byteOffset: number;
  byteLength: number;
  isTransformed: boolean;
}

/** The offset of a part of a tensor; null of a plain value. */
const keyOf = (name: string, offset: readonly number[] | null): string =>
  `${offset === null ? "" : `[${offset.join()}]`} ${name}`;

function placesOf(file: string, value: unknown): Map<string, Place> {
  if (!(value instanceof Map))
    throw badTorchFile(file, "where parts lie", "no storage_data, which FileSystemWriter writes");
  const places = new Map<string, Place>();
  for (const [index, info] of value) {
    const name = fieldOf(index, "fqn");
    const given = fieldOf(index, "offset") ?? null;
    const offset = given === null ? null : counts(given);
    const [relativePath, byteOffset, byteLength] = ["relative_path", "offset", "length"].map((field) =>
      fieldOf(info, field),
    );
    const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
    const isPlace = typeof relativePath === "string" && isCount(byteOffset) && isCount(byteLength);
    if (typeof name !== "string" || offset === undefined || !isPlace)
      throw badTorchFile(file, "a file, an offset and a length of each part", "something else");
    const key = keyOf(name, offset);
    if (places.has(key)) throw badTorchFile(file, `one place of each part of "${name}"`, "two of the same");
    const isTransformed = (fieldOf(info, "transform_descriptors") ?? null) !== null;
    places.set(key, { relativePath, byteOffset, byteLength, isTransformed });
  }
  return places;
}

function describedTensor(file: string, name: string, described: unknown) {
  const refuse = (received: string) => badTorchFile(file, `a dtype, sizes and parts of "${name}"`, received);
  if (kindOf(described) !== "TensorStorageMetadata") throw refuse("something else");
  const properties = fieldOf(fieldOf(described, "properties"), "state");
  const dtype = Array.isArray(properties)
    ? properties[0]
    : fieldOf(fieldOf(described, "properties"), "dtype");
  const shape = counts(fieldOf(described, "size"));
  const parts = fieldOf(described, "chunks");
  if (!(dtype instanceof Named) || !shape || !Array.isArray(parts) || !Number.isSafeInteger(product(shape)))
    throw refuse("others");
  const boxes = parts.map((part) => {
    const [start, size] = [counts(fieldOf(part, "offsets")), counts(fieldOf(part, "sizes"))];
    if (!start || !size) throw refuse("a part without a place");
    return { start, shape: size };
  });
  const why = whyNotCovered(shape, boxes);
  if (why !== undefined) throw badTorchFile(file, `each number of "${name}" [${shape.join(", ")}] once`, why);
  const chunks = boxes.filter((box) => product(box.shape) > 0);
  return { array: { dtype: dtype.name.replace(/^torch\./, "") as StoredArray["dtype"], shape }, chunks };
}

async function readPlace(
  directory: string,
  file: string,
  name: string,
  place: Place | undefined,
  signal: AbortSignal | undefined,
): Promise<TorchValue> {
  if (!place) throw badTorchFile(file, `a place of "${name}"`, "none: the checkpoint is not whole");
  const { relativePath, isTransformed, ...span } = place;
  const leadsOut = path.posix.isAbsolute(relativePath) || /(^|\/)\.\.(\/|$)|[\\\0]/.test(relativePath);
  if (leadsOut)
    throw badTorchFile(file, "files within the folder", JSON.stringify(relativePath.slice(0, 80)));
  if (isTransformed)
    throw badTorchFile(
      file,
      "parts that are stored as they are",
      `"${name}" compressed: save it without extensions of its writer`,
    );
  const part = path.join(directory, relativePath);
  if (!existsSync(part))
    throw badTorchFile(
      directory,
      `the file "${relativePath}", as ${metadataFile} says,`,
      "none: copy or download the whole folder",
    );
  return readTorchArchive(part, span, signal);
}

function pieceOf(
  file: string,
  name: string,
  { dtype }: Pick<StoredArray, "dtype">,
  { start, shape }: { start: readonly number[]; shape: readonly number[] },
  part: TorchValue,
): StoredPiece {
  const what = `${dtype} of shape [${shape.join(", ")}] as a part of "${name}"`;
  if (part instanceof Opaque) throw badTorchFile(file, what, part.opaque);
  const [piece] = isStoredArray(part) ? part.pieces : [];
  if (!isStoredArray(part) || !piece) throw badTorchFile(file, what, "no tensor");
  if (part.dtype !== dtype || part.shape.join() !== shape.join())
    throw badTorchFile(file, what, `${part.dtype} of shape [${part.shape.join(", ")}]`);
  return { ...piece, start };
}

/** A few at a time; the first failure ends all. */
async function inTurn(
  tasks: readonly (() => Promise<void>)[],
  signal: AbortSignal | undefined,
): Promise<void> {
  let next = 0;
  let isOver = false;
  const work = async () => {
    for (let task = tasks[next++]; task && !isOver; task = tasks[next++]) {
      throwIfAborted(signal);
      await task();
    }
  };
  const workers = Array.from({ length: readers }, () =>
    work().catch((error: unknown) => {
      isOver = true;
      throw error;
    }),
  );
  await Promise.all(workers).finally(() => Promise.allSettled(workers));
}
