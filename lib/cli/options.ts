import path from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import type * as z from "zod";
import { AbortError, CriticalSharpnessError } from "../errors.js";
import { type Batch, loadBatch, type Model } from "../models/index.js";
import { addFlags } from "../options/index.js";
import { type Group, isRank, joinGroup, launchRanks } from "../ranks/index.js";
import { jsonLines, type Sink, tensorBoard } from "../runs/index.js";
import {
  exitCodes,
  interruption,
  noProgress,
  type Progress,
  type SetStatus,
  showProgress,
} from "./progress.js";

export const jsonOption = () =>
  new Option("--json", "print the result as JSON, and nothing else, on standard output");

export const modelArgument =
  "a Hugging Face directory (config.json and model.safetensors), or a program of torch.export (.pt2)";

/** Flags of every command that makes a run. */
export interface RunFlags extends CommonOptions {
  fresh?: boolean;
  tensorboard?: boolean;
  jsonLines?: boolean;
}

export function runOptions(command: Command): Command {
  return command
    .option("--fresh", "remove a run that is in the directory and start again")
    .option("--tensorboard", "write event files for TensorBoard too, into the directory's folder tensorboard")
    .addOption(
      new Option(
        "--json-lines",
        "print every event as a line of JSON, and nothing else, on standard output",
      ).conflicts("json"),
    )
    .addOption(jsonOption());
}

/** Where the events of a run go by its flags. */
export function sinksOf({ tensorboard, jsonLines: lines }: RunFlags): Sink[] {
  return [...(tensorboard ? [tensorBoard()] : []), ...(lines ? [jsonLines(process.stdout)] : [])];
}

/** Options that every command has. */
export interface CommonOptions {
  json?: boolean;
  verbose?: boolean;
}

/** What a command is given while it can be interrupted. */
export interface Attended {
  signal: AbortSignal;
  display: Progress;
}

/** Of a command that several processes of this host may make together. */
export const ranksOption = () =>
  new Option("--ranks <n>", "so many processes of this host, each with a part of the model").argParser(
    readRanks,
  );

/** @throws InvalidArgumentError */
export function readRanks(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= 1024) return count;
  throw new InvalidArgumentError("Expected an integer between 1 and 1024.");
}

/**
 * Calls a body with the ranks of this run: those that a launcher has started, or as many processes of this command as `--ranks` says,
 * which this process starts and waits for.
 */
export async function withRanks(
  ranks: number | undefined,
  setStatus: SetStatus,
  body: (group: Group) => Promise<void>,
): Promise<void> {
  if (ranks !== undefined && ranks > 1 && !isRank()) {
    const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)] as const;
    setStatus(await launchRanks(ranks, command, [exitCodes.done, exitCodes.notBelow]));
    return;
  }
  using group = await joinGroup();
  await body(group).catch((error) => {
    // All are stopped at once, and the first one says so.
    if (group.isFirst || error.code !== "ABORT_ERR") throw error;
  });
}

/** Flags of a command that makes a run of a configuration in a file. */
export interface ConfiguredFlags extends RunFlags {
  out?: string;
  ranks?: number;
}

/**
 * A command whose argument is the file of a configuration, of which keys are flags too. Its run lies in the directory of `--out`, or in
 * one of the file's name.
 */
export function configuredByFile<Flags extends ConfiguredFlags, Configuration>(
  command: Command,
  {
    schema,
    read,
    example,
    run,
    setStatus,
  }: {
    schema: z.ZodType;
    read: (file: string, override: (input: unknown) => unknown) => Promise<Configuration>;
    example: string;
    run: (configuration: Configuration, flags: Flags & { out: string }, group: Group) => Promise<void>;
    setStatus: SetStatus;
  },
): Command {
  const configured = addFlags(command, schema);
  return runOptions(command)
    .addOption(ranksOption())
    .addHelpText("after", `\nExample:\n  ${example}`)
    .action((file: string, flags: Flags) =>
      withRanks(flags.ranks, setStatus, async (group) => {
        const configuration = await read(file, (input) => configured(flags, input));
        const out = flags.out ?? path.join("runs", path.basename(file, path.extname(file)));
        await run(configuration, { ...flags, out }, group);
      }),
    );
}

/** Calls a body that Ctrl-C stops, with a progress display that is gone when it is done. */
export async function attended<T>(
  unit: string,
  total: number | undefined,
  body: (given: Attended) => Promise<T>,
  { silent = false }: { silent?: boolean } = {},
): Promise<T> {
  const display = silent ? noProgress : showProgress(unit, total);
  using interrupted = interruption("Stopping.", display);
  try {
    return await body({ signal: interrupted.signal, display });
  } catch (error) {
    if (error instanceof AbortError)
      throw new CriticalSharpnessError("ABORT_ERR", "Stopped", { cause: error });
    throw error;
  } finally {
    display.stop();
  }
}

/** A program's batch has its tensors by the names of forward's arguments, whatever these are. */
export const loadBatchFor = (model: Model, file: string): Promise<Batch> =>
  loadBatch(file, { named: model.config.model_type === "program" });
