// The figures of training and of critical sharpness that need nothing but the package.
import { bfloat16Rows } from "./bfloat16.mjs";
import { eventLoopRows } from "./event-loop.mjs";
import { forwardPassRows } from "./forward-passes.mjs";
import { memoryRows } from "./memory.mjs";
import { perturbationRows } from "./perturbation.mjs";
import { writeResults } from "./shared/results.mjs";

const parts = [forwardPassRows, perturbationRows, memoryRows, bfloat16Rows, eventLoopRows];
const rows = [];
for (const part of parts) {
  console.error(part.name.replace("Rows", ""));
  rows.push(...(await part()));
}
await writeResults("foundation", "Training and critical sharpness", rows);
