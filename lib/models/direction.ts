import * as z from "zod";
import { expected, throwIfAborted } from "../errors.js";
import { writeSafetensors } from "../files/index.js";
import {
  checkInstance,
  checkNumber,
  checkString,
  type OptionsOf,
  readOptions,
  seedSchema,
  signalSchema,
} from "../options/index.js";
import {
  type NativeVector,
  native,
  Owner,
  ownSignal,
  type SignalOptions,
  signalOf,
  stoppable,
} from "../torch/index.js";

import { readAdapter } from "./adapters/adapter.js";
import { adapterChanges } from "./adapters/adapter-changes.js";
import { locateDirection } from "./direction-file.js";
import { type Factors, readDirectionNumbers } from "./direction-numbers.js";
import { findNonFinite } from "./non-finite.js";
import type { Numbers } from "./numbers.js";
import { type Parameter, type ParameterSelection, ParameterSet, select } from "./parameters.js";

const randomShape = {
  /** The same seed gives the same numbers. */
  seed: seedSchema,
  /** Default `normal`; `rademacher`: −1 or 1. */
  distribution: z.enum(["normal", "rademacher"]).default("normal"),
  signal: signalSchema.optional(),
};

const randomOptions = z.strictObject(randomShape);

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
   * @throws CriticalSharpnessError `ERR_SAFETENSORS`, `ERR_DIRECTION_FILE` naming file and tensor; AbortError.
   */
  static async load(file: string, model: ParameterSet, options: SignalOptions = {}): Promise<Direction> {
    checkString(file, "file");
    checkInstance(model, "model", ParameterSet, "a Model");
    throwIfAborted(ownSignal(signalOf(options), model.handle));
    const places = await locateDirection(file, model.parameters);
    return Direction.of(
      model,
      await stoppable(options, (cancel) => native().loadVector(model.handle, places, cancel), model.handle),
    );
  }

  /**
   * A direction of the given numbers, which are copied; a parameter without any stays where it is. Factors of a matrix are Δ of
   * low rank: a linear layer computes x·W − η·scale·(x·right')·left' where it reads θ − η·Δ, and never holds Δ. Such a direction is
   * not `stored`.
   *
   * @param numbers by the parameters' names; row-major, in their shapes as files have them
   * @throws RangeError, TypeError naming the parameter; CriticalSharpnessError `ERR_NO_WEIGHTS`.
   */
  static from(model: ParameterSet, numbers: Readonly<Record<string, Numbers | Factors>>): Direction {
    checkInstance(model, "model", ParameterSet, "a Model");
    const parts = readDirectionNumbers(model.parameters, numbers);
    return Direction.of(model, native().createDirection(model.handle, parts));
  }

  /** Δ = θ_model − θ_other, so that θ_model − 1·Δ = θ_other. @throws AbortError */
  static async between(
    model: ParameterSet,
    other: ParameterSet,
    options: SignalOptions = {},
  ): Promise<Direction> {
    checkInstance(model, "model", ParameterSet, "a Model");
    checkInstance(other, "other", ParameterSet, "a Model");
    return Direction.of(
      model,
      await stoppable(
        options,
        (cancel) => native().difference(model.handle, other.handle, cancel),
        model.handle,
      ),
    );
  }

  /**
   * Δ = θ_model − θ_adapted of a LoRA adapter as PEFT saves it, so that θ_model − 1·Δ is what `merge_and_unload` makes. It is held as
   * the adapter's factors, −(α/r)·B·A of each matrix, and never multiplied out; `modules_to_save` and trained biases are held whole.
   *
   * Read are `adapter_config.json` and `adapter_model.safetensors`, with `use_rslora`, `rank_pattern`, `alpha_pattern` and
   * `fan_in_fan_out`. What makes more of an adapter than B·A, `use_dora` for example, is refused by name.
   *
   * @param model the adapter's base model, or another one with its parameters
   * @param folder of the adapter
   * @throws CriticalSharpnessError `ERR_ADAPTER`, `ERR_SAFETENSORS`, `ERR_FILE` naming the file and what does not fit; AbortError.
   */
  static async fromAdapter(
    model: ParameterSet,
    folder: string,
    options: SignalOptions = {},
  ): Promise<Direction> {
    checkInstance(model, "model", ParameterSet, "a Model");
    checkString(folder, "folder");
    const signal = ownSignal(signalOf(options), model.handle);
    throwIfAborted(signal);
    return Direction.from(model, await adapterChanges(await readAdapter(folder), model, signal));
  }

  /**
   * Independent random numbers of mean 0 and variance 1, one for each weight. The same seed gives the same ones.
   *
   * @throws TypeError, RangeError naming the option; AbortError.
   */
  static async random(model: ParameterSet, options: OptionsOf<typeof randomShape>): Promise<Direction> {
    checkInstance(model, "model", ParameterSet, "a Model");
    const { seed, distribution, signal } = readOptions(randomOptions, options);
    return Direction.of(
      model,
      await stoppable(
        { signal },
        (cancel) => native().randomVector(model.handle, distribution, seed, cancel),
        model.handle,
      ),
    );
  }

  /** Σ coefficientsᵢ·directionsᵢ @throws AbortError */
  static async combine(
    directions: readonly Direction[],
    coefficients: readonly number[],
    options: SignalOptions = {},
  ): Promise<Direction> {
    if (!Array.isArray(directions) || directions.length === 0)
      throw expected("an array of directions", "directions", directions);
    const handles = directions.map(
      (d, i) => checkInstance(d, `directions[${i}]`, Direction, "a Direction").handle,
    );
    const first = directions[0] as Direction;
    return first.like(
      await stoppable(options, (cancel) => native().combine(handles, coefficients, cancel), first.handle),
    );
  }

  /** @internal */
  static of(model: ParameterSet, handle: NativeVector): Direction {
    return new Direction(handle, model.parameters, model.handle.vectorDtype);
  }

  /** Whether its numbers are held, or made where they are used. */
  get stored(): boolean {
    return this.handle.stored;
  }

  /** A new, stored direction of the same numbers. @throws AbortError */
  async store(options: SignalOptions = {}): Promise<Direction> {
    return this.like(await stoppable(options, (cancel) => this.handle.store(cancel), this.handle));
  }

  /** Memory of its tensors, in bytes; 0 if it is not stored. */
  get byteLength(): number {
    return this.handle.byteLength;
  }

  /** Σ aᵢ·bᵢ, in float64. @throws AbortError */
  async dot(other: Direction, options: SignalOptions = {}): Promise<number> {
    const handle = checkInstance(other, "other", Direction, "a Direction").handle;
    return stoppable(options, (cancel) => this.handle.dot(handle, cancel));
  }

  /** Euclidean norm, in float64. @throws AbortError */
  async norm(options: SignalOptions = {}): Promise<number> {
    return stoppable(options, (cancel) => this.handle.norm(cancel));
  }

  /**
   * The name of the first parameter whose part has a NaN or an infinity, null where every number is finite. It reads all
   * numbers once: whoever has a dot product or a norm that is finite needs not ask.
   *
   * @throws AbortError
   */
  async nonFiniteParameter(options: SignalOptions = {}): Promise<string | null> {
    return findNonFinite(this, options);
  }

  // What follows makes a stored direction of stored ones; another is rejected with `ERR_DIRECTION_NOT_STORED`: `store` it first.

  /** A new direction, k times this one. @throws AbortError */
  async scale(k: number, options: SignalOptions = {}): Promise<Direction> {
    const factor = checkNumber(k, "k");
    return this.like(await stoppable(options, (cancel) => this.handle.scale(factor, cancel), this.handle));
  }

  /** A new direction: the elementwise product. @throws AbortError */
  async multiply(other: Direction, options: SignalOptions = {}): Promise<Direction> {
    const handle = checkInstance(other, "other", Direction, "a Direction").handle;
    return this.like(await stoppable(options, (cancel) => this.handle.multiply(handle, cancel), this.handle));
  }

  /** A new direction of 1/√x: P^(−½) of a diagonal P. @throws RangeError unless every number is positive; AbortError. */
  async inverseSquareRoot(options: SignalOptions = {}): Promise<Direction> {
    return this.like(
      await stoppable(options, (cancel) => this.handle.inverseSquareRoot(cancel), this.handle),
    );
  }

  /** A new direction, stored or not as this one is, that keeps the chosen parameters' part, sharing its memory, and is zero elsewhere. */
  mask(selection: ParameterSelection): Direction {
    return this.like(this.handle.mask(select(this.parameters, selection, "selection")));
  }

  /** Writes a safetensors file with a tensor for each parameter that is not zero throughout. @throws AbortError: no file is left. */
  async save(file: string, options: SignalOptions = {}): Promise<void> {
    checkString(file, "file");
    const signal = ownSignal(signalOf(options), this.handle);
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
      { signal, rank: this.handle.rank },
    );
  }

  private like(handle: NativeVector): Direction {
    return new Direction(handle, this.parameters, this.dtype);
  }
}
