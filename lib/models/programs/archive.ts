import {
  readZipDirectory,
  readZipMember,
  type ZipDirectory,
  type ZipMember,
  zipMember,
} from "../../files/index.js";
import type { NativeProgramDtype, NativeStoredTensor } from "../../torch/index.js";
import { badModelFile } from "../found-tensors.js";
import {
  dtypeName,
  dtypeOf,
  layoutName,
  parse,
  payloadSchema,
  payloadsSchema,
  stridedLayout,
  type TensorMeta,
} from "./schema.js";

/** A stored tensor; its elements lie before the byte `end` of the file. */
export interface StoredTensor extends NativeStoredTensor {
  requiresGrad: boolean;
  end: number;
}

/** What torch.export.save writes: members under one folder. Reads names, JSON and where tensors lie; pickles are never opened. */
export interface ProgramArchive {
  readonly path: string;
  json(name: string): Promise<unknown>;
  /** Of `data/weights` or `data/constants`, by the names that the program has for them. */
  tensors(kind: "weights" | "constants"): Promise<(name: string) => StoredTensor>;
}

const expectedFile = "a file of torch.export.save (PyTorch 2.9 or later)";
/** JSON that is read at once: V8 has no strings of more than 2²⁹ characters. A node takes about 2 kB. */
const largestJson = 2 ** 28;
const largestMark = 64;
const widths: Readonly<Record<NativeProgramDtype, number>> = {
  bool: 1,
  uint8: 1,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  float16: 2,
  bfloat16: 2,
  float32: 4,
  float64: 8,
};

/** @throws CriticalSharpnessError `ERR_MODEL_FILE` that says what it is instead. */
export async function openProgram(path: string, signal: AbortSignal | undefined): Promise<ProgramArchive> {
  const directory = await readZipDirectory(path, signal);
  const other = otherArchive(directory);
  if (other !== undefined) throw badModelFile(path, expectedFile, other);
  const folder = directory.names[0]?.split("/")[0];
  const member = (name: string): ZipMember => {
    const found = zipMember(directory, `${folder}/${name}`);
    if (found) return found;
    throw badModelFile(path, expectedFile, `an archive without ${name}${programs(directory)}`);
  };
  const text = async (name: string, limit: number) =>
    (await readZipMember(directory, member(name), limit, signal)).toString("utf8");
  const mark = async (name: string, wanted: string) => {
    const found = await text(name, largestMark);
    if (found !== wanted)
      throw badModelFile(path, expectedFile, `one whose ${name} is ${JSON.stringify(found)}`);
  };
  await mark("archive_format", "pt2");
  await mark("byteorder", "little");
  const json = async (name: string): Promise<unknown> => {
    const content = await text(name, largestJson);
    try {
      return JSON.parse(content);
    } catch (error) {
      throw badModelFile(path, `JSON in ${name}`, (error as Error).message);
    }
  };
  return { path, json, tensors: (kind) => readTensors(path, kind, json, member) };
}

