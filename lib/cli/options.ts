import { InvalidArgumentError, Option } from "commander";

/** The parser of an option that takes an integer ≥ `minimum`. */
export function integer(minimum: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value) || value < minimum)
      throw new InvalidArgumentError(`Expected an integer ≥ ${minimum} but received "${text}".`);
    return value;
  };
}

/** The parser of an option that takes a number > 0. */
export function positive(text: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (!Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError(`Expected a number > 0 but received "${text}".`);
  return value;
}

export const dtypeOption = () =>
  new Option("--dtype <type>", "arithmetic of a pass").choices(["float32", "float64", "bfloat16"]);

export const jsonOption = () =>
  new Option("--json", "print the result as JSON, and nothing else, on standard output");

/** Options that every command has. */
export interface CommonOptions {
  json?: boolean;
  verbose?: boolean;
}
