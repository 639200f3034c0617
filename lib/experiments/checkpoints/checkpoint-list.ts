import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { glob } from "tinyglobby";
import { CriticalSharpnessError } from "../../errors.js";
import { checkStrings } from "../../options/index.js";

/** One of a series of checkpoints. */
export interface ListedCheckpoint {
  /** Its folder's last names, as many as tell it from the others. */
  name: string;
  /** A Hugging Face directory, a step of OLMo-core's, a file of a program's weights, or a checkpoint of nanoGPT's, absolute. */
  directory: string;
  /** Training steps (or epochs) made, and tokens seen, where the name says so; null of others, such as "final". */
  step: number | null;
  tokens: number | null;
}

/** Safetensors of a program's weights, or what torch.save wrote. */
const isFileOfWeights = (name: string) => /\.(safetensors|pt|pth|ckpt|bin)$/.test(name);

const units = { "": 1, K: 1e3, M: 1e6, B: 1e9, T: 1e12 };

/** Steps and tokens as names have them: step1000, checkpoint_1000, global_step10, epoch-2, 1000-tokens8B, 00100. */
export function parseCheckpointName(name: string): {
  stage: number;
  step: number | null;
  tokens: number | null;
} {
  const tokens = /tokens[-_]?(\d+(?:\.\d+)?)([KMBT]?)(?![a-z\d])/i.exec(name);
  const stage = /stage[-_]?(\d+)/i.exec(name)?.[1];
  const rest = name.replace(/tokens[-_]?\d+(\.\d+)?[KMBT]?/i, "").replace(/stage[-_]?\d+/i, "");
  const numbered = /(?:step|checkpoint|ckpt|iter(?:ation)?)s?[-_=]?(\d+)/i.exec(rest)?.[1];
  const named = numbered ?? /epochs?[-_=]?(\d+)/i.exec(rest)?.[1];
  // Without such a word a number counts where it stands alone: not that of "pythia-70m" or "v2".
  const alone = /(?:^|[-_.])(\d+)(?=$|[-_.])/.exec(rest)?.[1];
  const step = named ?? alone;
  const unit = (tokens?.[2] ?? "").toUpperCase() as keyof typeof units;
  return {
    stage: Number(stage ?? 0),
    step: step === undefined ? null : Number(step),
    tokens: tokens ? Number(tokens[1]) * units[unit] : null,
  };
}

/**
 * The checkpoints that patterns name (`runs/olmo/step*`; quote them, or let the shell fill them in), or that lie in a run's folder (a
 * Trainer's `output_dir`): those whose name has a step by stage and step, then the others (final, best) as they were given.
 *
 * @throws CriticalSharpnessError `ERR_CHECKPOINTS` if there is none.
 */
export async function findCheckpoints(patterns: readonly string[]): Promise<ListedCheckpoint[]> {
  const found: string[] = [];
  for (const pattern of checkStrings(patterns, "patterns")) {
    const within = await checkpointsWithin(pattern);
    if (within.length > 0) {
      found.push(...within);
      continue;
    }
    const isThere = await stat(pattern).then(
      (entry) => entry.isDirectory() || isFileOfWeights(pattern),
      () => false,
    );
    const matches = isThere
      ? [pattern]
      : await glob(pattern, {
          onlyFiles: false,
          onlyDirectories: !isFileOfWeights(pattern),
          absolute: true,
          expandDirectories: false,
        });
    if (matches.length === 0)
      throw new CriticalSharpnessError(
        "ERR_CHECKPOINTS",
        `Expected at least one folder, or file of weights, for "${pattern}" but received none`,
      );
    found.push(...matches.sort());
  }
  const listed = listCheckpoints(found);
  const stage = ({ name }: ListedCheckpoint) => parseCheckpointName(name).stage;
  const numbered = listed.filter(({ step }) => step !== null);
  numbered.sort((a, b) => stage(a) - stage(b) || (a.step as number) - (b.step as number));
  return [...numbered, ...listed.filter(({ step }) => step === null)];
}

/** The checkpoints in a run's folder, as trainers name them: `checkpoint-500`, `step1000`; none where it is a checkpoint itself. */
async function checkpointsWithin(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const named = /^(?:checkpoint|ckpt|step|iter(?:ation)?|epoch)s?[-_=]?\d+/i;
  return entries
    .filter((entry) => entry.isDirectory() && named.test(entry.name))
    .map((entry) => path.join(folder, entry.name));
}

/** Checkpoints in the order given, each once. */
export function listCheckpoints(directories: readonly string[]): ListedCheckpoint[] {
  const absolute = [...new Set(checkStrings(directories, "checkpoints").map((d) => path.resolve(d)))];
  const names = shortNames(absolute);
  return absolute.map((directory, i) => {
    const name = names[i] as string;
    const { step, tokens } = parseCheckpointName(name);
    return { name, directory, step, tokens };
  });
}

/** The last name of each path, or as many of its last names as make all of them differ and have a number. */
function shortNames(paths: readonly string[]): string[] {
  const parts = paths.map((p) => p.split(path.sep).filter(Boolean));
  const most = Math.max(...parts.map((p) => p.length), 1);
  for (let length = 1; length < most; length++) {
    const names = parts.map((p) => p.slice(-length).join("/"));
    if (new Set(names).size === names.length) return names;
  }
  return parts.map((p) => p.join("/"));
}
