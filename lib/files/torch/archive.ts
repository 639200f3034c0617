import { openFile, unreadable } from "../file.js";
import { foreignFile } from "../foreign.js";
import { readExactly } from "../safetensors.js";
import {
  readZipDirectory,
  readZipMembers,
  type ZipDirectory,
  type ZipMember,
  type ZipPlace,
  zipMember,
} from "../zip.js";
import { unpickle } from "./pickle.js";
import { badTorchFile, type TorchValue } from "./values.js";

const expectedFile = "a file of torch.save (PyTorch 1.6 or later)";
/** Of the pickle, in which there are no numbers of tensors. */
export const largestPickle = 2 ** 28;
const largestMark = 64;

/** How Python writes a file anew. */
const conversion = (path: string) =>
  `in Python, torch.save(torch.load(${JSON.stringify(path)}, map_location="cpu", weights_only=True), "new.pt") writes it anew`;

/**
 * Reads a file of torch.save: the values, with each tensor where it lies in the file. Of the tensors no byte is read, and nothing
 * that a pickle may call is called.
 *
 * @throws CriticalSharpnessError `ERR_TORCH_FILE` that says what it is instead, or what of it is damaged; `ERR_FILE` if it cannot
 * be read; AbortError
 */
export async function readTorchFile(
  path: string,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<TorchValue> {
  try {
    return await readTorchArchive(path, undefined, signal);
  } catch (error) {
    if ((error as { code?: unknown }).code === "ERR_TORCH_FILE") await refuseOthers(path);
    throw error;
  }
}

/** As `readTorchFile`, of an archive that may lie within a larger file. */
export async function readTorchArchive(
  path: string,
  span: ZipPlace["span"],
  signal: AbortSignal | undefined,
): Promise<TorchValue> {
  const directory = await readZipDirectory(path, signal, { span, code: "ERR_TORCH_FILE" });
  const folder = folderOf(directory);
  const member = (name: string) => zipMember(directory, `${folder}/${name}`);
  const [pickle, byteorder] = [member("data.pkl"), member("byteorder")];
  if (!pickle) throw badTorchFile(path, expectedFile, "an archive without data.pkl");
  const wanted: [ZipMember, number][] = [[pickle, largestPickle]];
  if (byteorder) wanted.push([byteorder, largestMark]);
  const [bytes, order] = await readZipMembers(directory, wanted, signal);
  if (order !== undefined && order.toString("latin1") !== "little")
    throw badTorchFile(
      path,
      "numbers in little-endian order",
      `${JSON.stringify(order.toString("latin1"))}: on any machine of today, ${conversion(path)}`,
    );
  return unpickle(
    path,
    bytes as Buffer,
    (key) => {
      const found = member(`data/${key}`);
      if (found) return { path, member: found };
      throw badTorchFile(path, `a member "data/${key}", as its pickle says,`, "none of that name");
    },
    signal,
  );
}

/** The one folder that all members lie in. */
function folderOf({ path, names, stored, packed }: ZipDirectory): string {
  const has = (name: string) => stored.has(name) || packed.has(name);
  const folder = names[0]?.split("/")[0] ?? "";
  const is = (what: string) => badTorchFile(path, expectedFile, what);
  if (names.length === 0) throw is("an empty archive");
  if (has(`${folder}/constants.pkl`) || names.some((name) => name.startsWith(`${folder}/code/`)))
    throw is(
      "a TorchScript archive (torch.jit.save): torch.save(torch.jit.load(file).state_dict(), new) has its weights",
    );
  if (has(`${folder}/archive_format`) || has("serialized_exported_program.json"))
    throw is("a program of torch.export.save, which is opened as a model");
  const outside = names.find((name) => !name.startsWith(`${folder}/`));
  if (outside !== undefined)
    throw is(`an archive with "${outside.slice(0, 80)}" beside the folder "${folder}"`);
  return folder;
}

/** What is no zip archive is told apart: the formats before PyTorch 1.6, and others. */
async function refuseOthers(path: string): Promise<void> {
  const tarMark = 257;
  const file = await openFile(path, "r").catch((error: unknown) => {
    throw unreadable("a readable file", path, error);
  });
  try {
    if (!(await file.stat()).isFile()) return;
    const start = await readExactly(file, 0, tarMark + 5);
    if (start.toString("latin1", 0, 2) === "PK") return;
    const isOld = start[0] === 0x80 || start.toString("latin1", tarMark) === "ustar";
    throw badTorchFile(
      path,
      expectedFile,
      isOld
        ? `one of an earlier PyTorch, or a bare pickle: ${conversion(path)}`
        : (foreignFile(start) ?? "another kind of file"),
    );
  } finally {
    await file.close();
  }
}
