import { expected } from "../errors.js";
import { checkNumber, checkOptions } from "../options/index.js";
import type { NativePart } from "../torch/index.js";
import { exactly, isFloatArray, type Numbers } from "./numbers.js";
import { type Parameter, select } from "./parameters.js";

/** scale·left·right: left [rows, rank], right [rank, columns] of a matrix [rows, columns]. PEFT's B and A, with α/r for the scale. */
export interface Factors {
  left: Numbers;
  right: Numbers;
  rank: number;
  /** Default 1. */
  scale?: number;
}

/** A direction's part in each parameter, of numbers or factors by name; null of one without. @throws RangeError, TypeError */
export function readDirectionNumbers(
  parameters: readonly Parameter[],
  numbers: unknown,
): (NativePart | null)[] {
  const given = checkOptions(numbers, "numbers");
  select(parameters, Object.keys(given), "numbers");
  return parameters.map(({ name, shape, size }) =>
    Object.hasOwn(given, name) ? readPart(given[name], shape, size, `numbers["${name}"]`) : null,
  );
}

function readPart(value: unknown, shape: readonly number[], size: number, subject: string): NativePart {
  if (isFloatArray(value) || Array.isArray(value)) return { numbers: exactly(value, subject, size) };
  const [rows, columns] = shape as [number, number];
  if (shape.length !== 2) throw expected("numbers", subject, value);
  const { left, right, rank: given, scale = 1 } = checkOptions(value, subject);
  const rank = checkNumber(given, `${subject}.rank`, {
    minimum: 1,
    maximum: Math.min(rows, columns),
    integer: true,
  });
  return {
    left: exactly(left, `${subject}.left`, rows * rank),
    right: exactly(right, `${subject}.right`, rank * columns),
    rank,
    scale: checkNumber(scale, `${subject}.scale`),
  };
}
