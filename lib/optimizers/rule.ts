import type * as z from "zod";
import type { Parameter } from "../models/index.js";
import type { NativeRule } from "../torch/index.js";

/** A rule's own options, decay and groups aside: each key with its schema, default, description and flag. */
export type RuleShape = Readonly<Record<string, z.ZodType>>;
/** They, checked and with their defaults. */
export type RuleSettings<Shape extends RuleShape> = z.output<z.ZodObject<Shape>>;

/** What native code makes of a rule's options: a rule for each parameter. */
export interface NativeRules {
  rules: NativeRule[];
  /** For each parameter the place of its rule. Left out: the first. */
  of?: number[];
  /** For each parameter η and γ where no group says any other. Left out: the optimizer's. */
  own?: { learningRate: number | undefined; weightDecay: number | undefined }[];
}

/**
 * How PyTorch's class of a rule writes itself down: in `param_groups`, and in the state of each parameter.
 */
export interface TorchForm {
  /** Keys that its groups have, and the state tensors of a parameter, by the role that they have here. */
  readonly settings: readonly string[];
  readonly roles: Readonly<Record<string, string>>;
  /**
   * Its options of a group's settings, decay and learning rate aside.
   *
   * @throws CriticalSharpnessError `ERR_OPTIMIZER_STATE` for what the rule here does not do.
   */
  options(settings: TorchSettings): object;
}

/** Settings of a group, checked as they are asked for. */
export interface TorchSettings {
  number(key: string): number;
  numbers(key: string, count: 2): [number, number];
  numbers(key: string, count: 3): [number, number, number];
  has(key: string): boolean;
  flag(key: string): boolean;
  text(key: string): string | undefined;
  /** Refuses what follows where it is on: what the rule here does not do. */
  without(...keys: readonly string[]): void;
  /** Of another rule than the settings' names say. */
  refuse(name: string): never;
}

/**
 * An update rule: what there is to know of it without a model. The registry has one of each; configurations, flags, the
 * reference, figures and state files go by these, and nothing else asks a rule's name.
 */
export interface OptimizerRule<Options = object, Shape extends RuleShape = RuleShape> {
  /** Its name in configurations, on the command line and in state files. */
  readonly type: string;
  readonly options: Shape;
  /** γ where none is given. */
  readonly weightDecay: number;
  /**
   * P, with Δ = P⁻¹·momentum where no decay is in Δ: a diagonal that changes as training goes on, or 1. Null: Δ is no product of
   * a matrix and a momentum, and λmax(P⁻¹H) has no meaning.
   */
  readonly metric: "diagonal" | "identity" | null;
  /** Whether each number of Δ depends on all of its parameter's. Default: on what the state has of that number alone. */
  readonly isWhole?: boolean;
  /** Whether Δ is made of more gradients than the last. Options that are left out have their defaults, here and below. */
  hasMemory(options: Options): boolean;
  /**
   * λmax(P⁻¹H) at the edge of stability over 2/η − γ, and how that is written: "(1+μ)", "" for 1. Null where there is no such
   * number. Whatever the rule, λc is compared with 2/η (docs/thresholds.md).
   */
  stabilityGain(options: Options): { value: number; formula: string } | null;
  /** Its name and its own settings in words, decay and groups aside. */
  describe(options: Options, number: (value: number) => string): string[];
  readonly torch: TorchForm;
  /** @throws TypeError, RangeError for what no key's schema says. */
  native(settings: RuleSettings<Shape>, parameters: readonly Parameter[]): NativeRules;
}
