import { Command } from "commander";
import * as z from "zod";
import { hessianEigenvalues } from "../../curvature/index.js";
import { Direction } from "../../models/index.js";
import { addFlags, count, flags, readOptions } from "../../options/index.js";
import { criticalSharpness, landscapeKeys, lossAlong, lossSlice, type Slice } from "../../sharpness/index.js";
import { checkLineFlags, type LineFlags, lineOptions, type MeasuredLine, withLine } from "../line-options.js";
import { attended, type CommonOptions, jsonOption } from "../options.js";
import { print, short, table, UsageError } from "../progress.js";

const landscapeSchema = z.strictObject({
  points: landscapeKeys.points
    .unwrap()
    .default(41)
    .describe("Points along each axis.")
    .register(flags, { flag: "--points <n>" }),
  extent: landscapeKeys.extent
    .unwrap()
    .default(2)
    .describe("How far, in units of ηc.")
    .register(flags, { flag: "--extent <x>" }),
  from: z
    .number()
    .optional()
    .describe("The line's first η, with --to in place of --extent.")
    .register(flags, { flag: "--from <eta>" }),
  to: z.number().optional().describe("The line's last η.").register(flags, { flag: "--to <eta>" }),
  microBatch: count
    .optional()
    .describe("Rows or sequences at a time: bounds the memory. Default: all at once.")
    .register(flags, { flag: "--micro-batch <n>" }),
});

type LandscapeOptions = z.output<typeof landscapeSchema>;

interface LandscapeFlags extends CommonOptions, LineFlags {
  out: string;
  second?: string;
}

export function landscapeCommand(): Command {
  const command = lineOptions(new Command("landscape"))
    .description("Compute the loss along a direction, or on a plane, and draw it.")
    .option(
      "--second <what>",
      'a plane: with "eigenvector", the Hessian\'s top one, or a direction in a safetensors file',
    );
  const options = addFlags(command, landscapeSchema);
  return command
    .option("--out <dir>", "folder for landscape.json and the figures", "landscape")
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\nExample:\n  critical-sharpness landscape runs/first/checkpoint --batch batch.safetensors --second eigenvector",
    )
    .action((directory: string, flags: LandscapeFlags) =>
      runLandscape(directory, flags, readOptions(landscapeSchema, options(flags))),
    );
}

function rangeOf({ from, to }: LandscapeOptions): readonly [number, number] | undefined {
  if (from === undefined && to === undefined) return undefined;
  if (from !== undefined && to !== undefined && from < to) return [from, to];
  throw new UsageError(`Expected --from and --to as numbers in this order but received ${from} and ${to}`);
}

async function runLandscape(
  directory: string,
  flags: LandscapeFlags,
  options: LandscapeOptions,
): Promise<void> {
  checkLineFlags(flags);
  const { points, extent, microBatch } = options;
  const { second } = flags;
  const range = rangeOf(options);
  const total = points + (second === undefined ? 0 : points ** 2);
  const landscape = await attended("point", total, ({ signal, display }) =>
    withLine(directory, flags, signal, async (line) => {
      let done = 0;
      const onPoint = () => display.update(++done, "");
      const { model, batch, direction, gradient } = line;
      const found = await criticalSharpness({ ...line, microBatch, signal });
      const { criticalLearningRate: critical, lower } = found;
      // Where there is no crossing the picture still needs a length: the largest η tried, or a step as long as the usual.
      const unit = (Number.isFinite(critical) ? critical : lower) || 1e-3;
      const along = { points, extent, learningRate: unit, microBatch, signal, onPoint };
      return {
        baseLoss: gradient.loss,
        criticalLearningRate: Number.isFinite(critical) ? critical : null,
        status: found.status,
        points: await lossAlong(model, batch, direction, found, { ...along, range }),
        ...(range && { range }),
        slice:
          second === undefined
            ? null
            : await slice(line, second, unit, { points, extent, microBatch, signal, onPoint }),
      };
    }),
  );
  // Loaded when it is needed: what draws is large.
  const { writeLandscape } = await import("../../report/index.js");
  const files = await writeLandscape(flags.out, landscape);
  print({ ...landscape, files }, flags.json, () => [
    ...table([
      ["ηc", short(landscape.criticalLearningRate)],
      ["status", landscape.status],
    ]),
    ...files,
  ]);
}

/** The plane of Δ and the second direction, which is given the length of Δ: both axes are learning rates. */
async function slice(
  { model, batch, direction }: MeasuredLine,
  second: string,
  unit: number,
  {
    points,
    extent,
    microBatch,
    signal,
    onPoint,
  }: { points: number; extent: number; microBatch?: number; signal: AbortSignal; onPoint: () => void },
): Promise<Slice & { secondName: string }> {
  const isEigenvector = second === "eigenvector";
  using other = isEigenvector
    ? await topEigenvector({ model, batch, microBatch, signal })
    : await Direction.load(second, model);
  using scaled = await other.scale((await direction.norm()) / ((await other.norm()) || 1));
  const computed = await lossSlice(model, batch, [direction, scaled], {
    points,
    first: [-unit / 2, unit * extent],
    second: [(-unit * extent) / 2, (unit * extent) / 2],
    microBatch,
    signal,
    onPoint,
  });
  return { ...computed, secondName: isEigenvector ? "the top eigenvector" : "the second direction" };
}

async function topEigenvector(
  options: Pick<MeasuredLine, "model" | "batch"> & { microBatch?: number; signal: AbortSignal },
): Promise<Direction> {
  const { eigenvectors } = await hessianEigenvalues({ ...options, tolerance: 0.05, eigenvectors: true });
  return eigenvectors[0] as Direction;
}
