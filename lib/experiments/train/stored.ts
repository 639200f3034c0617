import { badRun, type RunFacts, type StoredRun } from "../../runs/index.js";
import type { MeasurementRecord } from "../../sharpness/index.js";
import type { TrainConfiguration } from "./configuration.js";
import type {
  CurvatureRecord,
  LandscapeRecord,
  StepRecord,
  trainRecords,
  ValidationRecord,
} from "./records.js";

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
}

/** @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if it made no step. */
export async function gather(run: StoredRun<TrainConfiguration, typeof trainRecords>): Promise<RunRecords> {
  const { configuration, facts, directory } = run;
  const records: RunRecords = {
    ...{ configuration, facts, steps: new RunSteps() },
    ...{ validations: [], landscape: null, curvatures: [] },
  };
  for await (const record of run.records()) {
    if (record.type === "step") records.steps.push(record);
    else if (record.type === "validation") records.validations.push(record);
    else if (record.type === "landscape") records.landscape = record;
    else records.curvatures.push(record);
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

/**
 * The steps of a run, in columns: of a million of them, objects would take gigabytes. What is read from it are objects, made when they
 * are asked for.
 */
export class RunSteps implements Iterable<RunStep> {
  readonly #columns: Float64Array[];
  /** Where the words of measurements are places in a list. */
  readonly #words: (string | null)[] = [null];
  readonly #places = new Map<string | null, number>([[null, 0]]);
  length = 0;

  constructor() {
    const count = stepNumbers.length + measuredNumbers.length + measuredWords.length;
    this.#columns = Array.from({ length: count }, () => new Float64Array(64));
  }

  push(step: StepRecord): void {
    const i = this.length++;
    if (i === this.#columns[0]?.length) this.#grow();
    let column = 0;
    const put = (value: number) => {
      (this.#columns[column++] as Float64Array)[i] = value;
    };
    for (const name of stepNumbers) put(step[name]);
    const { measurement } = step;
    for (const name of measuredNumbers) put(measurement?.[name] ?? NaN);
    for (const name of measuredWords) put(this.#place(measurement?.[name] ?? null));
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
    let column = 0;
    const number = () => (this.#columns[column++] as Float64Array)[i] as number;
    const numberOrNull = () => {
      const value = number();
      return Number.isNaN(value) ? null : value;
    };
    const word = () => (this.#words[number()] ?? null) as never;
    const step = {
      type: "step" as const,
      ...{ step: number(), tokens: number(), loss: number() },
      ...{ learningRate: number(), gradientNorm: number(), seconds: number() },
    };
    const measurement = {
      ...{ criticalLearningRate: numberOrNull(), criticalSharpness: numberOrNull() },
      ...{ lower: numberOrNull(), upper: numberOrNull(), slope: numberOrNull() },
      ...{ baseLoss: numberOrNull(), noise: numberOrNull(), forwardPasses: number(), seconds: number() },
      ...{ status: word(), reason: word(), firstCrossing: word(), dtype: word() },
    };
    return { ...step, measurement: measurement.status === null ? null : measurement };
  }

  #place(word: string | null): number {
    const known = this.#places.get(word);
    if (known !== undefined) return known;
    this.#places.set(word, this.#words.length);
    return this.#words.push(word) - 1;
  }

  #grow(): void {
    this.#columns.forEach((old, i) => {
      const column = new Float64Array(2 * old.length);
      column.set(old);
      this.#columns[i] = column;
    });
  }
}
