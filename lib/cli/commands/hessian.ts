import { Command, Option } from "commander";
import { type Ends, type HessianResult, hessianEigenvalues } from "../../measures/index.js";
import { loadBatch, loadModel } from "../../models/index.js";
import type { ComputeDtype, CurvatureOperator } from "../../native/surface.js";
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
  dtype?: ComputeDtype;
  device?: "cpu";
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
    .option("--tolerance <x>", "‖Hu − λu‖ ≤ tolerance·|λ| (default: 0.001)", positive)
    .option("--maximum-iterations <n>", "most Hessian-vector products", integer(1))
    .option("--seed <n>", "of the first vector", integer(0))
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
  const { batch: file, dtype, device, json, ...options } = flags;
  const { count, which, operator, method, tolerance, maximumIterations, seed, microBatch } = options;
  const { eigenvectors: _, ...result } = await attended("product", undefined, async ({ signal, display }) => {
    using model = await loadModel(directory, { device, dtype });
    using batch = await loadBatch(file);
    return await hessianEigenvalues({
      ...{
        model,
        batch,
        count,
        which,
        operator,
        method,
        tolerance,
        maximumIterations,
        seed,
        microBatch,
        signal,
      },
      onIteration: ({ iteration, eigenvalues: [largest] }) =>
        display.update(iteration, `λ ${short(largest)}`),
    });
  });
  print(result, json, () => describe(result));
  if (!result.converged) process.stderr.write("not converged: raise --maximum-iterations, or --tolerance\n");
}

function describe({
  eigenvalues,
  residuals,
  iterations,
  converged,
}: Omit<HessianResult, "eigenvectors">): string[] {
  return table([
    ...eigenvalues.map((value, i) => [`λ${i + 1}`, `${short(value)}   ± ${short(residuals[i])}`] as const),
    ["Hessian-vector products", `${iterations}`],
    ["converged", converged ? "yes" : "no"],
  ]);
}
