import { badRun, type RunFacts, type StoredRun } from "../../runs/index.js";
import type { MixConfiguration } from "./mix-configuration.js";
import {
  type MixCellRecord,
  type MixLineRecord,
  type MixPairRecord,
  type MixRepeatRecord,
  type mixRecords,
  oneTraining,
} from "./mix-records.js";
import { type MixSummary, type MixVerdict, mixVerdict, summarizeMix } from "./summary.js";

/** What a mix left so far: its whole repeats, and what follows from them. */
export interface MixRecords extends MixSummary {
  configuration: MixConfiguration;
  facts: RunFacts;
  lines: MixLineRecord[];
  repeats: MixRepeatRecord[];
  pairs: MixPairRecord[];
  cells: MixCellRecord[];
  verdict: MixVerdict | null;
}

/** @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if no repeat was measured. */
export async function gather(run: StoredRun<MixConfiguration, typeof mixRecords>): Promise<MixRecords> {
  const { configuration, facts, directory } = run;
  const all: MixLineRecord[] = [];
  const repeats = new Map<number, MixRepeatRecord>();
  const pairs = new Map<string, MixPairRecord>();
  const cells: MixCellRecord[] = [];
  for await (const record of run.records())
    if (record.type === "mix") all.push(record);
    else if (record.type === "repeat") repeats.set(record.repeat, record);
    else if (record.type === "pair") pairs.set(`${record.update} ${record.evaluate}`, record);
    else cells.push(record);
  const lines = all.filter(({ repeat }) => repeats.has(repeat));
  if (lines.length === 0) throw badRun("a mix of which at least one repeat was measured", directory, "none");
  const summary = summarizeMix(lines, configuration.seed);
  const trained = oneTraining(cells, configuration.train);
  return {
    ...{ configuration, facts, lines },
    repeats: [...repeats.values()],
    pairs: [...pairs.values()],
    cells: trained,
    ...summary,
    verdict: mixVerdict(trained, summary.recommendation),
  };
}
