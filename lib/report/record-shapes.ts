import * as z from "zod";

const known = z.number().nullable();
const measurement = z.object({
  criticalLearningRate: known,
  criticalSharpness: known,
  lower: known,
  upper: known,
  status: z.string(),
  forwardPasses: z.number(),
});

const estimate = z.object({ mean: known, standardError: known, count: z.number() });
const sharpness = z.object({
  ...estimate.shape,
  median: known,
  nonDescent: z.number(),
  unbounded: z.number(),
  // Of records from before there was such a status: none.
  unresolved: z.number().optional(),
});

/** What a report reads of a record; a number that was not finite stands as null. */
const shapes: Record<string, z.ZodType> = {
  step: z.object({
    step: z.number(),
    tokens: z.number(),
    loss: known,
    learningRate: known,
    gradientNorm: known,
    seconds: z.number(),
    measurement: measurement.nullable(),
  }),
  validation: z.object({ step: z.number(), loss: known }),
  landscape: z.object({
    step: z.number(),
    baseLoss: known,
    criticalLearningRate: known,
    learningRate: known,
    points: z.array(z.object({ learningRate: z.number(), loss: known })),
  }),
  checkpoint: z.object({
    checkpoint: z.string(),
    parameterCount: z.number(),
    direction: z.string(),
    accumulated: z.number(),
    criticalSharpness: sharpness,
    loss: estimate,
    parts: z.record(z.string(), sharpness),
    directionalSharpness: estimate.nullable(),
    preconditioned: estimate.nullable(),
    forwardPasses: z.number(),
    seconds: z.number(),
  }),
  pair: z.object({ update: z.string(), evaluate: z.string(), measurement }),
  mix: z.object({
    repeat: z.number(),
    ratio: z.number(),
    task: z.string(),
    measurement: measurement.extend({ slope: known }),
  }),
  repeat: z.object({
    repeat: z.number(),
    updateRows: z.number(),
    updatePasses: z.number(),
    evaluatePasses: z.number(),
    backwardSeconds: z.number(),
    forwardPasses: z.number(),
    forwardSeconds: z.number(),
  }),
  cell: z.object({
    ratio: z.number(),
    learningRate: z.number(),
    setup: z.object({ steps: z.number() }),
    tasks: z.record(z.string(), z.object({ before: z.number(), after: known })),
    choices: z.record(z.string(), z.object({ before: z.number(), after: z.number() })),
  }),
  failure: z.object({ checkpoint: z.string(), message: z.string() }),
};

/** Whether a line of metrics.jsonl has what its type says; one of another type is nobody's business. */
export function isSound(record: Record<string, unknown>): boolean {
  const shape = Object.hasOwn(shapes, String(record.type)) ? shapes[String(record.type)] : undefined;
  return shape === undefined || shape.safeParse(record).success;
}
