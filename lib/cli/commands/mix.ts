import { Command } from "commander";
import {
  type MixConfiguration,
  type MixEvent,
  type MixResult,
  measureMix,
  mixSchema,
  readMix,
  writeReport,
} from "../../experiments/index.js";
import type { Group } from "../../ranks/index.js";
import { type Attended, attended, type ConfiguredFlags, configuredByFile, sinksOf } from "../options.js";
import type { Progress } from "../progress.js";
import { print, type SetStatus, short, strings } from "../progress.js";

interface MixFlags extends ConfiguredFlags {
  train?: boolean;
}

export function mixCommand(setStatus: SetStatus): Command {
  const command = new Command("mix")
    .description("Find how much of one source a data mix needs: relative critical sharpness over its ratio.")
    .argument("<config>", "a JSON file: model, sources, vary, tasks, batch …")
    .option(
      "--out <dir>",
      "directory of the mix; one that is there goes on (default: runs/<name of the file>)",
    )
    .option("--train", "train at each ratio and learning rate too, and compare");
  return configuredByFile(command, {
    schema: mixSchema,
    read: readMix,
    example: "critical-sharpness mix examples/data-mix/mix.json --out runs/mix --train",
    run: runMix,
    setStatus,
  });
}

async function runMix(
  configuration: MixConfiguration,
  flags: MixFlags & { out: string },
  group: Group,
): Promise<void> {
  const directory = flags.out;
  const measure = ({ signal, display }: Attended) => {
    const show = new MixDisplay(display);
    const { train, fresh } = flags;
    const sinks = sinksOf(flags);
    return measureMix(configuration, {
      directory,
      train,
      fresh,
      sinks,
      signal,
      onProgress: (event) => show.event(event),
      group,
    });
  };
  const silent = !group.isFirst;
  const result = await attended("repeat", configuration.repeats, measure, { silent });
  if (silent) return;

  const report = await writeReport(directory);
  const { cells: _, ...rest } = result;
  if (!flags.jsonLines)
    print({ ...withoutInfinities(rest), report }, flags.json, () => [
      ...describe(result),
      "",
      ...strings(report),
    ]);
}

/** JSON has no infinite numbers: null stands beside the status. */
function withoutInfinities(result: unknown): object {
  return JSON.parse(JSON.stringify(result));
}

class MixDisplay {
  readonly #display: Progress;
  #done = 0;

  constructor(display: Progress) {
    this.#display = display;
  }

  event(event: MixEvent): void {
    if (event.type === "start") {
      this.#done = event.done;
      if (event.done > 0) this.#display.note(`going on after ${event.done} of ${event.repeats} repeats`);
    } else if (event.type === "warning") {
      this.#display.note(`warning: ${event.message}`);
    } else if (event.type === "progress") {
      const what = event.stage === "moments" ? "gradients" : "lines";
      this.#display.update(this.#done, `${what} ${event.done}/${event.total}`);
    } else if (event.type === "repeat") {
      this.#display.update(++this.#done, `${event.forwardPasses} forward passes`);
    } else if (event.type === "training") {
      const { ratio, learningRate, done, total } = event;
      this.#display.update(
        this.#done,
        `training: ratio ${ratio}, η ${short(learningRate)}, step ${done}/${total}`,
      );
    } else if (event.type === "cell") {
      const changes = Object.entries(event.tasks).map(
        ([name, { before, after }]) => `${name} ${after === null ? "not finite" : signed(after - before)}`,
      );
      this.#display.note(`ratio ${event.ratio}, η ${short(event.learningRate)}: ${changes.join(", ")}`);
    }
  }
}

const signed = (value: number) => `${value > 0 ? "+" : "−"}${Math.abs(value).toFixed(4)}`;

function describe({ points, recommendation, verdict }: MixResult): string[] {
  const tasks = [...new Set(points.map(({ task }) => task))];
  const ratios = [...new Set(points.map(({ ratio }) => ratio))];
  const row = (cells: readonly string[]) =>
    cells
      .map((cell) => cell.padStart(20))
      .join("")
      .slice(12);
  const cell = (ratio: number, task: string) => {
    const { criticalSharpness, interval } = points.find(
      (p) => p.ratio === ratio && p.task === task,
    ) as MixResult["points"][number];
    if (Number.isNaN(criticalSharpness)) return "unresolved";
    if (criticalSharpness === Infinity && !Number.isFinite(interval?.[0])) return "∞ (non-descent)";
    const range = interval ? ` ${short(interval[0])}–${short(interval[1])}` : "";
    return `${short(criticalSharpness)}${range}`;
  };
  return [
    row(["ratio", ...tasks.map((task) => `λc of ${task}`)]),
    ...ratios.map((ratio) => row([String(ratio), ...tasks.map((task) => cell(ratio, task))])),
    "",
    recommendation.sentence,
    ...(verdict ? [verdict.sentence] : []),
  ];
}
