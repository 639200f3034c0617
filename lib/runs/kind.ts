import type * as z from "zod";
import type { ConfigurationPlace } from "../options/index.js";
import type { ReportContent } from "../report/index.js";

/** The keys of records by their type, without the type itself. */
export type RecordSchemas = Readonly<Record<string, z.ZodObject>>;

/** The records of which these are the schemas: what a log's lines are, as they are written and as they are read. */
export type RecordOf<Schemas extends RecordSchemas> = {
  [Type in keyof Schemas & string]: { type: Type } & z.output<Schemas[Type]>;
}[keyof Schemas & string];

/** What stands in a config.json, without the kind and the facts of the run. */
export type StoredConfiguration = Record<string, unknown>;

/** What tells the kind of a run, and brings one that was written by an older version into today's form. */
export interface KindHeader {
  /** As config.json has it, and the name of its command. */
  readonly name: string;
  /** What follows the name of the program to make one, without its directory. */
  readonly usage: string;
  /** Keys by which a run from before kinds had names is known: no other kind has all of them. */
  readonly unnamed: readonly string[];
  /**
   * The form of config.json has a number, `schema`: as many as there are of these. Each brings the one of its place to the next; the
   * first begins at what was written before forms had numbers. A key with a default needs none.
   */
  readonly migrations: readonly ((stored: StoredConfiguration, directory: string) => StoredConfiguration)[];
}

/** What tells the configuration of a kind's runs. */
export interface ConfiguredKind<Configuration extends object> extends KindHeader {
  /**
   * Checks a configuration of today's form and puts every default in its place; what it gives is a configuration again, and the same.
   *
   * @throws CriticalSharpnessError `ERR_CONFIGURATION`.
   */
  parse(stored: unknown, place: ConfigurationPlace): Configuration | Promise<Configuration>;
  /** Keys of the configuration that may differ when a run goes on. */
  readonly mayChange?: readonly (keyof Configuration & string)[];
}

/** What plugs into the machine for runs: an experiment. */
export interface Kind<Configuration extends object = object, Schemas extends RecordSchemas = RecordSchemas>
  extends ConfiguredKind<Configuration> {
  /** Every record that it writes, by type. */
  readonly records: Schemas;
  /** The numbers of a record, by tags with slashes between groups, and where they stand; undefined of an event that has none. */
  scalars(event: RecordOf<Schemas>): { step: number; values: Record<string, number> } | undefined;
  /**
   * What its report shows of a run, be it under way.
   *
   * @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if there is nothing to show yet.
   */
  report(run: StoredRun<Configuration, Schemas>): Promise<ReportContent>;
}

/** A run as its directory has it. */
export interface StoredRun<Configuration, Schemas extends RecordSchemas> {
  readonly directory: string;
  readonly configuration: Configuration;
  readonly facts: RunFacts;
  /** What was recorded so far, in order; a record of a type that the kind does not have is passed over. */
  records(): AsyncIterable<RecordOf<Schemas>>;
}

/** What config.json says of a run besides its configuration. */
export interface RunFacts {
  /** ISO 8601, when the run was begun. */
  created: string | undefined;
  /** What it was begun with. */
  versions: Record<string, string>;
}
