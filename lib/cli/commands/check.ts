import { Command } from "commander";
import {
  type CheckConfigurationInput,
  type CheckEvent,
  type CheckResult,
  checkLearningRate,
  checkSchema,
  writeReport,
} from "../../experiments/index.js";
import { usualOptimizer } from "../../optimizers/index.js";
import { addFlags } from "../../options/index.js";
import type { Group } from "../../ranks/index.js";
import {
  type Attended,
  attended,
  modelArgument,
  type RunFlags,
  ranksOption,
  runOptions,
  sinksOf,
  withRanks,
} from "../options.js";
import { exitCodes, type Progress, print, type SetStatus, short, strings, UsageError } from "../progress.js";

interface CheckFlags extends RunFlags {
  out: string;
  adapter?: string;
  data?: unknown;
  optimizer?: string;
  ranks?: number;
}

export function checkCommand(setStatus: SetStatus): Command {
  const command = new Command("check")
    .description(
      "Say whether a learning rate is above or below the critical one of a model's next update, and how well that can be told.",
    )
    .argument("<model>", modelArgument)
    .option("--adapter <folder>", "a PEFT adapter of the model, which alone is trained")
    .option("--out <dir>", "directory of what is measured; one that is there goes on", "check")
    .addOption(ranksOption());
  const configured = addFlags(command, checkSchema);
  return runOptions(command)
    .addHelpText(
      "after",
      "\nExit code: 0 below ηc, 3 above it or undecided, 1 failed, 2 bad usage.\n\nExample:\n  critical-sharpness check outputs/checkpoint-500 --data text.jsonl --batch-size 8 --learning-rate 2e-4",
    )
    .action(async (directory: string, flags: CheckFlags) => {
      if (flags.data === undefined) throw new UsageError("Expected --data FILES but received nothing");
      const { optimizer, adapter } = flags;
      const isUsual = optimizer === undefined || optimizer === usualOptimizer.type;
      const configuration = configured(flags, {
        model: { directory, ...(adapter !== undefined && { adapter }) },
        batch: { size: usualSize },
        optimizer: isUsual ? usualOptimizer : {},
      }) as CheckConfigurationInput;
      await withRanks(flags.ranks, setStatus, (group) => runCheck(configuration, flags, group, setStatus));
    });
}

/** Sequences in a batch. */
const usualSize = 8;

async function runCheck(
  configuration: CheckConfigurationInput,
  flags: CheckFlags,
  group: Group,
  setStatus: SetStatus,
): Promise<void> {
  const directory = flags.out;
  const measure = ({ signal, display }: Attended) => {
    const show = new CheckDisplay(display);
    return checkLearningRate(configuration, {
      ...{ directory, signal, fresh: flags.fresh, sinks: sinksOf(flags), group },
      onProgress: (event) => show.event(event),
    });
  };
  const result = await attended("measured", undefined, measure, { silent: !group.isFirst });
  if (result.verdict !== "below") setStatus(exitCodes.notBelow);
  if (!group.isFirst) return;
  const report = await writeReport(directory);
  if (!flags.jsonLines)
    print({ ...result, report }, flags.json, () => [...describe(result), ...strings(report)]);
}

class CheckDisplay {
  readonly #display: Progress;
  #done = 0;

  constructor(display: Progress) {
    this.#display = display;
  }

  event(event: CheckEvent): void {
    if (event.type === "question")
      this.#display.note(
        `${event.optimizer}; moments ${event.moments}; at most about ${event.expectedSteps} training steps' time`,
      );
    else if (event.type === "accumulated")
      this.#display.update(this.#done, `moments: gradient ${event.done}/${event.total}`);
    else if (event.type === "batch") {
      const { together, index, measurement } = event;
      const what = together === 1 ? `batch ${index + 1}` : `${together} batches together`;
      this.#display.update(++this.#done, `${what}: ηc ${short(measurement.criticalLearningRate)}`);
    } else if (event.type === "trial")
      this.#display.update(
        ++this.#done,
        `trial step ${event.step}: loss ${short(event.loss)}, ηc ${short(event.measurement.criticalLearningRate)}`,
      );
    else if (event.type === "diverged") this.#display.note(`the trial diverged at step ${event.step}`);
  }
}

function describe({ sentence, notes, cost, directory }: CheckResult): string[] {
  return [
    sentence,
    ...notes,
    `${cost.gradients} gradients and ${cost.forwardPasses} forward passes: ${short(cost.trainingSteps)} training steps, ${short(cost.seconds)} s`,
    directory,
  ];
}
