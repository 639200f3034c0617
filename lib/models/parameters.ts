import { expected } from "../errors.js";
import { Owner } from "../native/owner.js";
import type { NativeModel } from "../native/surface.js";

export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Number of elements. */
  readonly size: number;
}

/** Chooses parameters: a name, several names, or a function of a parameter. */
export type ParameterSelection = string | readonly string[] | ((parameter: Parameter) => boolean);

/** Which parameters a selection chooses. @throws RangeError if a name is none of theirs. */
export function select(parameters: readonly Parameter[], selection: unknown, subject: string): boolean[] {
  if (typeof selection === "function") return parameters.map((p) => Boolean(selection(p)));
  const names = typeof selection === "string" ? [selection] : selection;
  if (!Array.isArray(names) || !names.every((n) => typeof n === "string"))
    throw expected("a parameter name, an array of them or a predicate", subject, selection);
  const unknown = names.find((name) => !parameters.some((p) => p.name === name));
  if (unknown !== undefined)
    throw expected("a name of one of the model's parameters", subject, unknown, "range");
  return parameters.map((p) => names.includes(p.name));
}

/** The named weights of a model: all that directions and optimizers need to know of one. */
export abstract class ParameterSet extends Owner<NativeModel> {
  readonly parameters: readonly Parameter[];

  /** @internal */
  constructor(handle: NativeModel) {
    super(handle);
    this.parameters = handle.parameters.map(({ name, shape }) => ({
      name,
      shape,
      size: shape.reduce((n, s) => n * s, 1),
    }));
  }

  /** Number of weights; a tied one counts once. */
  get parameterCount(): number {
    return this.parameters.reduce((sum, p) => sum + p.size, 0);
  }

  /** How often the weights were changed. A measurement changes nothing. */
  get version(): number {
    return this.handle.version;
  }
}
