import * as z from "zod";
import {
  deviceSchema,
  dtypeSchema,
  optimizerSchema,
  searchKeys,
  section,
  seedSchema,
} from "./configuration-schema.js";

/** What every measurement with frozen weights takes: what makes Δ, and how the line along it is searched. */
export const frozenKeys = {
  /** Default: AdamW as OLMo 2 and most language models are trained, β = (0.9, 0.95), ε = 1e-8, γ = 0.1. */
  optimizer: optimizerSchema(z.number().gt(0).default(1)).prefault({
    type: "adamw",
    betas: [0.9, 0.95],
    weightDecay: 0.1,
  }),
  /** Whether γθ is in Δ, as in the optimizer's step. */
  weightDecay: z.boolean().default(true),
  search: section(searchKeys).prefault({}),
  dtype: dtypeSchema,
  device: deviceSchema,
  /** Of the order of sequences. */
  seed: seedSchema.default(0),
};
