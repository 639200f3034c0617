import path from "node:path";
import { badRun, kindOf, notARun, readConfiguration, readStored, runFiles } from "./directory.js";
import type { Kind, KindHeader, RecordSchemas, StoredRun } from "./kind.js";
import { readRecords } from "./log.js";

/**
 * The kind of the run in a directory.
 *
 * @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if there is no run, or one of a kind that is not among these.
 */
export async function findKind<K extends KindHeader>(directory: string, kinds: readonly K[]): Promise<K> {
  const stored = await readStored(directory);
  if (!stored)
    throw badRun(
      "a run",
      directory,
      `one without a config.json. Make a run first: ${howTo(kinds[0], directory)}`,
    );
  const kind = kindOf(stored, kinds);
  if (kind) return kind;
  throw notARun(directory);
}

/**
 * A run of a kind as its directory has it, be it under way.
 *
 * @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if there is no such run; `ERR_CONFIGURATION` if its config.json was changed
 *   into one that is none.
 */
export async function readRun<Configuration extends object, Schemas extends RecordSchemas>(
  kind: Kind<Configuration, Schemas>,
  directory: string,
): Promise<StoredRun<Configuration, Schemas>> {
  await findKind(directory, [kind]);
  const stored = (await readStored(directory)) as Record<string, unknown>;
  return {
    directory,
    ...(await readConfiguration(kind, directory, stored)),
    async *records() {
      for await (const { record } of readRecords(path.join(directory, runFiles.metrics), kind.records))
        if (record) yield record;
    },
  };
}

/** The command that makes a run of a kind. */
function howTo(kind: KindHeader | undefined, directory: string): string {
  return `critical-sharpness ${kind?.usage} --out ${directory}`;
}
