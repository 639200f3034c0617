// The figures of training and of critical sharpness that need nothing but the package. Arguments: names of the parts to
// measure again, the others are kept; without any, all are measured.
import { existsSync, readFileSync } from "node:fs";
import { bfloat16Rows } from "./bfloat16.mjs";
import { forwardPassRows } from "./forward-passes.mjs";
import { memoryRows } from "./memory.mjs";
import { perturbationRows } from "./perturbation.mjs";
import { writeResults } from "./shared/results.mjs";

const parts = {
  "forward-passes": forwardPassRows,
  perturbation: perturbationRows,
  memory: memoryRows,
  bfloat16: bfloat16Rows,
};
const chosen = process.argv.slice(2);
const file = new URL("./results/foundation.json", import.meta.url);
const before = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).rows : [];
const rows = [];
for (const [part, measure] of Object.entries(parts)) {
  const kept = before.filter((row) => row.part === part);
  if (kept.length > 0 && chosen.length > 0 && !chosen.includes(part)) {
    rows.push(...kept);
    continue;
  }
  console.error(part);
  for (const row of await measure()) rows.push({ part, ...row });
  await writeResults("foundation", "Training and critical sharpness", rows);
}
