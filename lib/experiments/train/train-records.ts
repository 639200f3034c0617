import * as z from "zod";
import { eigenvalueSchema } from "../../curvature/index.js";
import { badRun, type RecordOf, type RunFacts, type StoredRun } from "../../runs/index.js";
import { finite, type MeasurementRecord, measurementSchema, real } from "../../sharpness/index.js";
import type { TrainConfiguration } from "./train-configuration.js";

/** Lines of a training run's metrics.jsonl. */
export const trainRecords = {
  step: z.object({
    /** Counts from 1. */
    step: z.number(),
    /** Tokens, or examples, seen up to and with this step. */
    tokens: z.number(),
    /** L(θ) of the step's batch, before the update. */
    loss: real,
    /** η of the update. */
    learningRate: real,
    /** ‖∇L‖, before it was clipped. */
    gradientNorm: real,
    /** Time of the step without measurement and landscape. */
    seconds: z.number(),
    /** Along the Δ that the update takes, before it takes it. */
    measurement: measurementSchema.nullable(),
  }),
  /** The loss along the Δ of a step, before its update. */
  landscape: z.object({
    step: z.number(),
    baseLoss: real,
    criticalLearningRate: finite,
    /** η of the step's update. */
    learningRate: z.number(),
    points: z.array(z.object({ learningRate: z.number(), loss: finite })),
  }),
  /** Curvature by second derivatives of the loss of a step's batch, before its update. */
  curvature: z.object({
    step: z.number(),
    /** η of the step's update. */
    learningRate: z.number(),
    /** λmax(H) */
    hessian: eigenvalueSchema,
    /** λmax(P⁻¹H) with the optimizer's P; null where P = 1, and where there is none. */
    preconditioned: eigenvalueSchema.nullable(),
    /** ΔᵀHΔ/(∇L·Δ) */
    directionalSharpness: finite,
    /** What λmax(P⁻¹H), or λmax(H) where P = 1, is compared with: see `Optimizer.threshold`. */
    threshold: z.number().nullable(),
    seconds: z.number(),
  }),
  /** After the update of a step. */
  validation: z.object({ step: z.number(), loss: real }),
  /** The last record of a training that diverged: the step that was not made, and its loss and gradient in words. */
  diverged: z.object({ step: z.number(), received: z.string() }),
} as const;

export type MetricsRecord = RecordOf<typeof trainRecords>;
export type StepRecord = Extract<MetricsRecord, { type: "step" }>;
export type LandscapeRecord = Extract<MetricsRecord, { type: "landscape" }>;
export type CurvatureRecord = Extract<MetricsRecord, { type: "curvature" }>;
export type DivergedRecord = Extract<MetricsRecord, { type: "diverged" }>;
export type ValidationRecord = Extract<MetricsRecord, { type: "validation" }>;

/** The numbers of a record for TensorBoard. */
export function trainScalars(
  record: MetricsRecord,
): { step: number; values: Record<string, number> } | undefined {
  const { step } = record;
  switch (record.type) {
    case "step": {
      const { loss, learningRate, gradientNorm, measurement } = record;
      const sharpness = measurement?.criticalSharpness ?? NaN;
      const values = {
        "loss/training": loss,
        learning_rate: learningRate,
        gradient_norm: gradientNorm,
        ...(measurement && {
          "sharpness/critical": sharpness,
          "sharpness/two_over_learning_rate": 2 / learningRate,
          "sharpness/critical_over_threshold": (sharpness * learningRate) / 2,
          forward_passes: measurement.forwardPasses,
        }),
      };
      return { step, values };
    }
    case "curvature":
      return {
        step,
        values: {
          "curvature/hessian": record.hessian.eigenvalue ?? NaN,
          "curvature/preconditioned": record.preconditioned?.eigenvalue ?? NaN,
          "curvature/directional": record.directionalSharpness ?? NaN,
          "curvature/threshold": record.threshold ?? NaN,
        },
      };
    case "validation":
      return { step, values: { "loss/validation": record.loss } };
    default:
      return undefined;
  }
}

/** A step, without the forward passes of its measurement: there are many, and none is shown. */
export interface RunStep extends Omit<StepRecord, "measurement"> {
  measurement: Omit<MeasurementRecord, "evaluations"> | null;
}

/** What a training run left so far. */
export interface RunRecords {
  configuration: TrainConfiguration;
  facts: RunFacts;
  steps: RunSteps;
  validations: ValidationRecord[];
  /** The last one, if any: it is the one that is shown. */
  landscape: LandscapeRecord | null;
  curvatures: CurvatureRecord[];
  /** Of a training that diverged. */
  diverged: DivergedRecord | null;
}

