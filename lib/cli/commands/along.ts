import path from "node:path";
import { Command } from "commander";
import * as z from "zod";
import {
  type AlongRecord,
  type AlongWay,
  alongTextKeys,
  type MeasuredWay,
  openBatches,
  openDirection,
  openText,
  writeAlong,
} from "../../experiments/index.js";
import { type Batch, loadModel, modelOptions, parameterParts, programOptions } from "../../models/index.js";
import { addFlags, flags, readOptions } from "../../options/index.js";
import { along, type MeasureOptions, measureOptions } from "../../sharpness/index.js";
import { attended, type CommonOptions, jsonOption, modelArgument } from "../options.js";
import { print, short, strings, UsageError } from "../progress.js";

const {
  microBatch: _,
  initialLearningRate: __,
  lossNoise: ___,
  allow,
  tolerance,
  ...search
} = measureOptions;

const alongFlags = z.strictObject({
  allow: allow.unwrap().default(0.01).register(flags, {
    flag: "--allow <x>",
    help: "the budget: the part of its loss by which each text's may rise",
  }),
  extent: z
    .number()
    .gt(0)
    .default(1.5)
    .describe("η up to which losses are drawn; 1 is the other model.")
    .register(flags, { flag: "--extent <x>" }),
  points: z.int().min(2).max(10_000).default(30).describe("Losses along the way.").register(flags, {
    flag: "--points <n>",
  }),
  findSlopes: z
    .boolean()
    .default(false)
    .describe("Find slopes by a backward pass, which takes a gradient's memory.")
    .register(flags, { flag: "--find-slopes" }),
  parts: z
    .array(z.enum(["blocks", "kinds"]))
    .default([])
    .register(flags, {
      flags: [
        { flag: "--per-block", value: ["blocks"], help: "the same of every layer's part of Δ" },
        { flag: "--per-kind", value: ["kinds"], help: "the same of attention, MLPs, norms and embeddings" },
      ],
    }),
  ...search,
  tolerance: tolerance
    .unwrap()
    .default(1 / 64)
    .register(flags, {
      flag: "--tolerance <x>",
      help: "ε of ηc and of the budget's end: 1 − lower/upper ≤ ε",
    }),
});
const textFlags = z.strictObject(alongTextKeys);
const modelFlags = z.strictObject({ ...modelOptions, ...programOptions });

/** Sequences in a batch. */
const usualSize = 8;

interface AlongFlags extends CommonOptions {
  to: string[];
  data?: string[];
  text?: string[];
  tokenizer?: string;
  field?: string[];
  template?: string[];
  out: string;
}

export function alongCommand(): Command {
  const command = new Command("along")
    .description("How far may a fine-tuned model or an adapter go? Losses on the way from a model to others.")
    .argument("<model>", modelArgument)
    .requiredOption(
      "--to <others...>",
      "PEFT adapters' folders, models' folders, or safetensors files with Δ (θ − Δ is the other)",
    )
    .option("--data <name=files...>", "texts by name: prose=a.jsonl b.jsonl code=c.txt, as in checkpoints")
    .option("--batch <name=file...>", "batches of texts by name: safetensors files")
    .option("--tokenizer <file>", 'a tokenizer.json, or "bytes" (default: that of the model)')
    .option(
      "--field <name...>",
      'of records: where the text is (default: "text", else "input_ids"); of one text: prose=body',
    )
    .option(
      "--template <text...>",
      'in place of a field: "{question}\\n{answer}"; of one text: "math={question}"',
    );
  const options = addFlags(command, alongFlags);
  const texts = addFlags(command, textFlags);
  const model = addFlags(command, modelFlags);
  return command
    .option("--out <dir>", "folder for along.json, along.csv, figures and the report", "along")
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\nExample:\n  critical-sharpness along base --to adapter --data prose=prose.jsonl math=gsm8k.jsonl --allow 0.01",
    )
    .action((directory: string, given: AlongFlags) =>
      runAlong(directory, given, {
        options: readOptions(alongFlags, options(given)),
        texts: readOptions(textFlags, texts(given, { batch: { size: usualSize } })),
        model: readOptions(modelFlags, model(given)),
      }),
    );
}

/** "prose=a.jsonl b.jsonl code=c.txt": what has no name belongs to the one before. */
function named(given: readonly string[] | undefined, flag: string): [name: string, files: string[]][] {
  const texts = new Map<string, string[]>();
  let current: string[] | undefined;
  for (const word of given ?? []) {
    const [, name, file] = /^([^=/\\]+)=(.+)$/s.exec(word) ?? [];
    if (name === undefined && current === undefined)
      throw new UsageError(`Expected NAME=FILE for ${flag} but received "${word}"`);
    if (name !== undefined) {
      if (texts.has(name))
        throw new UsageError(`Expected each name once for ${flag} but received "${name}" twice`);
      current = [];
      texts.set(name, current);
    }
    current?.push(file ?? word);
  }
  return [...texts];
}