/** What an archive is that torch.export.save of today has not written. */
function otherArchive({ names, stored, packed }: ZipDirectory): string | undefined {
  const has = (ending: RegExp) => names.some((name) => ending.test(name));
  if (has(/(^|\/)data\/aotinductor\//))
    return "a package of AOTInductor, which is machine code: save the exported program itself by torch.export.save";
  if (has(/^serialized_exported_program\.json$/))
    return "one of PyTorch before 2.8: export it again with a later one";
  if (has(/(^|\/)data\/(weights|constants)\/[^/]+\.pt$/))
    return "one of PyTorch 2.8, whose weights are pickled: in a later one torch.export.save(torch.export.load(file), file) writes it anew";
  if (has(/^[^/]+\/constants\.pkl$/) && has(/^[^/]+\/code\//))
    return "a TorchScript archive (torch.jit.save): export the model by torch.export.export instead";
  if (has(/^[^/]+\/data\.pkl$/))
    return "an archive of torch.save, which holds weights but no program: export the model by torch.export.export";
  if (names.length === 0) return "an empty archive";
  const folder = names[0]?.split("/")[0];
  const outside = names.find((name) => !name.startsWith(`${folder}/`));
  if (outside !== undefined) return `an archive with "${outside}" beside the folder "${folder}"`;
  const isProgram = [...stored.keys(), ...packed.keys()].includes(`${folder}/archive_format`);
  return isProgram ? undefined : "another zip archive";
}

function programs({ names }: ZipDirectory): string {
  const found = names.flatMap((name) => /^[^/]+\/models\/(.*)\.json$/.exec(name)?.[1] ?? []);
  const is = found.length > 0 && !found.includes("model");
  return is ? `, but with ${found.slice(0, 4).join(", ")}: save one program by torch.export.save` : "";
}

async function readTensors(
  path: string,
  kind: "weights" | "constants",
  json: (name: string) => Promise<unknown>,
  member: (name: string) => ZipMember,
): Promise<(name: string) => StoredTensor> {
  const file = `data/${kind}/model_${kind}_config.json`;
  const place = `${file} of "${path}"`;
  const { config } = parse(payloadsSchema, await json(file), "payloads", place);
  return (name) => {
    if (!Object.hasOwn(config, name))
      throw badModelFile(path, `a tensor "${name}" in ${file}`, "none of that name");
    const payload = parse(payloadSchema, config[name], name, place);
    if (payload.use_pickle || !payload.tensor_meta)
      throw badModelFile(
        path,
        "tensors that are stored as plain bytes",
        `"${name}", which is pickled: put a plain tensor in the place of a subclass of Tensor before export`,
      );
    return storedTensor(path, name, payload.tensor_meta, member(`data/${kind}/${payload.path_name}`));
  };
}

/** @throws CriticalSharpnessError `ERR_MODEL_FILE` if it is sparse, complex or of another kind of number that is not read. */
export function realDtype(path: string, subject: string, meta: TensorMeta): NativeProgramDtype {
  const dtype = dtypeOf(meta.dtype);
  if (meta.layout !== stridedLayout)
    throw badModelFile(path, "strided tensors", `${subject} with the layout ${layoutName(meta.layout)}`);
  if (dtype === undefined)
    throw badModelFile(
      path,
      "real numbers of 8 to 64 bits, not quantized,",
      `${subject} in ${dtypeName(meta.dtype)}`,
    );
  return dtype;
}

function storedTensor(path: string, name: string, meta: TensorMeta, member: ZipMember): StoredTensor {
  const dtype = realDtype(path, `"${name}"`, meta);
  const whole = (size: TensorMeta["storage_offset"]): number => {
    if (size.kind === "as_int" && Number.isSafeInteger(size.value) && size.value >= 0) return size.value;
    throw badModelFile(
      path,
      `sizes, strides and an offset of "${name}" that are whole numbers`,
      size.kind === "as_int" ? String(size.value) : "an expression",
    );
  };
  const [shape, strides] = [meta.sizes.map(whole), meta.strides.map(whole)];
  const offset = whole(meta.storage_offset);
  if (strides.length !== shape.length)
    throw badModelFile(path, `${shape.length} strides of "${name}"`, `${strides.length}`);
  // Products of what the file says may be beyond any other integer.
  const width = BigInt(widths[dtype]);
  const elements = shape.reduce((product, size) => product * BigInt(size), 1n);
  const reach = shape.reduce((sum, size, i) => sum + BigInt(size - 1) * BigInt(strides[i] as number), 1n);
  const extent = elements === 0n ? 0n : reach;
  const bytes = (BigInt(offset) + extent) * width;
  if (bytes > BigInt(member.byteLength))
    throw badModelFile(path, `${bytes} bytes of "${name}"`, `${member.byteLength} in "${member.name}"`);
  if (elements > extent)
    throw badModelFile(
      path,
      "stored tensors of which each element has a place of its own",
      `"${name}" of ${elements} elements in ${extent} places: clone() what is expanded before export`,
    );
  const start = member.byteOffset + offset * Number(width);
  const end = start + Number(extent * width);
  return { path, byteOffset: start, dtype, shape, strides, requiresGrad: meta.requires_grad, end };
}
