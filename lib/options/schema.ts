import * as z from "zod";

/** An object without keys of unknown meaning; the error for one names the keys that there are. */
export function section<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const keys = Object.keys(shape).join(", ");
  return z.strictObject(shape, {
    error: (issue) => (issue.code === "unrecognized_keys" ? `one of ${keys}` : undefined),
  });
}

/** A whole number ≥ 1. */
export const count = z.int().min(1);
/** A whole number ≥ 0 that random numbers begin at. */
export const seedSchema = z.int().min(0);
/** Text that is not empty: a name, or a path. */
export const name = z.string().min(1);
/** At least one of them. */
export const names = z.array(name).min(1);
/** At least 0 and less than 1. */
export const fraction = z.number().min(0).lt(1);
/** What a configuration names for editors, and nobody else reads. */
export const schemaKey = z.string().optional().describe("A JSON Schema for editors, see docs/reference.md.");
