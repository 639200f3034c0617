import path from "node:path";
import { configureModel } from "../models/index.js";
import { ruleOf } from "../optimizers/index.js";
import { counted, integerText, prose } from "../report/index.js";
import type { RunFacts } from "../runs/index.js";
import type { NativeDecoderDescription } from "../torch/index.js";
import { stepSchedule } from "./schedule.js";
import type { TrainConfiguration } from "./train/train-configuration.js";

/** A model in words. */
export function describeModel(model: TrainConfiguration["model"]): string {
  if ("directory" in model) return `from ${model.directory}`;
  const { seed: _, initialization: __, ...rest } = model;
  const { config, description, language } = configureModel(rest);
  if (config.model_type === "mlp") {
    const sizes = config.layer_sizes.map(integerText).join(" → ");
    const loss = config.loss === "mse" ? "mean squared error" : "cross-entropy";
    return `multilayer perceptron ${sizes}, ${config.activation}, ${loss}`;
  }
  const decoder = description as NativeDecoderDescription;
  return [
    `${config.model_type === "gpt2" ? "GPT-2" : config.model_type}: ${counted(decoder.layers.length, "layer")}`,
    `width ${integerText(decoder.width)}`,
    counted(decoder.heads, "head"),
    `context ${integerText(language?.contextLength ?? 0)}`,
    `vocabulary ${integerText(decoder.vocabularySize)}`,
    decoder.names.head === undefined ? "tied embeddings" : "untied embeddings",
  ].join(", ");
}

/** Tokens in a sequence, if nothing else is asked for; undefined of a model that takes none, or of a file's. */
export function contextLength(model: TrainConfiguration["model"]): number | undefined {
  if ("directory" in model) return undefined;
  const { seed: _, initialization: __, ...rest } = model;
  return configureModel(rest).language?.contextLength;
}

/** Data in words. */
export function describeData(data: TrainConfiguration["data"]): string {
  const files = "files" in data ? ` (${data.files.map((file) => path.basename(file)).join(", ")})` : "";
  const tokenizer =
    "tokenizer" in data && data.tokenizer !== undefined
      ? `, ${data.tokenizer === "bytes" ? "bytes as tokens" : path.basename(data.tokenizer)}`
      : "";
  const names = {
    text: "text",
    jsonl: "JSON Lines",
    json: "JSON",
    csv: "comma-separated values",
    parquet: "Parquet",
    arrow: "Arrow",
    files: "files",
    "state-of-the-union": "State of the Union addresses",
    tokens: "token files",
    tensors: "tensors",
    cifar10: "CIFAR-10",
    mnist: "MNIST digits",
    synthetic: "synthetic",
  } as const;
  if (data.type === "synthetic")
    return `synthetic ${data.task}, ${counted(data.count, "example")} with ${counted(data.features, "feature")}, ${counted(data.outputs, "output")}`;
  return `${names[data.type]}${files}${tokenizer}`;
}

/** A batch of sequences in words. */
export function describeSequences({
  size,
  sequence,
  documents,
}: Pick<TrainConfiguration["batch"], "size" | "sequence" | "documents">): string {
  const tokens = sequence ? ` of ${integerText(sequence)} tokens` : "";
  const apart = documents === "apart" ? ", each within one document" : "";
  return counted(size, `sequence${tokens}`, `sequences${tokens}`) + apart;
}

/** An optimizer in words, by its options. */
export function describeOptimizer(
  optimizer: { type: string; weightDecay?: number; groups?: readonly object[] } & object,
): string {
  const { weightDecay = 0 } = optimizer;
  const decay = weightDecay > 0 ? [`weight decay ${prose(weightDecay)}`] : [];
  const groups = optimizer.groups?.length ? [counted(optimizer.groups.length, "parameter group")] : [];
  return [...ruleOf(optimizer).describe(optimizer, prose), ...decay, ...groups].join(", ");
}

/** A schedule in words. */
export function describeSchedule(configuration: TrainConfiguration): string {
  const { schedule: given, optimizer, steps } = configuration;
  const schedule = stepSchedule(given);
  const measured = given.type === "critical" ? [`at most ${prose(given.fraction)} of ηc`] : [];
  const inSteps = (duration: number) =>
    counted(duration < 1 ? Math.round(duration * steps) : duration, "step");
  const highest = `η = ${prose(optimizer.learningRate)}`;
  const warmup = schedule.warmup > 0 ? [`${inSteps(schedule.warmup)} of warm-up`] : [];
  if (schedule.type === "constant") return ["constant", highest, ...warmup, ...measured].join(", ");
  const last = `to ${prose(schedule.finalLearningRate)}`;
  if (schedule.type === "cosine")
    return ["cosine", ...warmup, `from ${highest} ${last}`, ...measured].join(", ");
  return [
    "warm-up, stable, decay",
    highest,
    ...warmup,
    `${inSteps(schedule.decay)} of ${schedule.shape === "sqrt" ? "square-root" : schedule.shape} decay ${last}`,
    ...measured,
  ].join(", ");
}

/** How a run came about, for a table. */
export function provenanceRows({
  configuration,
  facts: { created, versions },
}: {
  configuration: { dtype: string; seed: number };
  facts: RunFacts;
}): [string, string][] {
  return [
    ["Arithmetic", configuration.dtype],
    ["Seed", String(configuration.seed)],
    ...(created ? [["Begun", created.replace("T", " ").replace(/\.\d+Z$/, " UTC")] as [string, string]] : []),
    [
      "Versions",
      Object.entries(versions)
        .map((pair) => pair.join(" "))
        .join(", "),
    ],
  ];
}
