import { Command, Option } from "commander";
import {
  type Ends,
  type HessianResult,
  hessianEigenvalues,
  hessianTrace,
  type SpectralDensity,
  spectralDensity,
  type TraceResult,
} from "../../curvature/index.js";
import { type Device, loadBatch, loadModel } from "../../models/index.js";

import type { ComputeDtype, CurvatureOperator } from "../../torch/index.js";
import { attended } from "../measured-line.js";
import {
  type CommonOptions,
  deviceOption,
  integer,
  jsonOption,
  microBatchOption,
  positive,
} from "../options.js";
import { print, short, table } from "../output.js";

interface HessianFlags extends CommonOptions {
  batch: string;
  count: number;
  which?: Ends;
  operator?: CurvatureOperator;
  method?: "lanczos" | "power";
  tolerance?: number;
  maximumIterations?: number;
  seed?: number;
  microBatch?: number;
  trace?: boolean;
  density?: boolean;
  out: string;
  dtype?: ComputeDtype;
  device?: Device;
}

export function hessianCommand(): Command {
  return new Command("hessian")
    .description("Compute eigenvalues of the Hessian of a model's loss on one batch.")
    .argument("<model-dir>", "a Hugging Face directory: config.json and model.safetensors")
    .requiredOption("--batch <file>", "the batch, a safetensors file")
    .option("--count <k>", "how many eigenvalues", integer(1), 1)
    .addOption(
      new Option("--which <ends>", "which eigenvalues (default: largest)").choices([
        "largest",
        "smallest",
        "magnitude",
        "both-ends",
      ]),
    )
    .addOption(
      new Option("--operator <name>", "the matrix (default: hessian)").choices(["hessian", "gauss-newton"]),
    )
    .addOption(
      new Option("--method <name>", "how to find them (default: lanczos)").choices(["lanczos", "power"]),
    )
    .option("--tolerance <x>", "‖Hu − λu‖ ≤ tolerance·‖H‖ (default: 0.001)", positive)
    .option("--maximum-iterations <n>", "most Hessian-vector products", integer(1))
    .option("--seed <n>", "of the first vector", integer(0))
    .option("--trace", "the trace too, by Hutch++ from 30 products")
    .option(
      "--density",
      "the density of all eigenvalues too, by stochastic Lanczos quadrature, with a figure",
    )
    .option("--out <dir>", "folder for density.json and the figure", "hessian")
    .addOption(microBatchOption())
    .addOption(new Option("--dtype <type>", "arithmetic of a pass").choices(["float32", "float64"]))
    .addOption(deviceOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\nExample:\n  critical-sharpness hessian runs/first/checkpoint --batch batch.safetensors --count 3",
    )
    .action(runHessian);
}

async function runHessian(directory: string, flags: HessianFlags): Promise<void> {
  const { batch: file, dtype, device, json, trace, density, out, ...options } = flags;
  const { count, which, operator, method, tolerance, maximumIterations, seed, microBatch } = options;
  const result = await attended("product", undefined, async ({ signal, display }) => {
    using model = await loadModel(directory, { device, dtype });
    using batch = await loadBatch(file);
    const matrix = { model, batch, operator, seed, microBatch, signal };
    const { eigenvectors: _, ...found } = await hessianEigenvalues({
      ...{ ...matrix, count, which, method, tolerance, maximumIterations },
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
