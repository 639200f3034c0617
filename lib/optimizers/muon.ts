import * as z from "zod";
import { expected } from "../errors.js";
import { type Parameter, type ParameterSet, parameterKind, select } from "../models/index.js";
import { flags, fraction, names, section } from "../options/index.js";
import { AdamW } from "./adamw.js";
import type { OptimizerOptions } from "./groups.js";
import { Optimizer } from "./optimizer.js";
import type { OptimizerRule } from "./rule.js";

const usual = {
  momentum: 0.95,
  nesterov: true,
  coefficients: [3.4445, -4.775, 2.0315] as [number, number, number],
  epsilon: 1e-7,
  iterations: 5,
  adjustment: "original" as const,
  iterationDtype: "bfloat16" as const,
};

/** AdamW's options for what Muon leaves to it. */
export interface MuonAdamWOptions {
  /** Default: the optimizer's. As with groups, what counts is its ratio to that. */
  learningRate?: number;
  /** Default [0.9, 0.95]. */
  betas?: readonly [number, number];
  /** Default 1e-8. */
  epsilon?: number;
  /** Default: the optimizer's. */
  weightDecay?: number;
}

export interface MuonOptions extends OptimizerOptions {
  /** μ. Default 0.95. */
  momentum?: number;
  /** Whether (1−μ)g + μB is orthogonalised rather than B. Default true. */
  nesterov?: boolean;
  /** a, b, c of the Newton–Schulz iteration X ← aX + (bA + cA²)X, A = XXᵀ. Default [3.4445, −4.775, 2.0315]. */
  coefficients?: readonly [number, number, number];
  /** ‖B‖ below which B is not scaled up to 1 before the iterations. Default 1e-7. */
  epsilon?: number;
  /** Default 5. */
  iterations?: number;
  /** ρ = √max(1, rows/columns) (`original`, the default), or 0.2·√max(rows, columns) (`match_rms_adamw`). */
  adjustment?: "original" | "match_rms_adamw";
  /**
   * What the iterations are computed in. Default bfloat16, as PyTorch does whatever the weights are. A CPU without bfloat16
   * arithmetic takes several times as long for it as for float32.
   */
  iterationDtype?: "bfloat16" | "float32" | "float64";
  /** The matrices that Muon moves. Default: all but embeddings and the head. */
  parameters?: readonly string[];
  adamw?: MuonAdamWOptions;
}

/**
 * Muon (Jordan 2024) as torch.optim.Muon of PyTorch 2.13: B ← μB + (1−μ)g, Δ = ρ·NS(B) + γθ, with NS(B) ≈ UVᵀ of B = USVᵀ by
 * Newton–Schulz iterations and ρ by the shape that the weight is stored in; AdamW for embeddings, head and vectors. The default
 * decay is 0.1. Δ of a matrix depends on all of its numbers, so it is made whole: with `stored: false` every use of it takes the
 * iterations again.
 *
 * No P has Δ = P⁻¹B, and no quadratic is unstable: a step is as long far from a minimum as near it. λc is compared with 2/η as
 * ever (docs/thresholds.md).
 */
