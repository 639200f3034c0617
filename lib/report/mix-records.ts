import { badConfiguration, explain } from "../experiments/configuration-errors.js";
import {
  type MixCellRecord,
  type MixConfiguration,
  type MixSummary,
  summarizeMix,
} from "../experiments/index.js";
import { mixSchema } from "../experiments/mix-configuration.js";
import {
  isOldMix,
  type MixLineRecord,
  type MixPairRecord,
  type MixRepeatRecord,
  oldMix,
  oneTraining,
} from "../experiments/mix-records.js";
import { type MixVerdict, mixVerdict } from "../experiments/mix-verdict.js";
import { badRun, isObject, readLines, readStored } from "./run-files.js";

/** What a mix left so far: its whole repeats, and what follows from them. */
export interface MixRecords extends MixSummary {
  configuration: MixConfiguration;
  created: string | undefined;
  versions: Record<string, string>;
  lines: MixLineRecord[];
  repeats: MixRepeatRecord[];
  pairs: MixPairRecord[];
  cells: MixCellRecord[];
  verdict: MixVerdict | null;
}

/** @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if no repeat was measured; `ERR_CONFIGURATION`. */
export async function readMixRun(directory: string): Promise<MixRecords> {
  const stored = await readStored(directory, "mix");
  if (isOldMix(stored)) throw oldMix(directory);
  const { created, versions, estimator: _, ...input } = stored;
  const parsed = mixSchema.safeParse(input);
  if (!parsed.success) throw badConfiguration(explain(parsed.error, input), `${directory}/config.json`);
  const all: MixLineRecord[] = [];
  const repeats = new Map<number, MixRepeatRecord>();
  const pairs = new Map<string, MixPairRecord>();
  const cells: MixCellRecord[] = [];
  for await (const record of readLines(directory)) {
    if (record.type === "mix") all.push(record as unknown as MixLineRecord);
    if (record.type === "repeat") repeats.set(Number(record.repeat), record as unknown as MixRepeatRecord);
    if (record.type === "pair")
      pairs.set(`${record.update} ${record.evaluate}`, record as unknown as MixPairRecord);
    if (record.type === "cell") cells.push(record as unknown as MixCellRecord);
  }
  const lines = all.filter(({ repeat }) => repeats.has(repeat));
  if (lines.length === 0) throw badRun("a mix of which at least one repeat was measured", directory, "none");
  const summary = summarizeMix(lines, parsed.data.seed);
  const trained = oneTraining(cells, parsed.data.train);
  return {
    configuration: { ...parsed.data, accumulate: parsed.data.accumulate ?? 1 },
    created: typeof created === "string" ? created : undefined,
    versions: isObject(versions)
      ? Object.fromEntries(Object.entries(versions).map(([k, v]) => [k, String(v)]))
      : {},
    lines,
    repeats: [...repeats.values()],
    pairs: [...pairs.values()],
    cells: trained,
    ...summary,
    verdict: mixVerdict(trained, summary.recommendation),
  };
}