/** How a text's records are read: by what was said of it, or of all. */
function dataKeys(
  { tokenizer, field, template }: AlongFlags,
  text: string,
  data: readonly [name: string, files: string[]][],
): Record<string, string> {
  const own = (words: readonly string[] = []) => {
    const of = (name: string) => words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
    return of(text) ?? words.find((word) => !data.some(([name]) => word.startsWith(`${name}=`)));
  };
  const keys = { tokenizer, field: own(field), template: own(template)?.replaceAll("\\n", "\n") };
  return Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined)) as Record<
    string,
    string
  >;
}

interface Checked {
  options: z.output<typeof alongFlags>;
  texts: z.output<typeof textFlags>;
  model: z.output<typeof modelFlags>;
}

async function runAlong(directory: string, given: AlongFlags, checked: Checked): Promise<void> {
  const { to: others, out } = given;
  const data = named(given.data, "--data");
  const batches = named((given as { batch?: string[] }).batch, "--batch");
  const twice = batches.find(([name]) => data.some(([other]) => other === name));
  if (twice) throw new UsageError(`Expected each text once but received "${twice[0]}" by --data and --batch`);
  if (data.length + batches.length === 0)
    throw new UsageError("Expected --data NAME=FILES or --batch NAME=FILE but received neither");
  const { parts: by, ...options } = checked.options;
  const { microBatch } = checked.texts.batch;
  const ways = await attended("line", undefined, async ({ signal, display }): Promise<MeasuredWay[]> => {
    using model = await loadModel(directory, { ...checked.model, signal });
    const texts: Record<string, Batch[]> = {};
    for (const [name, files] of batches)
      texts[name] = (await Promise.all(files.map((file) => openBatches(file, model)))).flat();
    for (const [name, files] of data)
      texts[name] = await openText(files, dataKeys(given, name, data), { model, directory }, checked.texts);
    const parts = Object.assign({}, ...by.map((one) => parameterParts(model.parameters, one)));
    const measured: MeasuredWay[] = [];
    let done = 0;
    for (const [i, place] of others.entries()) {
      using direction = await openDirection(model, place, checked.model, signal);
      const name = nameOf(others, i);
      const result = await along({
        ...(options as MeasureOptions),
        ...{ model, direction, texts, parts, microBatch, signal },
        allow: options.allow,
        extent: options.extent,
        points: options.points,
        findSlopes: options.findSlopes,
        onProgress: ({ text, batch, part }) =>
          display.update(++done, `${name}: ${text}, batch ${batch + 1}${part === null ? "" : `, ${part}`}`),
      });
      measured.push({ to: place, name, result });
    }
    for (const batch of Object.values(texts).flat()) batch.dispose();
    return measured;
  });
  const { record, files } = await writeAlong(out, directory, ways);
  print({ ...record, files }, given.json, () => [...describe(record), "", ...strings(files)]);
}

/** The last part of a path, as far as it tells the others apart. */
function nameOf(places: readonly string[], index: number): string {
  const short = places.map((place) => path.basename(path.resolve(place)));
  const own = short[index] as string;
  return short.filter((name) => name === own).length > 1 ? (places[index] as string) : own;
}

function describe({ ways }: AlongRecord): string[] {
  const row = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i === 0 ? cell.padEnd(24) : cell.padStart(20)))
      .join("")
      .trimEnd();
  const step = ({ status, mean, standardError }: AlongWay["texts"][string]["critical"]) =>
    status === "resolved"
      ? `${short(mean)}${standardError === null ? "" : ` ± ${short(Number(standardError.toPrecision(2)))}`}`
      : status;
  return ways.flatMap(({ name, allow, texts, parts, unchanged, sentence }, i) => [
    ...(i > 0 ? [""] : []),
    row([name, "loss", "ηc", `within ${short(100 * allow)} %`]),
    ...Object.entries(texts).map(([text, { baseLoss, critical, allowed }]) =>
      row([`  ${text}`, short(baseLoss.mean), step(critical), step(allowed)]),
    ),
    ...Object.entries(parts).flatMap(([part, found]) =>
      Object.entries(found.texts).map(([text, { critical, allowed }]) =>
        row([`  ${part}, ${text}`, "", step(critical), step(allowed)]),
      ),
    ),
    ...(unchanged.length > 0 ? [`  unchanged: ${unchanged.join(", ")}`] : []),
    sentence,
  ]);
}