export class Muon extends Optimizer {
  static readonly rule = {
    type: "muon" as const,
    options: {
      momentum: fraction
        .default(usual.momentum)
        .describe("μ of the momentum.")
        .register(flags, { flag: "--momentum <x>" }),
      nesterov: z.boolean().default(usual.nesterov).describe("Nesterov's form of momentum."),
      coefficients: z
        .tuple([z.number(), z.number(), z.number()])
        .default(usual.coefficients)
        .describe("a, b, c of Muon's Newton–Schulz iteration."),
      epsilon: z
        .number()
        .min(0)
        .default(usual.epsilon)
        .describe("ε of Muon: of the norm that it divides by."),
      iterations: z.int().min(0).max(99).default(usual.iterations).describe("Newton–Schulz iterations."),
      adjustment: z
        .enum(["original", "match_rms_adamw"])
        .default(usual.adjustment)
        .describe("How Δ goes by a matrix's shape: √max(1, rows/columns), or 0.2·√max(rows, columns)."),
      iterationDtype: z
        .enum(["bfloat16", "float32", "float64"])
        .default(usual.iterationDtype)
        .describe(
          "What the iterations are computed in; float32 is faster on a CPU without bfloat16 arithmetic.",
        ),
      parameters: names
        .optional()
        .describe("Matrices that Muon moves. Default: all but embeddings and head."),
      adamw: section({
        learningRate: z
          .number()
          .gt(0)
          .optional()
          .describe("η of what AdamW moves. Default: the optimizer's."),
        betas: z.tuple([fraction, fraction]).default([0.9, 0.95]).describe("β₁, β₂ of what AdamW moves."),
        epsilon: z.number().min(0).default(1e-8).describe("ε of what AdamW moves."),
        weightDecay: z
          .number()
          .min(0)
          .optional()
          .describe("γ of what AdamW moves. Default: the optimizer's."),
      })
        .prefault({})
        .describe("AdamW's options for embeddings, head and vectors."),
    },
    weightDecay: 0.1,
    metric: null,
    hasMemory: () => true,
    stabilityGain: () => null,
    isWhole: true,
    describe: ({ momentum = usual.momentum, nesterov = usual.nesterov, adjustment = usual.adjustment }) => [
      "Muon",
      `momentum ${momentum}`,
      ...(nesterov ? ["Nesterov"] : []),
      ...(adjustment === "original" ? [] : ["RMS of AdamW"]),
    ],
    torch: {
      settings: ["momentum", "ns_steps", "ns_coefficients"],
      roles: { momentum_buffer: "momentum_buffer" },
      options: (settings) => ({
        momentum: settings.number("momentum"),
        nesterov: settings.flag("nesterov"),
        coefficients: settings.numbers("ns_coefficients", 3),
        epsilon: settings.number("eps"),
        iterations: settings.number("ns_steps"),
        adjustment: settings.text("adjust_lr_fn") === "match_rms_adamw" ? "match_rms_adamw" : "original",
      }),
    },
    native(settings: MuonSettings, parameters: readonly Parameter[]) {
      const { coefficients, iterationDtype, adjustment, parameters: chosen, adamw, ...rest } = settings;
      const [a, b, c] = coefficients;
      const options = {
        ...rest,
        ...{ a, b, c },
        iterationBits: { bfloat16: 16, float32: 32, float64: 64 }[iterationDtype],
        matchRmsAdamW: adjustment === "match_rms_adamw",
      };
      const isMatrix = matricesAmong(parameters, chosen);
      const { learningRate, weightDecay } = adamw;
      const others = AdamW.rule.native({ ...adamw });
      return {
        rules: [{ name: "muon", options }, ...others.rules],
        of: isMatrix.map((is) => (is ? 0 : 1)),
        own: isMatrix.map((is) =>
          is ? { learningRate: undefined, weightDecay: undefined } : { learningRate, weightDecay },
        ),
      };
    },
  } satisfies OptimizerRule<Partial<MuonOptions>>;

  /** @throws TypeError, RangeError naming the option. */
  constructor(model: ParameterSet, options: MuonOptions) {
    super(model, options, Muon.rule);
  }
}

type MuonSettings = Omit<typeof usual, "adjustment" | "iterationDtype"> & {
  adjustment: "original" | "match_rms_adamw";
  iterationDtype: "bfloat16" | "float32" | "float64";
  parameters?: string[] | undefined;
  adamw: {
    learningRate?: number | undefined;
    betas: [number, number];
    epsilon: number;
    weightDecay?: number | undefined;
  };
};

/** Which parameters Muon moves. */
function matricesAmong(parameters: readonly Parameter[], chosen: readonly string[] | undefined): boolean[] {
  const outer = ["embeddings", "head"];
  if (chosen === undefined)
    return parameters.map(({ name, shape }) => shape.length === 2 && !outer.includes(parameterKind(name)));
  const selected = select(parameters, chosen, "options.parameters");
  const vector = parameters.find(({ shape }, i) => selected[i] && shape.length !== 2);
  if (vector) throw expected("matrices alone", "options.parameters", vector.name, "range");
  return selected;
}
