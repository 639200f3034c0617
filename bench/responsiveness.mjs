// How long the event loop stands still, and how soon what is under way stops. Arguments: names of the parts to measure again, the
// others are kept; without any, all are measured.
import { existsSync, readFileSync } from "node:fs";
import { batchRows, callRows, trainingRows } from "./event-loop.mjs";
import { writeResults } from "./shared/results.mjs";
import { stoppingRows } from "./stopping.mjs";

const parts = { training: trainingRows, calls: callRows, batches: batchRows, stopping: stoppingRows };
const chosen = process.argv.slice(2);
const file = new URL("./results/responsiveness.json", import.meta.url);
const before = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).rows : [];
const rows = [];
for (const [part, measure] of Object.entries(parts)) {
  if (chosen.length > 0 && !chosen.includes(part)) {
    rows.push(...before.filter((row) => row.part === part));
    continue;
  }
  console.error(part);
  for (const row of await measure()) rows.push({ part, ...row });
  await writeResults("responsiveness", "The event loop, and stopping", rows);
}
