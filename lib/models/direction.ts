import path from "node:path";
import { CriticalSharpnessError, expected } from "../errors.js";
import {
  adapterRemedy,
  floatingDtype,
  floatingDtypes,
  readSafetensorsHeader,
  writeSafetensors,
} from "../files/index.js";
import { checkChoice, checkInstance, checkNumber, checkOptions, checkString } from "../options/index.js";
import type { FileTensor, NativeVector } from "../torch/index.js";
import { native, Owner } from "../torch/index.js";
import { type Parameter, type ParameterSelection, ParameterSet, select } from "./parameters.js";

/**
 * One number for each weight of a model: an update direction Δ (the step is θ − η·Δ, so it descends where ∇L·Δ > 0), a
 * gradient, or a diagonal. Immutable. One that an optimizer makes where it is used (`stored: false`) holds for the optimizer's
 * state and the weights of its moment: later it is an error, `ERR_STALE_DIRECTION`.
 */
export class Direction extends Owner<NativeVector> {
  readonly parameters: readonly Parameter[];
  readonly dtype: "float32" | "float64";

  /** @internal */
  constructor(handle: NativeVector, parameters: readonly Parameter[], dtype: "float32" | "float64") {
    super(handle);
    this.parameters = parameters;
    this.dtype = dtype;
  }

  /**
   * Reads a safetensors file with a tensor for each of the model's parameters, by name; a parameter without one stays
   * where it is (Δ = 0).
   *
   * @throws CriticalSharpnessError `ERR_SAFETENSORS`, `ERR_DIRECTION_FILE` naming file and tensor.
   */
  static async load(file: string, model: ParameterSet): Promise<Direction> {
    checkString(file, "file");
    checkInstance(model, "model", ParameterSet, "a Model");
    const { tensors } = await readSafetensorsHeader(file);
    const names = new Set(model.parameters.map((p) => p.name));
    for (const name of tensors.keys())
      if (!names.has(name))
        throw mismatch(
          file,
          "only tensors named as the model's parameters",
          /\.lora_[AB]\b/.test(name)
            ? `"${name}", of a PEFT adapter: ${adapterRemedy(undefined, path.dirname(file))}: Direction.between of the two models leads from one to the other`
            : `"${name}"`,
        );
    const places = model.parameters.map(({ name, shape }): FileTensor | null => {
      const tensor = tensors.get(name);
      if (!tensor) return null;
      const dtype = floatingDtype(tensor);
      if (!dtype) throw mismatch(file, `${floatingDtypes} in tensor "${name}"`, tensor.dtype);
      if (String(tensor.shape) !== String(shape))
        throw mismatch(file, `shape [${shape}] of tensor "${name}"`, `[${tensor.shape}]`);
      return { path: file, byteOffset: tensor.byteOffset, dtype };
    });
    if (places.every((p) => p === null))
      throw mismatch(file, "a tensor for at least one of the model's parameters", "none");
    return Direction.of(model, await native().loadVector(model.handle, places));
  }

  /** Δ = θ_model − θ_other, so that θ_model − 1·Δ = θ_other. */
  static async between(model: ParameterSet, other: ParameterSet): Promise<Direction> {
    checkInstance(model, "model", ParameterSet, "a Model");
    checkInstance(other, "other", ParameterSet, "a Model");
    return Direction.of(model, await native().difference(model.handle, other.handle));
  }

  /**
   * Independent random numbers of mean 0 and variance 1, one for each weight. The same seed gives the same ones.
   *
   * @throws TypeError, RangeError naming the option.
   */
  static async random(
    model: ParameterSet,
    options: { seed: number; distribution?: "normal" | "rademacher" },
  ): Promise<Direction> {
    checkInstance(model, "model", ParameterSet, "a Model");
    const { seed, distribution = "normal" } = checkOptions(options, "options");
    const chosen = checkChoice(distribution, "options.distribution", ["normal", "rademacher"] as const);
    const start = checkNumber(seed, "options.seed", { minimum: 0, integer: true });
    return Direction.of(model, await native().randomVector(model.handle, chosen, start));
  }