/** @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if it made no step. */
export async function gather(run: StoredRun<TrainConfiguration, typeof trainRecords>): Promise<RunRecords> {
  const { configuration, facts, directory } = run;
  const records: RunRecords = {
    ...{ configuration, facts, steps: new RunSteps() },
    ...{ validations: [], landscape: null, curvatures: [], diverged: null },
  };
  for await (const record of run.records()) {
    if (record.type === "step") records.steps.push(record);
    else if (record.type === "validation") records.validations.push(record);
    else if (record.type === "landscape") records.landscape = record;
    else if (record.type === "curvature") records.curvatures.push(record);
    else records.diverged = record;
  }
  if (records.steps.length > 0) return records;
  const message = `one without a step. Train it first: critical-sharpness train <config> --out ${directory}`;
  throw badRun("a run that made at least one step", directory, message);
}

const stepNumbers = ["step", "tokens", "loss", "learningRate", "gradientNorm", "seconds"] as const;
const measuredNumbers = [
  "criticalLearningRate",
  "criticalSharpness",
  "lower",
  "upper",
  "slope",
  "baseLoss",
  "error",
  "noise",
  "forwardPasses",
  "seconds",
] as const;
const estimateNumbers = ["learningRate", "error", "noise", "evaluations"] as const;
const measuredWords = ["status", "reason", "firstCrossing", "dtype"] as const;

type Columns<Name extends string> = Record<Name, Float64Array>;

const columns = <Name extends string>(names: readonly Name[]) =>
  Object.fromEntries(names.map((name) => [name, new Float64Array(64)])) as Columns<Name>;

/**
 * The steps of a run, in columns: of a million of them, objects would take gigabytes. What is read from it are objects, made when they
 * are asked for.
 */
export class RunSteps implements Iterable<RunStep> {
  readonly #steps = columns(stepNumbers);
  readonly #measured = columns(measuredNumbers);
  readonly #estimates = columns(estimateNumbers);
  /** Places in the list of all words. */
  readonly #words = columns(measuredWords);
  readonly #list: (string | null)[] = [null];
  readonly #places = new Map<string | null, number>([[null, 0]]);
  length = 0;

  push(step: StepRecord): void {
    if (this.length === this.#steps.step.length) this.#grow();
    const i = this.length++;
    for (const name of stepNumbers) this.#steps[name][i] = step[name];
    const { measurement } = step;
    for (const name of measuredNumbers) this.#measured[name][i] = measurement?.[name] ?? NaN;
    for (const name of estimateNumbers) this.#estimates[name][i] = measurement?.estimate?.[name] ?? NaN;
    for (const name of measuredWords) this.#words[name][i] = this.#place(measurement?.[name] ?? null);
  }

  /** The i-th from 0, or from the end if negative. */
  at(i: number): RunStep | undefined {
    const place = i < 0 ? this.length + i : i;
    return place >= 0 && place < this.length ? this.#step(place) : undefined;
  }

  *[Symbol.iterator](): Generator<RunStep> {
    for (let i = 0; i < this.length; i++) yield this.#step(i);
  }

  #step(i: number): RunStep {
    const { step, tokens, loss, learningRate, gradientNorm, seconds } = this.#steps;
    return {
      type: "step",
      step: step[i] as number,
      tokens: tokens[i] as number,
      loss: loss[i] as number,
      learningRate: learningRate[i] as number,
      gradientNorm: gradientNorm[i] as number,
      seconds: seconds[i] as number,
      measurement: this.#words.status[i] === 0 ? null : this.#measurement(i),
    };
  }

  #measurement(i: number): NonNullable<RunStep["measurement"]> {
    const numbers = this.#measured;
    const words = this.#words;
    const word = (column: Float64Array) => (this.#list[column[i] as number] ?? null) as never;
    return {
      criticalLearningRate: orNull(numbers.criticalLearningRate[i]),
      criticalSharpness: orNull(numbers.criticalSharpness[i]),
      lower: orNull(numbers.lower[i]),
      upper: orNull(numbers.upper[i]),
      slope: orNull(numbers.slope[i]),
      baseLoss: orNull(numbers.baseLoss[i]),
      error: orNull(numbers.error[i]),
      estimate: this.#estimate(i),
      noise: orNull(numbers.noise[i]),
      forwardPasses: numbers.forwardPasses[i] as number,
      seconds: numbers.seconds[i] as number,
      status: word(words.status),
      reason: word(words.reason),
      firstCrossing: word(words.firstCrossing),
      dtype: word(words.dtype),
    };
  }

  #estimate(i: number): MeasurementRecord["estimate"] {
    const [learningRate, error, noise, evaluations] = estimateNumbers.map(
      (name) => this.#estimates[name][i],
    ) as [number, number, number, number];
    return Number.isNaN(learningRate) ? null : { learningRate, error, noise, evaluations };
  }

  #place(word: string | null): number {
    const known = this.#places.get(word);
    if (known !== undefined) return known;
    this.#places.set(word, this.#list.length);
    return this.#list.push(word) - 1;
  }

  #grow(): void {
    for (const columns of [this.#steps, this.#measured, this.#estimates, this.#words] as Columns<string>[])
      for (const [name, old] of Object.entries(columns)) {
        columns[name] = new Float64Array(2 * old.length);
        columns[name].set(old);
      }
  }
}

const orNull = (value: number | undefined) => (value === undefined || Number.isNaN(value) ? null : value);
