import { Command } from "commander";
import { addFlags } from "../../options/index.js";
import type { AllowedStep } from "../../search/index.js";
import {
  criticalSharpness,
  type MeasuredSharpness,
  type MeasureOptions,
  measureSchema,
} from "../../sharpness/index.js";
import { checkLineFlags, type LineFlags, lineOptions, withLine } from "../line-options.js";
import { attended, type CommonOptions, jsonOption } from "../options.js";
import { print, short, table } from "../progress.js";

interface MeasureFlags extends CommonOptions, LineFlags {}

export function measureCommand(): Command {
  const command = lineOptions(new Command("measure")).description(
    "Measure the critical sharpness of a model for one batch along one direction.",
  );
  const options = addFlags(command, measureSchema);
  return command
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\nExample:\n  critical-sharpness measure runs/first/checkpoint --batch batch.safetensors --json",
    )
    .action((directory: string, flags: MeasureFlags) =>
      runMeasure(directory, flags, options(flags) as MeasureOptions),
    );
}

async function runMeasure(directory: string, flags: MeasureFlags, options: MeasureOptions): Promise<void> {
  checkLineFlags(flags);
  const result = await attended("evaluation", undefined, ({ signal, display }) =>
    withLine(directory, flags, signal, async (line) => {
      let evaluations = 0;
      return criticalSharpness({
        ...line,
        ...options,
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

function describeBudget({ allow, learningRate, lower, upper, status }: AllowedStep): string {
  const within = `${short(100 * allow)} % of the loss`;
  if (status === "converged")
    return `${short(learningRate)}   in [${short(lower)}, ${short(upper)}], within ${within}`;
  return status === "unbounded"
    ? `no step that was tried goes beyond ${within}`
    : `unresolved: within ${within} rounding leaves no answer`;
}

function within({ error, lower, upper }: MeasuredSharpness): string {
  return error === null ? `in [${short(lower)}, ${short(upper)}]` : `± ${short(100 * error)} %, an estimate`;
}

function describe(result: MeasuredSharpness): string[] {
  const because = result.reason === null ? "" : reasons[result.reason];
  return table([
    ["λc", `${short(result.criticalSharpness)}   (2/ηc)`],
    ["ηc", `${short(result.criticalLearningRate)}   ${within(result)}`],
    ...(result.allowed ? [["budget", describeBudget(result.allowed)] as const] : []),
    ["status", `${result.status}${because}, first crossing ${result.firstCrossing}`],
    ["loss", `${short(result.baseLoss)}   slope ∇L·Δ ${short(result.slope)}`],
    [
      "noise",
      result.noise === null
        ? "–"
        : `rounding of losses makes a standard error of ${short(100 * result.noise)} % in ηc`,
    ],
    ...(result.expertChanges
      ? [
          [
            "experts",
            `${result.expertChanges.tokens} of ${result.expertChanges.of} choices change up to ηc`,
          ] as const,
        ]
      : []),
    ["forward passes", `${result.forwardPasses}`],
  ]);
}
