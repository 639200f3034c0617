// Groups of two processes that join, measure and end in different ways, one after the other: `node bench/ranks-ends.mjs [joins]`.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { writeResults } from "./shared/results.mjs";

const command = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const index = JSON.stringify(new URL("../dist/index.js", import.meta.url).href);

/** `long()`: passes without end. */
const prelude = `
  const { Batch, createModel, joinGroup } = await import(${index});
  console.error("process " + process.pid);
  const group = await joinGroup({ joinTimeout: 60, timeout: 60 });
  const model = await createModel({ model_type: "gpt2", vocab_size: 301, n_positions: 64, n_embd: 96, n_layer: 4, n_head: 4 }, { group });
  const ids = Int32Array.from({ length: 8 * 64 }, (_, i) => (i * 7919) % 301);
  const batch = Batch.tokens({ inputIds: ids, labels: ids.map((id) => (3 * id + 1) % 301), shape: [8, 64] });
  const long = async () => { for (;;) await model.loss(batch, { microBatch: 1 }); };
  await model.loss(batch, { microBatch: 1 });
  console.error("measured");`;
const others = `long().catch((error) => { console.error(error.code); process.exit(3); });`;
const first = (does) =>
  `if (group.rank === 1) { long().catch(() => {}); setTimeout(() => { ${does} }, 30); } else ${others}`;

/** What both processes run, and the code that it ends with: that of the rank that failed first. `told`: what the other one hears. */
const endings = {
  return: { body: "", code: 0 },
  "process.exit on one": { body: first("process.exit(7)"), code: 7, told: "ERR_RANK_LOST" },
  "exception on one": { body: first('throw new Error("on purpose")'), code: 1, told: "ERR_RANK_LOST" },
  "SIGKILL of one": {
    body: first('process.kill(process.pid, "SIGKILL")'),
    code: 137,
    told: "ERR_RANK_LOST",
  },
  "SIGTERM of the launcher": { body: others, code: 143, signal: "SIGTERM" },
};

const runs = (process_) => {
  try {
    process.kill(process_, 0);
    return true;
  } catch {
    return false;
  }
};

/** Runs one; what was wrong with it, or undefined. */
async function end(name) {
  const { body, code: ends, told, signal } = endings[name];
  const ranks = [
    "launch",
    "--ranks",
    "2",
    "--",
    process.execPath,
    "--input-type=module",
    "-e",
    `${prelude} ${body}`,
  ];
  const child = spawn(process.execPath, [command, ...ranks], {
    env: { ...process.env, OMP_NUM_THREADS: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (text) => {
      const before = said.split("measured").length;
      said += text;
      if (signal && before < 3 && said.split("measured").length === 3)
        setTimeout(() => child.kill(signal), 30);
    });
  const code = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  const processes = [...said.matchAll(/process (\d+)/g)].map(([, number]) => Number(number));
  const orphans = processes.filter(runs);
  const right =
    code === ends && processes.length === 2 && orphans.length === 0 && (!told || said.includes(told));
  return right ? undefined : `${name}: ended with ${code}, left ${orphans.length} processes, said ${said}`;
}

const joins = Number(process.argv[2] ?? 200);
const names = Object.keys(endings);
const wrong = [];
for (let i = 0; i < joins; i++) {
  const problem = await end(names[i % names.length]);
  if (problem) {
    wrong.push(problem);
    console.error(problem);
  }
}
writeResults("ranks-ends", "Groups of processes that join and end", [
  {
    what: "joins in a row, and ends of all kinds",
    bar: "200, no failed port, no orphan, right exit codes",
    measured: `${joins} joins, ${wrong.length} wrong`,
    met: wrong.length === 0 && joins >= 200,
    detail: `two ranks, in turn: ${names.join(", ")}, all but the first in the middle of a pass`,
  },
]);
