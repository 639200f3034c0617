import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { openFile, readExactly, unreadable } from "../../files/index.js";
import { readStoredOptimizer } from "./read-optimizer.js";
import { badState } from "./stored-optimizer.js";

/** Where an optimizer's state lies beside weights, and in which format. */
export interface FoundState {
  place: string;
  format: "torch" | "distributed" | "universal" | "own";
}

/** What programs call them, in the order in which they are looked for. */
const files: readonly [name: string, format: FoundState["format"]][] = [
  ["optimizer.pt", "torch"],
  ["optimizer.bin", "torch"],
  ["optimizer.safetensors", "own"],
];
/** Distributed checkpoints: accelerate's of FSDP, OLMo-core's, a folder by itself (torchtitan's). */
const distributed = ["optimizer_0", "model_and_optim", "."];

const exists = (place: string) =>
  stat(place).then(
    () => true,
    () => false,
  );

/**
 * The state of an optimizer in a checkpoint's folder; undefined where none is known to lie there.
 *
 * @throws CriticalSharpnessError `ERR_OPTIMIZER_STATE` where DeepSpeed's own format is all that there is.
 */
export async function findOptimizerState(folder: string): Promise<FoundState | undefined> {
  if ((await stat(folder)).isFile()) return stateWithin(folder);
  for (const [name, format] of files) {
    const place = path.join(folder, name);
    if (await exists(place)) return { place, format };
  }
  for (const name of distributed) {
    const place = path.join(folder, name);
    if (await exists(path.join(place, ".metadata"))) return { place, format: "distributed" };
  }
  const names: string[] = await readdir(folder).catch(() => []);
  for (const name of [".", ...names.filter((one) => /universal/.test(one))]) {
    const place = path.join(folder, name, "zero");
    if (await exists(path.join(place, "optimizer_state.pt"))) return { place, format: "universal" };
  }
  const sharded = names.find((name) => /^global_step\d+$/.test(name));
  if (sharded !== undefined)
    throw badState(
      path.join(folder, sharded),
      "DeepSpeed's universal checkpoint (`python -m deepspeed.checkpoint.ds_to_universal --input_folder … --output_folder …` makes it)",
      "its own sharded one",
    );
  return undefined;
}

/** What a program saved with the weights, as nanoGPT does: the optimizer's state too, or not. */
async function stateWithin(place: string): Promise<FoundState | undefined> {
  if ((await formatOf(place)) !== "torch") return undefined;
  try {
    const found = { place, format: "torch" as const };
    await readStoredOptimizer(found);
    return found;
  } catch (error) {
    if ((error as { code?: unknown }).code === "ERR_OPTIMIZER_STATE") return undefined;
    throw error;
  }
}

/** A file of torch.save is an archive, or a pickle where it is old; a state of ours is what remains. */
async function formatOf(place: string): Promise<"torch" | "own"> {
  await using file = await openFile(place, "r");
  const start = await readExactly(file, 0, 2);
  return start[0] === 0x80 || start.toString("latin1") === "PK" ? "torch" : "own";
}

/** What a given file or folder holds. @throws as `findOptimizerState`, and where there is nothing. */
export async function locateState(place: string): Promise<FoundState> {
  const entry = await stat(place).catch((error: unknown) => {
    throw unreadable("an optimizer's state", place, error);
  });
  if (entry.isFile()) return { place, format: await formatOf(place) };
  const found = await findOptimizerState(place);
  if (found) return found;
  throw badState(
    place,
    `a file, or a folder with ${files.map(([name]) => name).join(", ")} or a distributed checkpoint,`,
    "a folder without",
  );
}
