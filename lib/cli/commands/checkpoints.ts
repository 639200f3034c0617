import path from "node:path";
import { Command } from "commander";
import {
  edgeOf,
  edgeSentence,
  findCheckpoints,
  type ListedCheckpoint,
  measureCheckpoints,
  type SeriesConfigurationInput,
  type SeriesEvent,
  type SeriesResult,
  seriesOptions,
  seriesSchema,
  writeReport,
} from "../../experiments/index.js";
import { readText } from "../../files/index.js";
import { usualOptimizer } from "../../optimizers/index.js";
import { addFlags } from "../../options/index.js";
import type { Group } from "../../ranks/index.js";
import {
  type Attended,
  attended,
  type RunFlags,
  ranksOption,
  runOptions,
  sinksOf,
  withRanks,
} from "../options.js";
import type { Progress } from "../progress.js";
import { exitCodes, print, type SetStatus, short, strings, UsageError } from "../progress.js";

interface CheckpointsFlags extends RunFlags {
  out: string;
  list?: string;
  saveEvery?: number;
  ranks?: number;
}

export function checkpointsCommand(setStatus: SetStatus): Command {
  const command = new Command("checkpoints")
    .description("Measure critical sharpness over a series of checkpoints and draw it over training steps.")
    .argument("[patterns...]", "folders or patterns of checkpoints, ordered by the step in their names")
    .option("--list <file>", "a file with a checkpoint in each line, in their order")
    .option("--out <dir>", "directory of the series; one that is there goes on", "series");
  const configured = addFlags(command, seriesSchema);
  addFlags(command, seriesOptions);
  return runOptions(command)
    .addOption(ranksOption())
    .addHelpText(
      "after",
      "\nExample:\n  critical-sharpness checkpoints 'runs/first/checkpoints/step*' --data text.jsonl --accumulate 20 --measure 10",
    )
    .action((patterns: string[], flags: CheckpointsFlags) =>
      withRanks(flags.ranks, setStatus, (group) =>
        runCheckpoints(patterns, { flags, configured, setStatus, group }),
      ),
    );
}

/** Sequences in a batch. */
const usualSize = 8;

async function runCheckpoints(
  patterns: string[],
  {
    flags,
    configured,
    setStatus,
    group,
  }: {
    flags: CheckpointsFlags;
    configured: ReturnType<typeof addFlags>;
    setStatus: SetStatus;
    group: Group;
  },
): Promise<void> {
  const { data, optimizer } = flags as { data?: unknown; optimizer?: string };
  if (data === undefined) throw new UsageError("Expected --data FILES but received nothing");
  const checkpoints = await listed(patterns, flags.list);
  const directory = flags.out;
  const rule = optimizer === undefined || optimizer === usualOptimizer.type ? usualOptimizer : {};
  const configuration = configured(flags, {
    batch: { size: usualSize },
    optimizer: rule,
  }) as SeriesConfigurationInput;
  const total = checkpoints.length;
  const measure = ({ signal, display }: Attended) => {
    const show = new SeriesDisplay(display);
    return measureCheckpoints(configuration, {
      directory,
      checkpoints,
      fresh: flags.fresh,
      sinks: sinksOf(flags),
      saveEvery: flags.saveEvery,
      signal,
      onProgress: (event) => show.event(event),
      group,
    });
  };
  const result = await attended("checkpoint", total, measure, { silent: !group.isFirst });
  if (!group.isFirst) return;
  if (result.failures.length > 0) setStatus(exitCodes.failed);

  const report = result.checkpoints.length > 0 ? await writeReport(directory) : undefined;
  if (!flags.jsonLines)
    print({ ...result, report }, flags.json, () => [...describe(result), ...strings(report)]);
}

async function listed(
  patterns: readonly string[],
  list: string | undefined,
): Promise<(ListedCheckpoint | string)[]> {
  if (patterns.length > 0 === (list !== undefined))
    throw new UsageError("Expected checkpoints or --list FILE, one of them");
  if (list === undefined) return findCheckpoints(patterns);
  const lines = (await readText(list)).split("\n").map((line) => line.trim());
  const base = path.dirname(list);
  return lines.filter((line) => line !== "" && !line.startsWith("#")).map((line) => path.resolve(base, line));
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
      this.#display.note(
        event.states > 0
          ? "Δ of the moments that the run had, beside each checkpoint's weights (--optimizer-state none: of moments accumulated here)"
          : "Δ of moments accumulated here, or of what is given",
      );
      for (const names of event.sameWeights)
        this.#display.note(`the same weights, bit for bit: ${names.join(", ")}`);
    } else if (event.type === "plan") {
      const { checkpoint, batches, lines } = event;
      if (lines > 1)
        this.#display.note(
          `${checkpoint.name}: ${lines} lines on each of ${batches} batches, about ${3 * lines * batches} forward passes`,
        );
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
  const verdict = edgeSentence(checkpoints);
  const rates = (cells: string[]) => (verdict === undefined ? [] : cells);
  const row = (cells: readonly string[]) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(width) : cell.padStart(12))).join("");
  return [
    row([...["checkpoint", "λc", "± s.e.", "loss", "non-descent", "unresolved"], ...rates(["η", "λc·η/2"])]),
    ...checkpoints.map((checkpoint) => {
      const { name, criticalSharpness: c, loss, learningRate } = checkpoint;
      return row([
        name,
        short(c.mean),
        short(c.standardError),
        short(loss.mean),
        `${c.nonDescent}/${c.nonDescent + c.count + c.unresolved}`,
        `${c.unresolved}`,
        ...rates([short(learningRate), short(edgeOf(checkpoint)?.ratio ?? null)]),
      ]);
    }),
    ...failures.map(({ name, message }) => `${name}: failed: ${message}`),
    ...(verdict === undefined ? [] : [verdict]),
    directory,
  ];
}
