import { Command } from "commander";
import {
  aboveThreshold,
  measureProbes,
  type ProbesConfigurationInput,
  type ProbesEvent,
  type ProbesOptions,
  type ProbesResult,
  probesOptions,
  probesSchema,
  sharpnessOf,
  type WatchOptions,
  watchOptions,
  watchRuns,
  writeReport,
} from "../../experiments/index.js";
import { addFlags } from "../../options/index.js";
import { attended, type RunFlags, runOptions, sinksOf } from "../options.js";
import type { Progress } from "../progress.js";
import { exitCodes, print, type SetStatus, short, strings } from "../progress.js";

type ProbesFlags = RunFlags &
  WatchOptions &
  Pick<ProbesOptions, "once" | "untilIdle" | "remove"> & { out: string; page: boolean };

export function probesCommand(setStatus: SetStatus): Command {
  const command = new Command("watch-probes")
    .description(
      "Measure critical sharpness of a PyTorch training as it runs, from the probes that it writes into a folder.",
    )
    .argument("<folder>", "where the training writes its probes; it may not be there yet")
    .option("--out <dir>", "directory of what is measured; one that is there goes on", "probed")
    .option("--no-page", "serve no page that shows it as it grows");
  const configured = addFlags(command, probesSchema);
  addFlags(command, probesOptions);
  addFlags(command, watchOptions);
  return runOptions(command)
    .addHelpText("after", "\nExample:\n  critical-sharpness watch-probes probes --out runs/probed --remove")
    .action(async (folder: string, flags: ProbesFlags) => {
      const configuration = configured(flags, { probes: folder }) as ProbesConfigurationInput;
      await runProbes(configuration, flags, setStatus);
    });
}

async function runProbes(
  configuration: ProbesConfigurationInput,
  flags: ProbesFlags,
  setStatus: SetStatus,
): Promise<void> {
  const { out: directory, once, untilIdle, remove, port = 6017 } = flags;
  const result = await attended("probe", undefined, async ({ signal, display }) => {
    const show = new ProbesDisplay(display);
    await using page = once || !flags.page ? undefined : await watchRuns([directory], { port });
    if (page) display.note(`the page: ${page.url}`);
    return await measureProbes(configuration, {
      ...{ directory, once, untilIdle, remove, signal },
      fresh: flags.fresh,
      sinks: sinksOf(flags),
      onProgress: (event) => show.event(event),
    });
  });
  if (result.failures.length > 0) setStatus(exitCodes.failed);
  const report = result.probes.length > 0 ? await writeReport(directory) : undefined;
  if (!flags.jsonLines)
    print({ ...result, report }, flags.json, () => [...describe(result), ...strings(report)]);
}

class ProbesDisplay {
  readonly #display: Progress;
  #done = 0;

  constructor(display: Progress) {
    this.#display = display;
  }

  event(event: ProbesEvent): void {
    if (event.type === "start") {
      this.#done = event.done;
      if (event.done > 0) this.#display.note(`going on after ${event.done}`);
    } else if (event.type === "plan") {
      const { probe, waiting } = event;
      this.#display.update(this.#done, `${probe.name}${waiting > 0 ? `, ${waiting} wait` : ""}`);
    } else if (event.type === "waiting") this.#display.update(this.#done, "waiting for the next one");
    else if (event.type === "failure") this.#display.note(`${event.name} failed: ${event.message}`);
    else
      this.#display.update(
        ++this.#done,
        `step ${event.step}  λc ${short(sharpnessOf(event))}  2/η ${short(2 / event.learningRate)}`,
      );
  }
}

function describe({ probes, failures, directory }: ProbesResult): string[] {
  const row = (cells: readonly string[]) => cells.map((cell) => cell.padStart(12)).join("");
  const { above, of } = aboveThreshold(probes);
  return [
    row(["step", "λc", "2/η", "λcη/2", "loss", "status"]),
    ...probes.map((probe) => {
      const [sharpness, threshold] = [sharpnessOf(probe), 2 / probe.learningRate];
      const numbers = [probe.step, sharpness, threshold, sharpness / threshold, probe.loss].map(short);
      return row([...numbers, probe.measurement.status === "converged" ? "" : probe.measurement.status]);
    }),
    ...failures.map(({ name, message }) => `${name}: failed: ${message}`),
    `${above} of ${of} probed steps above 2/η`,
    directory,
  ];
}
