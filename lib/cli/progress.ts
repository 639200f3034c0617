import cliProgress from "cli-progress";

/** Shows how far a command is: a bar on a terminal, elsewhere a line at most every second. On standard error. */
export interface Progress {
  /** `done` of the total, and what else is worth knowing. */
  update(done: number, text: string): void;
  /** A line that stays. */
  note(line: string): void;
  stop(): void;
}

/** For a process that tells nothing. */
export const noProgress: Progress = { update() {}, note() {}, stop() {} };

type Output = NodeJS.WritableStream & { isTTY?: boolean };

/**
 * @param unit what is counted
 * @param total undefined where nobody knows
 * @param start what was done before this command
 */
export function showProgress(
  unit: string,
  total: number | undefined,
  start = 0,
  output: Output = process.stderr,
): Progress {
  const began = performance.now();
  const left = (done: number) => {
    if (total === undefined || done <= start || done >= total) return "";
    const seconds = (performance.now() - began) / 1000;
    return `  ${duration((seconds / (done - start)) * (total - done))} left`;
  };
  const shown = output.isTTY ? bar(unit, total, start, output, left) : lines(unit, total, output, left);
  return neverSilent(shown, start);
}

/** Seconds after which what was said last is said again, with how long ago it was. */
const longestSilence = 8;

/** One step of a large model may take minutes. */
function neverSilent(shown: Progress, start: number): Progress {
  let said = { done: start, text: "", at: performance.now() };
  let last = said.at;
  const timer = setInterval(() => {
    const now = performance.now();
    if (now - last < 1000 * longestSilence) return;
    last = now;
    shown.update(said.done, `${said.text}  … ${duration((now - said.at) / 1000)}`.trim());
  }, 1000);
  timer.unref();
  return {
    update(done, text) {
      last = performance.now();
      said = { done, text, at: last };
      shown.update(done, text);
    },
    note: shown.note,
    stop() {
      clearInterval(timer);
      shown.stop();
    },
  };
}

type TimeLeft = (done: number) => string;

function bar(
  unit: string,
  total: number | undefined,
  start: number,
  output: Output,
  left: TimeLeft,
): Progress {
  const single = new cliProgress.SingleBar({
    format: total === undefined ? `${unit} {value}  {text}` : `${unit} {value}/{total} {bar}  {text}`,
    barsize: 20,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    hideCursor: true,
    stream: output as NodeJS.WriteStream,
    fps: 5,
  });
  single.start(total ?? Number.MAX_SAFE_INTEGER, start, { text: "" });
  let done = start;
  let shown = "";
  return {
    update(now, text) {
      done = now;
      shown = text;
      single.update(now, { text: text + left(now) });
    },
    note(line) {
      // The bar's line is overwritten, and drawn again below.
      output.write(`\r\x1b[K${line}\n`);
      single.update(done, { text: shown + left(done) });
    },
    stop: () => single.stop(),
  };
}

function lines(unit: string, total: number | undefined, output: Output, left: TimeLeft): Progress {
  let last = -Infinity;
  return {
    update(done, text) {
      const now = performance.now();
      if (now - last < 1000 && done !== total) return;
      last = now;
      output.write(`${unit} ${done}${total === undefined ? "" : `/${total}`}  ${text}${left(done)}\n`);
    },
    note: (line) => output.write(`${line}\n`),
    stop: () => {},
  };
}

/** A signal that Ctrl-C (SIGINT) or SIGTERM aborts; disposing of it takes the handlers away. */
export interface Interruption extends Disposable {
  readonly signal: AbortSignal;
}

/** Within so many milliseconds a second signal is the first one again: terminals and launchers signal whole groups of processes. */
const echo = 300;

/** The first interruption aborts the signal and says `notice`; a second one ends the process at once. */
export function interruption(
  notice: string,
  display: { note(line: string): void; stop(): void },
): Interruption {
  const controller = new AbortController();
  let first = 0;
  const onSignal = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      if (performance.now() - first < echo) return;
      display.stop();
      process.exit(1);
    }
    first = performance.now();
    display.note(notice);
    controller.abort(new Error(name));
  };
  const names = ["SIGINT", "SIGTERM"] as const;
  for (const name of names) process.on(name, onSignal);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const name of names) process.off(name, onSignal);
    },
  };
}

/** A result on standard output: JSON for machines, or lines for people. */
export function print(result: unknown, json: boolean | undefined, lines: () => string[]): void {
  process.stdout.write(`${json ? JSON.stringify(result, null, 2) : lines().join("\n")}\n`);
}

/** Labels and values, the values in a column. */
export function table(rows: readonly (readonly [label: string, value: string])[]): string[] {
  const width = rows.reduce((most, [label]) => Math.max(most, label.length), 0);
  return rows.map(([label, value]) => `${label.padEnd(width)}  ${value}`);
}

/** A number with four significant digits. */
export function short(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  return Number(value.toPrecision(4)).toString();
}

/** 1 h 5 min, 3 min 20 s, 12 s */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

/** Every string in a result, a line each: the files that it names. */
export function strings(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(strings) : [];
}

/** Called by a command that ends otherwise than done, though without an error. */
export type SetStatus = (code: number) => void;

/** How a command ended, for the shell. */
export const exitCodes = { done: 0, failed: 1, badUsage: 2, notBelow: 3 } as const;

/** Command-line arguments that do not go together. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** A flag's value, a configuration or an option of the library that cannot be used is bad usage; the rest are failures. */
const usageCodes = new Set(["ERR_CONFIGURATION", "ERR_INVALID_ARG_TYPE", "ERR_OUT_OF_RANGE"]);

export function exitCodeOf(error: unknown): number {
  const { code } = (error ?? {}) as { code?: unknown };
  const isUsage = error instanceof UsageError || (typeof code === "string" && usageCodes.has(code));
  return isUsage ? exitCodes.badUsage : exitCodes.failed;
}

/** One message; with `verbose` the stacks of the error and its causes. */
export function failureMessage(error: unknown, verbose: boolean): string {
  if (!(error instanceof Error)) return `error: ${String(error)}`;
  if (!verbose) return `error: ${error.message}`;
  const stacks: string[] = [];
  for (let e: unknown = error; e instanceof Error; e = e.cause) stacks.push(e.stack ?? e.message);
  return `error: ${stacks.join("\ncaused by: ")}`;
}
