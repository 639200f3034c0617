import { type Command, InvalidArgumentError, Option } from "commander";
import { type Device, isDevice } from "../models/index.js";
import { jsonLines, type Sink, tensorBoard } from "../runs/index.js";

/** The parser of an option that takes an integer ≥ `minimum`. */
export function integer(minimum: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value) || value < minimum)
      throw new InvalidArgumentError(`Expected an integer ≥ ${minimum} but received "${text}".`);
    return value;
  };
}

/** The parser of an option that takes a number > 0. */
export function positive(text: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (!Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError(`Expected a number > 0 but received "${text}".`);
  return value;
}

/** The parser of an option that takes numbers with commas between them. */
export function numbers(count: number): (text: string) => number[] {
  return (text) => {
    const values = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
    if (values.length !== count || !values.every(Number.isFinite))
      throw new InvalidArgumentError(
        `Expected ${count} numbers with commas between them but received "${text}".`,
      );
    return values;
  };
}

/** The parser of an option that takes a number ≥ 0. */
export function nonNegative(text: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (!Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError(`Expected a number ≥ 0 but received "${text}".`);
  return value;
}

export const dtypeOption = () =>
  new Option("--dtype <type>", "arithmetic of a pass").choices(["float32", "float64", "bfloat16"]);
export const parameterDtypeOption = () =>
  new Option("--parameter-dtype <type>", "weights as they are held").choices([
    "float32",
    "float64",
    "bfloat16",
  ]);

export const jsonOption = () =>
  new Option("--json", "print the result as JSON, and nothing else, on standard output");

export const microBatchOption = () =>
  new Option("--micro-batch <n>", "rows or sequences at a time: bounds the memory").argParser(integer(1));

export const deviceOption = () =>
  new Option("--device <name>", "where to compute: cpu, cuda, cuda:1").argParser((text: string): Device => {
    if (!isDevice(text))
      throw new InvalidArgumentError(`Expected cpu, cuda or cuda:<number> but received "${text}".`);
    return text;
  });

/** Argument and options of a command that looks along a line: `LineFlags`. */
export function lineOptions(command: Command): Command {
  return command
    .argument("<model-dir>", "a Hugging Face directory: config.json and model.safetensors")
    .requiredOption("--batch <file>", "the batch that is judged, a safetensors file")
    .option("--update-batch <file>", "the batch whose gradient is the direction (default: the same)")
    .option(
      "--direction <what>",
      '"gradient", or a safetensors file with a tensor for each parameter',
      "gradient",
    )
    .addOption(microBatchOption())
    .addOption(dtypeOption())
    .addOption(parameterDtypeOption())
    .addOption(deviceOption());
}

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
