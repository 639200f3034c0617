import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { CriticalSharpnessError } from "../errors.js";
import type { TrainConfiguration } from "./configuration.js";
import { pathName } from "./configuration-errors.js";
import type { MixConfiguration } from "./mix-configuration.js";
import type { SeriesConfiguration } from "./series-configuration.js";

/** What a run leaves in its directory. */
export const runFiles = {
  configuration: "config.json",
  metrics: "metrics.jsonl",
  checkpoint: "checkpoint",
  checkpoints: "checkpoints",
} as const;

type RunConfiguration =
  | TrainConfiguration
  | SeriesConfiguration
  | (Omit<MixConfiguration, "repeats" | "train"> & { estimator: string });

/** Keys that only one kind of run has in its config.json. */
export const runKinds = {
  train: ["data", "steps"],
  series: ["data", "accumulate"],
  mix: ["sources", "vary"],
} as const;

function kindKeys(configuration: RunConfiguration): readonly string[] {
  if ("sources" in configuration) return runKinds.mix;
  return "steps" in configuration ? runKinds.train : runKinds.series;
}

/** Everything that a run, its report included, writes; `fresh` removes these and nothing else. */
const made = [
  ...Object.values(runFiles),
  "checkpoint.next",
  "checkpoint.previous",
  "report.html",
  "report.png",
  "metrics.csv",
  "figures",
];

/**
 * Makes the directory of a run or a series, or finds that it has the same one.
 *
 * @param fresh removes what is there.
 * @param listed stands in config.json too, and may differ when it goes on: the checkpoints of a series.
 * @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` naming the key in which its configuration differs.
 */
export async function prepareRun(
  directory: string,
  configuration: RunConfiguration,
  {
    fresh,
    versions,
    listed = {},
  }: { fresh: boolean; versions: Record<string, string>; listed?: Record<string, unknown> },
): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
    const file = path.join(directory, runFiles.configuration);
    const stored = await readStored(file, kindKeys(configuration));
    const goesOn = stored !== undefined && !fresh && (await hasSteps(directory));
    if (goesOn) {
      const others = Object.keys(listed);
      checkSame(directory, configuration, stored, others);
      if (others.length === 0) return;
    } else if (stored)
      for (const name of made) await rm(path.join(directory, name), { recursive: true, force: true });
    const facts = goesOn
      ? { created: stored.created, versions: stored.versions }
      : { created: new Date().toISOString(), versions };
    const content = { ...configuration, ...listed, ...facts };
    await writeFile(`${file}.tmp`, `${JSON.stringify(content, null, 2)}\n`);
    await rename(`${file}.tmp`, file);
  } catch (error) {
    if (error instanceof CriticalSharpnessError) throw error;
    throw bad("a directory that can be written", directory, (error as Error).message, error);
  }
}

/** Whether a run left anything that another configuration would spoil; one that failed at once did not. */
async function hasSteps(directory: string): Promise<boolean> {
  const sizes = [runFiles.metrics, runFiles.checkpoint, "checkpoint.next", "checkpoint.previous"].map(
    (name) =>
      stat(path.join(directory, name)).then(
        ({ size }) => size,
        () => 0,
      ),
  );
  return (await Promise.all(sizes)).some((size) => size > 0);
}

async function readStored(
  file: string,
  keys: readonly string[],
): Promise<Record<string, unknown> | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    const stored = JSON.parse(text);
    if (typeof stored === "object" && stored !== null && keys.every((key) => key in stored)) return stored;
  } catch {
    // Said below: not a run's either way.
  }
  throw bad("a new directory, or that of a run,", path.dirname(file), "one whose config.json is not a run's");
}

function checkSame(
  directory: string,
  configuration: RunConfiguration,
  stored: Record<string, unknown>,
  others: readonly string[],
): void {
  const before = { ...stored };
  for (const name of ["created", "versions", ...others]) delete before[name];
  const difference = firstDifference(before, JSON.parse(JSON.stringify(configuration)), []);
  if (!difference) return;
  const [key, was, is] = difference;
  throw bad(
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
  const isObject = (value: unknown) => typeof value === "object" && value !== null;
  if (!isObject(a) || !isObject(b) || Array.isArray(a) !== Array.isArray(b))
    return a === b ? undefined : [key, a, b];
  const [first, second] = [a as Record<string, unknown>, b as Record<string, unknown>];
  for (const name of new Set([...Object.keys(first), ...Object.keys(second)])) {
    const found = firstDifference(first[name], second[name], [
      ...key,
      Array.isArray(a) ? Number(name) : name,
    ]);
    if (found) return found;
  }
  return undefined;
}

function bad(what: string, directory: string, received: string, cause?: unknown): CriticalSharpnessError {
  return new CriticalSharpnessError(
    "ERR_RUN_DIRECTORY",
    `Expected ${what} for the run directory "${directory}" but received ${received}`,
    { cause },
  );
}
