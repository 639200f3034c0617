import { badRun, type RunFacts, type StoredRun } from "../../runs/index.js";
import type { MeasurementRecord } from "../../sharpness/index.js";
import type { TrainConfiguration } from "./train-configuration.js";
import type {
  CurvatureRecord,
  DivergedRecord,
  LandscapeRecord,
  StepRecord,
  trainRecords,
  ValidationRecord,
} from "./train-records.js";

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
  "noise",
  "forwardPasses",
  "seconds",
] as const;
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
      noise: orNull(numbers.noise[i]),
      forwardPasses: numbers.forwardPasses[i] as number,
      seconds: numbers.seconds[i] as number,
      status: word(words.status),
      reason: word(words.reason),
      firstCrossing: word(words.firstCrossing),
      dtype: word(words.dtype),
    };
  }

  #place(word: string | null): number {
    const known = this.#places.get(word);
    if (known !== undefined) return known;
    this.#places.set(word, this.#list.length);
    return this.#list.push(word) - 1;
  }

  #grow(): void {
    for (const columns of [this.#steps, this.#measured, this.#words] as Columns<string>[])
      for (const [name, old] of Object.entries(columns)) {
        columns[name] = new Float64Array(2 * old.length);
        columns[name].set(old);
      }
  }
}

const orNull = (value: number | undefined) => (value === undefined || Number.isNaN(value) ? null : value);
