import { rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod";
import { AbortError } from "../../errors.js";
import { flags, type OptionsOf, readOptions } from "../../options/index.js";
import { Run, type RunOptions, runFiles, runOptions, StateFolder } from "../../runs/index.js";
import { type MeterState, measurementRecord, SharpnessMeter } from "../../sharpness/index.js";
import { modelOptionsOf } from "../configuration.js";
import { probesKind } from "./index.js";
import { badProbes, findProbes, type Probe, withProbe } from "./probe-files.js";
import {
  type ProbesConfiguration,
  type ProbesConfigurationInput,
  parseProbes,
} from "./probes-configuration.js";
import {
  identity,
  type ProbeFailureRecord,
  type ProbeRecord,
  type ProbesRecord,
  type probesRecords,
} from "./probes-records.js";

export type ProbesEvent =
  /** `done` probes were measured before. */
  | { type: "start"; done: number; directory: string }
  /** A probe that is measured now, and how many wait behind it. */
  | { type: "plan"; probe: Probe; waiting: number }
  /** None is there that is not measured: the next ones are waited for. */
  | { type: "waiting"; done: number }
  | ProbesRecord;

const probesShape = {
  /** Measures the probes that are there, and ends. */
  once: z
    .boolean()
    .default(false)
    .describe("Measure the probes that are there, and end.")
    .register(flags, { flag: "--once" }),
  /** Seconds without a new probe after which it ends. Default: it ends when `signal` says so. */
  untilIdle: z
    .number()
    .min(0)
    .optional()
    .describe("End when no probe has come for so long. Default: Ctrl-C ends it.")
    .register(flags, { flag: "--until-idle <seconds>" }),
  /** Removes each probe's folder once it is measured: the disk holds those that wait. */
  remove: z
    .boolean()
    .default(false)
    .describe("Remove each probe once it is measured, so that the disk holds only those that wait.")
    .register(flags, { flag: "--remove" }),
};

export const probesOptions = z.strictObject({ ...runOptions<ProbesEvent>(), ...probesShape });

/** `signal` ends it as well, without an error. */
export interface ProbesOptions extends RunOptions<ProbesEvent>, OptionsOf<typeof probesShape> {}

export interface ProbesResult {
  directory: string;
  /** Those that are measured, in the order in which they were. */
  probes: ProbeRecord[];
  /** Probes that could not be measured. */
  failures: ProbeFailureRecord[];
}

/** Milliseconds between looks at the folder. */
const interval = 500;

/**
 * λc of the probes that a training elsewhere writes (docs/probes.md), as they come, into a directory: along each probe's Δ, on its batch,
 * at its weights. It ends with `once`, `untilIdle` or the signal. Stopped or killed at any moment and called again, it goes on, and no
 * probe is measured twice; the records are the same, bit for bit, but for the seconds. A probe that cannot be measured is recorded
 * as a failure, and the run goes on.
 *
 * @throws CriticalSharpnessError `ERR_PROBES` where it ends and there was no probe; `ERR_CONFIGURATION`, `ERR_RUN_DIRECTORY` (the
 *   directory has another run), `ERR_RUN_LOCKED`.
 */
export async function measureProbes(
  configuration: ProbesConfigurationInput,
  options: ProbesOptions,
): Promise<ProbesResult> {
  const checked = readOptions(probesOptions, options);
  const parsed = parseProbes(configuration);
  await using run = await Run.open<ProbesEvent, ProbesConfiguration, typeof probesRecords>(
    probesKind,
    parsed,
    checked,
  );
  const measuring = new Measuring(run, parsed);
  await measuring.begin();
  await watchFolder(measuring, checked);
  const { measured, failures } = measuring;
  if (measured.size + failures.size === 0 && !checked.signal?.aborted)
    throw badProbes(
      "a folder with at least one probe, as examples/python/critical_sharpness_probe.py writes them,",
      parsed.probes,
      "none",
    );
  return { directory: run.directory, probes: [...measured.values()], failures: [...failures.values()] };
}

async function watchFolder(
  measuring: Measuring,
  { once, untilIdle = Infinity, remove, signal }: z.output<typeof probesOptions>,
): Promise<void> {
  let last = performance.now();
  let isTold = false;
  while (!signal?.aborted) {
    const found = await measuring.find();
    if (remove) for (const probe of found.done) await rm(probe.directory, { recursive: true, force: true });
    const [next] = found.waiting;
    if (next) {
      await measuring.measure(next, found.waiting.length - 1);
      last = performance.now();
      isTold = false;
      continue;
    }
    if (once || performance.now() - last >= 1000 * untilIdle) return;
    if (!isTold) await measuring.tellWaiting();
    isTold = true;
    await delay(interval, undefined, { signal }).catch(() => {});
  }
}

/** What the next probe is measured with: that of the log's first records. */
interface ProbesState {
  version: 1;
  records: number;
  meter: MeterState;
}

/** Probes that are measured one after the other, with one meter, which learns from each where to look in the next. */
class Measuring {
  readonly measured = new Map<string, ProbeRecord>();
  readonly failures = new Map<string, ProbeFailureRecord>();
  readonly #run: Run<ProbesEvent, typeof probesRecords>;
  readonly #configuration: ProbesConfiguration;
  readonly #meter: SharpnessMeter;
  readonly #state: StateFolder<ProbesState>;

  constructor(run: Run<ProbesEvent, typeof probesRecords>, configuration: ProbesConfiguration) {
    this.#run = run;
    this.#configuration = configuration;
    const { search, microBatch } = configuration;
    this.#meter = new SharpnessMeter({ ...search, microBatch: microBatch ?? undefined });
    this.#state = new StateFolder(run.directory, runFiles.state, ({ version }) => version === 1);
  }

  /** Goes on after the last record whose state is there: what comes behind it is measured again. */
  async begin(): Promise<void> {
    const state = await this.#state.find();
    const relied = state?.records ?? 0;
    let taken = 0;
    const take = (record: ProbesRecord) => {
      if (taken++ >= relied) return false;
      if (record.type === "probe") this.measured.set(identity(record), record);
      return true;
    };
    await this.#run.openLog({ take, relied });
    if (state) this.#meter.restore(state.meter);
    const { directory } = this.#run;
    await this.#run.tell({ type: "start", done: this.measured.size, directory });
  }

  async find(): Promise<{ done: Probe[]; waiting: Probe[] }> {
    const found = await findProbes(this.#configuration.probes);
    return {
      done: found.filter((probe) => this.measured.has(identity(probe))),
      waiting: found.filter(
        (probe) => !this.measured.has(identity(probe)) && !this.failures.has(identity(probe)),
      ),
    };
  }

  async tellWaiting(): Promise<void> {
    await this.#run.tell({ type: "waiting", done: this.measured.size });
  }

  /** Records what there is of a probe; nothing where the run was stopped meanwhile. */
  async measure(probe: Probe, waiting: number): Promise<void> {
    await this.#run.tell({ type: "plan", probe, waiting });
    const record = await this.#recordOf(probe);
    if (!record) return;
    await this.#run.record(record);
    await this.#run.sync();
    await this.#state.save(async () => ({
      ...{ version: 1, records: this.#run.count, meter: this.#meter.state() },
    }));
    if (record.type === "probe") this.measured.set(identity(probe), record);
    else this.failures.set(identity(probe), record);
  }

  async #recordOf(probe: Probe): Promise<ProbesRecord | undefined> {
    const { name, step, written } = probe;
    try {
      return { type: "probe", name, step, written, ...(await this.#found(probe)) };
    } catch (error) {
      if (error instanceof AbortError) return undefined;
      const { code, message } = error as Error & { code?: unknown };
      return { type: "failure", name, step, written, code: typeof code === "string" ? code : null, message };
    }
  }

  async #found(probe: Probe) {
    const { program, recompute, microBatch } = this.#configuration;
    const { signal } = this.#run;
    const options = { ...modelOptionsOf(this.#configuration), program, signal };
    return withProbe(probe, options, async ({ model, batch, direction, learningRate }) => {
      const started = performance.now();
      const pass = { microBatch: microBatch ?? undefined, recompute, signal };
      const gradient = await model.gradient(batch, pass);
      using own = gradient.gradient;
      const gradientNorm = await own.norm({ signal });
      const found = await this.#meter.measure({ model, batch, direction, gradient, signal });
      const seconds = (performance.now() - started) / 1000;
      return {
        learningRate,
        loss: gradient.loss,
        gradientNorm,
        measurement: measurementRecord(found, seconds),
      };
    });
  }
}