  /** Σ coefficientsᵢ·directionsᵢ */
  static async combine(
    directions: readonly Direction[],
    coefficients: readonly number[],
  ): Promise<Direction> {
    if (!Array.isArray(directions) || directions.length === 0)
      throw expected("an array of directions", "directions", directions);
    const handles = directions.map(
      (d, i) => checkInstance(d, `directions[${i}]`, Direction, "a Direction").handle,
    );
    return (directions[0] as Direction).like(await native().combine(handles, coefficients));
  }

  /** @internal */
  static of(model: ParameterSet, handle: NativeVector): Direction {
    return new Direction(handle, model.parameters, model.handle.vectorDtype);
  }

  /** Whether its numbers are held, or made where they are used. */
  get stored(): boolean {
    return this.handle.stored;
  }

  /** A new, stored direction of the same numbers. */
  async store(): Promise<Direction> {
    return this.like(await this.handle.store());
  }

  /** Memory of its tensors, in bytes; 0 if it is not stored. */
  get byteLength(): number {
    return this.handle.byteLength;
  }

  /** Σ aᵢ·bᵢ, in float64. */
  async dot(other: Direction): Promise<number> {
    return this.handle.dot(checkInstance(other, "other", Direction, "a Direction").handle);
  }

  /** Euclidean norm, in float64. */
  async norm(): Promise<number> {
    return this.handle.norm();
  }

  /**
   * The name of the first parameter whose part has a NaN or an infinity, null where every number is finite. It reads all
   * numbers once: whoever has a dot product or a norm that is finite needs not ask.
   */
  async nonFiniteParameter(): Promise<string | null> {
    if (Number.isFinite(await this.norm())) return null;
    for (const [index, { name, size }] of this.parameters.entries()) {
      if (!this.handle.has(index)) continue;
      const part = this.handle.mask(this.parameters.map((_, i) => i === index));
      try {
        // The square of a float64 may overflow though the number is finite: then each is looked at.
        if (Number.isFinite(await part.norm())) continue;
        if (this.dtype === "float32" || !(await finite(part, index, 8 * size))) return name;
      } finally {
        part.dispose();
      }
    }
    return null;
  }

  // What follows makes a stored direction of stored ones; another is rejected with `ERR_DIRECTION_NOT_STORED`: `store` it first.

  /** A new direction, k times this one. */
  async scale(k: number): Promise<Direction> {
    return this.like(await this.handle.scale(checkNumber(k, "k")));
  }

  /** A new direction: the elementwise product. */
  async multiply(other: Direction): Promise<Direction> {
    return this.like(
      await this.handle.multiply(checkInstance(other, "other", Direction, "a Direction").handle),
    );
  }

  /** A new direction of 1/√x: P^(−½) of a diagonal P. @throws RangeError unless every number is positive. */
  async inverseSquareRoot(): Promise<Direction> {
    return this.like(await this.handle.inverseSquareRoot());
  }

  /** A new direction, stored or not as this one is, that keeps the chosen parameters' part, sharing its memory, and is zero elsewhere. */
  mask(selection: ParameterSelection): Direction {
    return this.like(this.handle.mask(select(this.parameters, selection, "selection")));
  }

  /** Writes a safetensors file with a tensor for each parameter that is not zero throughout. */
  async save(file: string): Promise<void> {
    checkString(file, "file");
    await writeSafetensors(
      file,
      this.parameters.flatMap(({ name, shape }, index) =>
        this.handle.has(index)
          ? [
              {
                name,
                shape,
                dtype: this.dtype,
                read: (offset, length) => this.handle.read(index, offset, length),
              },
            ]
          : [],
      ),
    );
  }

  private like(handle: NativeVector): Direction {
    return new Direction(handle, this.parameters, this.dtype);
  }
}

const chunkBytes = 4 << 20;

/** Whether all of a parameter's numbers, float64 in `length` bytes, are finite. */
async function finite(vector: NativeVector, index: number, length: number): Promise<boolean> {
  for (let offset = 0; offset < length; offset += chunkBytes)
    if (!new Float64Array(await vector.read(index, offset, chunkBytes)).every(Number.isFinite)) return false;
  return true;
}

function mismatch(file: string, what: string, received: string): CriticalSharpnessError {
  return new CriticalSharpnessError(
    "ERR_DIRECTION_FILE",
    `Expected ${what} for the direction "${file}" but received ${received}`,
  );
}
