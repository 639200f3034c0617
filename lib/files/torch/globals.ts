import { numpyDtype, numpyFromBuffer, numpyScalar } from "./numpy.js";
import { costs, type PickleReader } from "./reader.js";
import { isDtype, rebuildTensor } from "./tensors.js";
import { badTorchFile, Instance, isStoredArray, Named, NumpyArray, Opaque } from "./values.js";

/** What a call of it would make, out of plain arguments; undefined: something that is not read. */
type Make = (args: readonly unknown[], reader: PickleReader) => unknown;

/** A class or function of Python's, by name. */
export class Global extends Opaque {
  constructor(
    name: string,
    readonly make: Make | undefined,
  ) {
    super(name);
  }
}

const mapOf: Make = ([items], reader) => {
  const map = new Map();
  const entries = items instanceof Map ? [...items] : Array.isArray(items) ? items : [];
  reader.spend(costs.map + entries.length * costs.entry);
  for (const entry of entries) {
    if (!Array.isArray(entry) || entry.length !== 2) throw reader.fail("an entry without a key or value");
    map.set(entry[0], entry[1]);
  }
  return map;
};

const listOf: Make = ([items = []], reader) => {
  if (!Array.isArray(items)) throw reader.fail("a collection without items");
  reader.spend(costs.list + items.length * costs.slot);
  return [...items];
};

/** Bytes, which protocol 2 writes as text. */
const bytesOf: Make = ([content, encoding], reader) => {
  if (content === undefined || content instanceof Uint8Array) return content ?? Buffer.alloc(0);
  // Python takes nothing beyond U+00FF here.
  const isLatin = encoding === "latin1" || encoding === "latin-1";
  if (typeof content !== "string" || !isLatin || /[^\0-\xff]/.test(content))
    throw reader.fail("text that stands for no bytes");
  reader.spend(content.length + costs.object);
  return Buffer.from(content, "latin1");
};

const textOf = (value: unknown): string | undefined =>
  typeof value === "string" || typeof value === "number" ? String(value) : undefined;
const named =
  (join: (words: readonly string[]) => string): Make =>
  (args, reader) => {
    const words = args.map(textOf);
    if (!words.every((word) => word !== undefined)) throw reader.fail("a name of no words");
    reader.spend(words.reduce((sum, word) => sum + word.length + 1, 0));
    return new Named(join(words));
  };

/** Of tensors with a conjugate or negative bit. */
const hasBits = (metadata: unknown) => metadata instanceof Map && metadata.size > 0;
const tensorV2: Make = (args, reader) => (hasBits(args[6]) ? undefined : rebuildTensor(args, reader));
/** Of types that have no storage of their own: the storage is one of bytes. */
const tensorV3: Make = (args, reader) => {
  if (!(args[6] instanceof Named)) throw reader.fail("a tensor without a dtype");
  return hasBits(args[7]) ? undefined : rebuildTensor(args, reader, args[6].name);
};
/** A tensor around another, with what does not change its numbers. */
const parameter: Make = ([data], reader) => {
  if (isStoredArray(data) || data instanceof Opaque) return data;
  throw reader.fail("a parameter without a tensor");
};
/** A tensor with attributes, or of a subclass: of the second kind only those that are plain tensors. */
const tensorOfType: Make = ([make, type, args], reader) => {
  const isPlain =
    type instanceof Global && /^torch\.(Tensor|nn\.parameter\.(Parameter|Buffer))$/.test(type.opaque);
  if (!isPlain || !(make instanceof Global) || make.make === tensorOfType || !Array.isArray(args))
    return undefined;
  return make.make?.(args, reader);
};

const numpyArray: Make = () => new NumpyArray();
const makers: ReadonlyMap<string, Make> = new Map<string, Make>([
  ["collections.OrderedDict", mapOf],
  ["collections.Counter", mapOf],
  ["collections.defaultdict", ([, items], reader) => mapOf([items], reader)],
  ["builtins.dict", mapOf],
  ["builtins.list", listOf],
  ["builtins.tuple", listOf],
  ["builtins.set", listOf],
  ["builtins.frozenset", listOf],
  ["builtins.bytearray", bytesOf],
  ["builtins.bytes", bytesOf],
  ["builtins.complex", named((words) => `(${words.join(", ")}j)`)],
  ["torch.Size", listOf],
  ["torch.device", named((words) => words.join(":"))],
  ["torch.serialization._get_layout", named((words) => words.join())],
  ["pathlib.PosixPath", named((words) => words.join("/"))],
  ["pathlib.PurePosixPath", named((words) => words.join("/"))],
  ["_codecs.encode", bytesOf],
  ["torch._utils._rebuild_tensor", rebuildTensor],
  ["torch._utils._rebuild_tensor_v2", tensorV2],
  ["torch._utils._rebuild_tensor_v3", tensorV3],
  ["torch._utils._rebuild_parameter", parameter],
  ["torch._utils._rebuild_parameter_with_state", parameter],
  ["torch._tensor._rebuild_from_type_v2", tensorOfType],
  ["numpy.dtype", numpyDtype],
  ["numpy.core.multiarray.scalar", numpyScalar],
  ["numpy._core.multiarray.scalar", numpyScalar],
  ["numpy.core.multiarray._reconstruct", numpyArray],
  ["numpy._core.multiarray._reconstruct", numpyArray],
  ["numpy.core.numeric._frombuffer", numpyFromBuffer],
  ["numpy._core.numeric._frombuffer", numpyFromBuffer],
  ...[
    "metadata.Metadata",
    "metadata.TensorStorageMetadata",
    "metadata.BytesStorageMetadata",
    "metadata.ChunkStorageMetadata",
    "metadata.TensorProperties",
    "metadata.MetadataIndex",
    "metadata.StorageMeta",
    "filesystem._StorageInfo",
  ].map((name): [string, Make] => {
    const whole = `torch.distributed.checkpoint.${name}`;
    return [whole, () => new Instance(whole)];
  }),
]);

/**
 * Functions that run programs, read files or go into the network: no data need them, so that who names one means harm. Nothing
 * rests on this list, as nothing is ever called; it is there to say so.
 */
const harmful =
  /^(os|posix|nt|subprocess|sys|shutil|socket|pty|runpy|importlib|ctypes|webbrowser)(\.|$)|^(builtins|__builtin__)\.(eval|exec|execfile|compile|__import__|open|breakpoint|input|globals|locals|vars)$/;

/** @throws CriticalSharpnessError `ERR_TORCH_FILE` if it is one that no data need */
export function globalOf(path: string, module: string, name: string): Global | Named {
  const whole = `${module.replace(/^__builtin__$/, "builtins")}.${name}`;
  if (harmful.test(whole))
    throw badTorchFile(
      path,
      "data alone",
      `a call of ${whole.slice(0, 80)}, as files do that mean harm: nothing of it was run. Do not open it with torch.load`,
    );
  if (module === "torch" && isDtype(name)) return new Named(whole);
  return new Global(whole, makers.get(whole));
}
