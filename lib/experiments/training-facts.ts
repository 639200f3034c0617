import { stat } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { readText, readTorchFile } from "../files/index.js";
import { badConfiguration, count, flags, name } from "../options/index.js";
import { makeSchedule, stepScheduleSchema } from "./schedule.js";

/** What is no JSON is complained about by the schema. */
function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Of the training that weights come from. */
export const trainingKeys = {
  optimizerState: name
    .default("auto")
    .describe(
      "The optimizer's state that the run had, beside the weights: `auto`, what is found there, of several checkpoints beside all or " +
        "none; `none`, moments are accumulated here; or the name of a file or folder.",
    )
    .register(flags, {
      flag: "--optimizer-state <what>",
      help: "auto, none, or the name of a file or folder beside the weights (default: auto)",
    }),
  learningRate: z
    .number()
    .gt(0)
    .nullable()
    .default(null)
    .describe("η of the run, the highest of its schedule; `null`: as the run's files have it.")
    .register(flags, { flag: "--learning-rate <x>" }),
  schedule: stepScheduleSchema
    .nullable()
    .default(null)
    .describe("How η changed over the run's steps, as `train` has it.")
    .register(flags, {
      flag: "--schedule <json>",
      help: 'how η changed, as JSON: {"type": "cosine", "warmup": 2000}; with --learning-rate and --steps',
      read: readJson,
    }),
  steps: count
    .nullable()
    .default(null)
    .describe("Of the whole run.")
    .register(flags, { flag: "--steps <n>" }),
};

const trainingSchema = z.object(trainingKeys);

/** What is known of the training at a checkpoint. */
export interface TrainingFacts {
  /** η of the step that comes next; 0 where the schedule has come to its end. */
  learningRate: number | null;
  /** Where that stands: a file's name, or "given". */
  learningRateSource: string | null;
  tokensSeen: number | null;
}

/** What transformers' Trainer writes of where it is. */
const trainerState = z.looseObject({
  num_input_tokens_seen: z.number().optional(),
  log_history: z.array(z.looseObject({ learning_rate: z.number().optional() })).default([]),
});

/** Weights, where they lie, and what their name says of the training. */
interface Checkpoint {
  directory: string;
  step: number | null;
  tokens: number | null;
}

type Wanted = Pick<z.output<typeof trainingSchema>, "learningRate" | "schedule" | "steps">;

/**
 * η of a checkpoint: as the configuration says; of the optimizer's own state; of a Trainer's scheduler.pt, and else what
 * trainer_state.json logged last, which is that of the step before.
 *
 * @param stored η of the optimizer's state, and the name of its file
 */
export async function trainingFacts(
  checkpoint: Checkpoint,
  wanted: Wanted,
  stored: { learningRate: number; source: string } | undefined,
): Promise<TrainingFacts> {
  const folder = checkpoint.directory;
  const trainer = await readTrainerState(path.join(folder, "trainer_state.json"));
  const tokens = trainer?.num_input_tokens_seen ?? 0;
  const logged = trainer?.log_history.findLast(({ learning_rate: rate }) => rate !== undefined);
  const told = [
    [givenRate(checkpoint, wanted), "given"],
    [stored?.learningRate, stored?.source],
    [await schedulerRate(path.join(folder, "scheduler.pt")), "scheduler.pt"],
    [logged?.learning_rate, "trainer_state.json"],
  ] as const;
  const [learningRate, source] = told.find(([rate]) => rate !== undefined) ?? [];
  return {
    learningRate: learningRate ?? null,
    learningRateSource: source ?? null,
    tokensSeen: checkpoint.tokens ?? (tokens > 0 ? tokens : null),
  };
}

function givenRate({ step }: Checkpoint, { learningRate, schedule, steps }: Wanted): number | undefined {
  if (learningRate === null) return undefined;
  if (schedule === null || steps === null) return learningRate;
  if (step === null) return undefined;
  return step < steps ? makeSchedule({ schedule, steps }, learningRate)(step + 1) : 0;
}

/** @throws CriticalSharpnessError `ERR_CONFIGURATION` for a schedule that cannot be made. */
export function checkRate({ learningRate, schedule, steps }: Wanted): void {
  if (schedule === null) return;
  if (learningRate === null || steps === null)
    throw badConfiguration(
      "Expected learningRate and steps, of the whole run, beside it for schedule but received it alone",
      undefined,
    );
  try {
    makeSchedule({ schedule, steps }, learningRate);
  } catch (error) {
    throw badConfiguration(
      (error as Error).message.replace("optimizer.learningRate", "learningRate"),
      undefined,
    );
  }
}

const exists = (file: string) =>
  stat(file).then(
    (entry) => entry.isFile(),
    () => false,
  );

async function readTrainerState(file: string): Promise<z.output<typeof trainerState> | undefined> {
  if (!(await exists(file))) return undefined;
  try {
    return trainerState.parse(JSON.parse(await readText(file)));
  } catch {
    // Another program's file of that name: what it would have told is not known then.
    return undefined;
  }
}

async function schedulerRate(file: string): Promise<number | undefined> {
  if (!(await exists(file))) return undefined;
  const value = await readTorchFile(file);
  const rates = value instanceof Map ? value.get("_last_lr") : undefined;
  const [first] = Array.isArray(rates) ? rates : [];
  return typeof first === "number" ? first : undefined;
}
