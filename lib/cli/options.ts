import { type Command, Option } from "commander";
import * as z from "zod";
import { modelOptions } from "../models/index.js";
import { addFlags } from "../options/index.js";
import { jsonLines, type Sink, tensorBoard } from "../runs/index.js";

export const jsonOption = () =>
  new Option("--json", "print the result as JSON, and nothing else, on standard output");

/** Argument and options of a command that looks along a line: `LineFlags`. */
export function lineOptions(command: Command): Command {
  command
    .argument("<model-dir>", "a Hugging Face directory: config.json and model.safetensors")
    .requiredOption("--batch <file>", "the batch that is judged, a safetensors file")
    .option("--update-batch <file>", "the batch whose gradient is the direction (default: the same)")
    .option(
      "--direction <what>",
      '"gradient", or a safetensors file with a tensor for each parameter',
      "gradient",
    );
  addFlags(command, z.strictObject(modelOptions));
  return command;
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
