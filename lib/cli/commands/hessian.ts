import { Command } from "commander";
import * as z from "zod";
import {
  type HessianOptions,
  type HessianResult,
  hessianEigenvalues,
  hessianSchema,
  hessianTrace,
  type SpectralDensity,
  spectralDensity,
  type TraceResult,
} from "../../curvature/index.js";
import { loadModel, type ModelOptions, modelOptions, programOptions } from "../../models/index.js";
import { addFlags } from "../../options/index.js";
import { attended, type CommonOptions, jsonOption, loadBatchFor, modelArgument } from "../options.js";
import { print, short, table } from "../progress.js";

interface HessianFlags extends CommonOptions, ModelOptions {
  batch: string;
  trace?: boolean;
  density?: boolean;
  out: string;
}

const { parameterDtype: _, ...placement } = modelOptions;

export function hessianCommand(): Command {
  const command = new Command("hessian")
    .description("Compute eigenvalues of the Hessian of a model's loss on one batch.")
    .argument("<model>", modelArgument)
    .requiredOption("--batch <file>", "the batch, a safetensors file");
  const options = addFlags(command, hessianSchema);
  addFlags(command, z.strictObject({ ...placement, ...programOptions }));
  return command
    .option("--trace", "the trace too, by Hutch++ from 30 products")
    .option(
      "--density",
      "the density of all eigenvalues too, by stochastic Lanczos quadrature, with a figure",
    )
    .option("--out <dir>", "folder for density.json and the figure", "hessian")
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\nExample:\n  critical-sharpness hessian runs/first/checkpoint --batch batch.safetensors --count 3",
    )
    .action((directory: string, flags: HessianFlags) =>
      runHessian(directory, flags, options(flags) as Partial<HessianOptions>),
    );
}

async function runHessian(
  directory: string,
  { batch: file, dtype, device, reduction, dropoutSeed, weights, json, trace, density, out }: HessianFlags,
  options: Partial<HessianOptions>,
): Promise<void> {
  const { operator, seed, microBatch } = options;
  const result = await attended("product", undefined, async ({ signal, display }) => {
    using model = await loadModel(directory, { device, dtype, reduction, dropoutSeed, weights });
    using batch = await loadBatchFor(model, file);
    const matrix = { model, batch, operator, seed, microBatch, signal };
    const { eigenvectors: _, ...found } = await hessianEigenvalues({
      ...options,
      ...matrix,
      onIteration: ({ iteration, eigenvalues: [largest] }) =>
        display.update(iteration, `λ ${short(largest)}`),
    });
    return {
      ...found,
      ...(trace && { trace: await hessianTrace({ ...matrix, method: "hutch++" }) }),
      ...(density && { density: await spectralDensity(matrix) }),
    };
  });
  const files = result.density ? await drawDensity(out, result.density, result.eigenvalues) : [];
  print(density ? { ...result, files } : result, json, () => [...describe(result), ...files]);
  if (!result.converged) process.stderr.write("not converged: raise --maximum-iterations, or --tolerance\n");
}

async function drawDensity(folder: string, density: SpectralDensity, eigenvalues: readonly number[]) {
  // Loaded when it is needed: what draws is large.
  const { writeDensity } = await import("../../report/index.js");
  return writeDensity(folder, { ...density, eigenvalues });
}

interface Found extends Omit<HessianResult, "eigenvectors"> {
  trace?: TraceResult;
}

function describe({ eigenvalues, residuals, iterations, converged, trace }: Found): string[] {
  return table([
    ...eigenvalues.map((value, i) => [`λ${i + 1}`, `${short(value)}   ± ${short(residuals[i])}`] as const),
    ["Hessian-vector products", `${iterations}`],
    ["converged", converged ? "yes" : "no"],
    ...(trace ? [["trace", `${short(trace.trace)}   ± ${short(trace.standardError)}`] as const] : []),
  ]);
}
