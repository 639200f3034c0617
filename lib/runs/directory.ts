import { mkdir, readFile, rm, stat } from "node:fs/promises";
import path from "node:path";
import { CriticalSharpnessError, unusable } from "../errors.js";
import { writeWhole } from "../files/index.js";
import { type ConfigurationPlace, pathName } from "../options/index.js";
import type { ConfiguredKind, KindHeader, RunFacts } from "./kind.js";

/** What a run leaves in its directory. */
export const runFiles = {
  configuration: "config.json",
  metrics: "metrics.jsonl",
  /** The model as it was when the run last saved it. */
  checkpoint: "checkpoint",
  /** Those that were kept. */
  checkpoints: "checkpoints",
  /** All that a run besides needs to go on within a unit of its work. */
  state: "state",
  /** What several units of its work begin with. */
  moments: "moments",
  /** One of its trainings that is under way. */
  cell: "cell",
  tensorboard: "tensorboard",
} as const;

/** Everything that a run, its report included, writes; `fresh` removes these and nothing else. */
const written = [
  ...Object.values(runFiles),
  ...[runFiles.checkpoint, runFiles.state, runFiles.moments, runFiles.cell].flatMap((name) => [
    `${name}.next`,
    `${name}.previous`,
  ]),
  "report.html",
  "report.png",
  "metrics.csv",
  "figures",
];

/**
 * Makes the directory of a run, or finds that it has the same one. Nobody else may work in it meanwhile.
 *
 * @param fresh removes what is there.
 * @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` naming the key in which its configuration differs.
 */
export async function prepareDirectory<Configuration extends object>(
  kind: ConfiguredKind<Configuration>,
  directory: string,
  configuration: Configuration,
  { fresh, versions }: { fresh: boolean; versions: Record<string, string> },
): Promise<void> {
  const stored = await readStored(directory);
  if (stored && kindOf(stored, [kind]) === undefined) throw notARun(directory);
  const goesOn = stored !== undefined && !fresh && (await hasBegun(directory));
  let facts: RunFacts = { created: new Date().toISOString(), versions };
  if (goesOn) {
    const before = await readConfiguration(kind, directory, stored);
    checkSame(directory, before.configuration, configuration, kind.mayChange ?? []);
    facts = before.facts;
  } else if (stored)
    for (const name of written) await rm(path.join(directory, name), { recursive: true, force: true });
  const content = { kind: kind.name, schema: kind.migrations.length, ...configuration, ...facts };
  await writeWhole(path.join(directory, runFiles.configuration), `${JSON.stringify(content, null, 2)}\n`);
}

/** What stands in a directory's config.json; undefined where there is none. */
export async function readStored(directory: string): Promise<Record<string, unknown> | undefined> {
  const file = path.join(directory, runFiles.configuration);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw badRun("a run", directory, (error as Error).message, error);
  }
  try {
    const stored: unknown = JSON.parse(text);
    if (isObject(stored)) return stored;
  } catch {
    // Said below: not a run's either way.
  }
  throw notARun(directory);
}

/** The kind of a run, by its name, or as runs from before kinds had names. */
export function kindOf<K extends KindHeader>(
  stored: Record<string, unknown>,
  kinds: readonly K[],
): K | undefined {
  if (stored.kind !== undefined) return kinds.find(({ name }) => name === stored.kind);
  return kinds.find(({ unnamed }) => unnamed.every((key) => key in stored));
}

/**
 * A run's configuration in today's form, whatever the form in which it was written.
 *
 * @throws CriticalSharpnessError `ERR_CONFIGURATION` if it was changed into one that is none; `ERR_RUN_DIRECTORY` of a later version.
 */
export async function readConfiguration<Configuration extends object>(
  kind: ConfiguredKind<Configuration>,
  directory: string,
  stored: Record<string, unknown>,
): Promise<{ configuration: Configuration; facts: RunFacts }> {
  const { kind: _, schema = 0, created, versions, ...rest } = stored;
  const { migrations } = kind;
  if (typeof schema !== "number" || !Number.isInteger(schema) || schema < 0 || schema > migrations.length)
    throw badRun(
      `a run of schema ${migrations.length} at most`,
      directory,
      `schema ${JSON.stringify(schema)}: it is of a later version of this package, update it`,
    );
  const place: ConfigurationPlace = { file: path.join(directory, runFiles.configuration), base: directory };
  const migrated = migrations.slice(schema).reduce((old, migrate) => migrate(old, directory), rest);
  return {
    configuration: await kind.parse(migrated, place),
    facts: {
      created: typeof created === "string" ? created : undefined,
      versions: isObject(versions)
        ? Object.fromEntries(Object.entries(versions).map(([name, version]) => [name, String(version)]))
        : {},
    },
  };
}

/** Whether a run left anything that another configuration would spoil; one that failed at once did not. */
async function hasBegun(directory: string): Promise<boolean> {
  const names = [runFiles.metrics, runFiles.checkpoint, runFiles.state];
  const places = names.flatMap((name) => [name, `${name}.next`, `${name}.previous`]);
  const sizes = places.map((name) =>
    stat(path.join(directory, name)).then(
      ({ size }) => size,
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).some((size) => size > 0);
}

function checkSame(
  directory: string,
  before: object,
  configuration: object,
  mayChange: readonly string[],
): void {
  const plain = (value: object): Record<string, unknown> => {
    const copy = JSON.parse(JSON.stringify(value));
    for (const name of mayChange) delete copy[name];
    return copy;
  };
  const difference = firstDifference(plain(before), plain(configuration), []);
  if (!difference) return;
  const [key, was, is] = difference;
  throw badRun(
    `${show(was)} for ${pathName(key)}, as its run has it,`,
    directory,
    `${show(is)}. Choose another directory, or start this run afresh`,
  );
}

const show = (value: unknown) => (value === undefined ? "nothing" : JSON.stringify(value));

/** The first key in which two JSON values differ, and both values there. */
function firstDifference(
  a: unknown,
  b: unknown,
  key: readonly PropertyKey[],
): [readonly PropertyKey[], unknown, unknown] | undefined {
  const isComposite = (value: unknown) => typeof value === "object" && value !== null;
  if (!isComposite(a) || !isComposite(b) || Array.isArray(a) !== Array.isArray(b))
    return a === b ? undefined : [key, a, b];
  const [first, second] = [a as Record<string, unknown>, b as Record<string, unknown>];
  for (const name of new Set([...Object.keys(first), ...Object.keys(second)])) {
    const place = [...key, Array.isArray(a) ? Number(name) : name];
    const found = firstDifference(first[name], second[name], place);
    if (found) return found;
  }
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function notARun(directory: string): CriticalSharpnessError {
  return badRun("a new directory, or that of a run,", directory, "one whose config.json is not a run's");
}

/** The error for what is wrong with a run's directory, or a file in it. */
export function badRun(
  what: string,
  directory: string,
  received: string,
  cause?: unknown,
): CriticalSharpnessError {
  return unusable("ERR_RUN_DIRECTORY", what, `the run directory "${directory}"`, received, cause);
}

/** Makes a directory that can be written. @throws CriticalSharpnessError `ERR_RUN_DIRECTORY`. */
export async function writable<T>(directory: string, write: () => Promise<T>): Promise<T> {
  try {
    await mkdir(directory, { recursive: true });
    return await write();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined || error instanceof CriticalSharpnessError) throw error;
    throw badRun("a directory that can be written", directory, message, error);
  }
}
