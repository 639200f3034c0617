import { Command, Option } from "commander";
import type { SearchMethod } from "../../search/index.js";
import { criticalSharpness, type MeasuredSharpness } from "../../sharpness/index.js";
import { attended, checkLineFlags, type LineFlags, withLine } from "../measured-line.js";
import { type CommonOptions, integer, jsonOption, lineOptions, positive } from "../options.js";
import { print, short, table } from "../output.js";

interface MeasureFlags extends CommonOptions, LineFlags {
  tolerance?: number;
  method?: SearchMethod;
  initialLearningRate?: number;
  scan?: number;
  resolve?: "float32";
}

export function measureCommand(): Command {
  return lineOptions(new Command("measure"))
    .description("Measure the critical sharpness of a model for one batch along one direction.")
    .option("--tolerance <x>", "ε of the certificate 1 − lower/upper ≤ ε (default: 0.0625)", positive)
    .addOption(new Option("--method <name>", "how to search").choices(["interpolated", "bisection"]))
    .option("--initial-learning-rate <x>", "where the search starts", positive)
    .option("--scan <n>", "look for an earlier crossing at n learning rates besides", integer(2))
    .addOption(
      new Option("--resolve <dtype>", "measure again so where rounding leaves no answer").choices([
        "float32",
      ]),
    )
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\nExample:\n  critical-sharpness measure runs/first/checkpoint --batch batch.safetensors --json",
    )
    .action(runMeasure);
}

async function runMeasure(directory: string, flags: MeasureFlags): Promise<void> {
  checkLineFlags(flags);
  const { microBatch, tolerance, method, initialLearningRate, scan, resolve } = flags;
  const result = await attended("evaluation", undefined, ({ signal, display }) =>
    withLine(directory, flags, signal, async (line) => {
      let evaluations = 0;
      return criticalSharpness({
        ...line,
        tolerance,
        method,
        initialLearningRate,
        scan,
        resolve,
        microBatch,
        signal,
        onEvaluation: ({ learningRate, loss }) =>
          display.update(++evaluations, `η ${short(learningRate)}  loss ${short(loss)}`),
      });
    }),
  );
  print(result, flags.json, () => describe(result));
}

const reasons = {
  noise: " (the loss changes by no more than its rounding noise; try --resolve float32 or a larger batch)",
  limit: " (the loss rose at every learning rate that was tried; start lower with --initial-learning-rate)",
} as const;

function describe(result: MeasuredSharpness): string[] {
  const because = result.reason === null ? "" : reasons[result.reason];
  return table([
    ["λc", `${short(result.criticalSharpness)}   (2/ηc)`],
    ["ηc", `${short(result.criticalLearningRate)}   in [${short(result.lower)}, ${short(result.upper)}]`],
    ["status", `${result.status}${because}, first crossing ${result.firstCrossing}`],
    ["loss", `${short(result.baseLoss)}   slope ∇L·Δ ${short(result.slope)}`],
    [
      "noise",
      result.noise === null
        ? "–"
        : `rounding of losses makes a standard error of ${short(100 * result.noise)} % in ηc`,
    ],
    ["forward passes", `${result.forwardPasses}`],
  ]);
}
