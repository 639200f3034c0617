// Figures as a table: on standard output, and in bench/results/ as JSON and Markdown.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { diagnose } from "../../dist/torch/diagnose.js";

const folder = path.join(path.dirname(fileURLToPath(import.meta.url)), "../results");

/** A figure with three significant digits. */
export const figure = (value) => (Number.isFinite(value) ? `${Number(value.toPrecision(3))}` : String(value));
export const spread = ({ median, low, high }) => `${figure(median)} (${figure(low)}–${figure(high)})`;

export const duration = (seconds) => (seconds < 1 ? `${figure(seconds * 1000)} ms` : `${figure(seconds)} s`);
export const bytes = (n) => `${figure(n / 2 ** 20)} MiB`;

/**
 * Writes `<name>.json` and `<name>.md`: what was measured against bars.
 *
 * @param rows { what, bar, measured, detail, met }: `met` is null where there is no bar or nothing could be measured
 */
export async function writeResults(name, title, rows, extra = {}) {
  const verdict = { true: "yes", false: "**no**", null: "–" };
  const table = {
    columns: ["what", "bar", "measured", "met", "how"],
    rows: rows.map(({ what, bar, measured, detail = "", met }) => [
      what,
      bar,
      measured,
      verdict[String(met ?? null)],
      detail,
    ]),
  };
  await writeTables(name, title, [table], [], { rows, ...extra });
}

/**
 * Measures networks of some sizes, each in a folder of its own, and writes after each; what is there of other sizes stays.
 *
 * @param measure gives rows of (kind, size, folder), each with its `size` and number of `parameters`
 */
export async function measureSizes(name, title, { sizes, kinds }, measure) {
  const rows = otherSizes(name, "rows", sizes);
  for (const size of sizes)
    for (const kind of kinds) {
      console.error(`${kind} ${size}`);
      const place = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-bench-"));
      try {
        rows.push(...(await measure(kind, size, place)));
      } finally {
        rmSync(place, { recursive: true, force: true });
      }
      rows.sort((a, b) => a.parameters - b.parameters);
      await writeResults(name, title, rows);
    }
}

/** What `<name>.json` has under a key of networks of other sizes: each size is measured in a run of its own. */
export function otherSizes(name, key, sizes) {
  const file = path.join(folder, `${name}.json`);
  const stored = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
  return (stored[key] ?? []).filter(({ size }) => !sizes.includes(size));
}

/**
 * Writes `<name>.json`, which has `figures`, and `<name>.md`, which has tables and notes.
 *
 * @param tables { title?, columns, rows: cells of each }
 */
export async function writeTables(name, title, tables, notes, figures) {
  const machine = await describeMachine();
  mkdirSync(folder, { recursive: true });
  const date = new Date().toISOString().slice(0, 10);
  const json = { title, date, machine, ...figures };
  writeFileSync(path.join(folder, `${name}.json`), `${JSON.stringify(json, null, 2)}\n`);
  const line = (cells) => `| ${cells.map((text) => String(text).replaceAll("|", "\\|")).join(" | ")} |`;
  const parts = tables.flatMap(({ title: heading, columns, rows }) => [
    ...(heading ? [`## ${heading}`, ""] : []),
    line(columns),
    line(columns.map(() => "---")),
    ...rows.map(line),
    "",
  ]);
  const lines = [
    `# ${title}`,
    "",
    `${date}, ${machine}`,
    "",
    ...parts,
    ...notes.flatMap((note) => [note, ""]),
  ];
  writeFileSync(path.join(folder, `${name}.md`), `${lines.join("\n").trimEnd()}\n`);
  console.log(`\n${lines.slice(4).join("\n")}`);
}

async function describeMachine() {
  const { native, cpu, node, packageVersion } = await diagnose();
  const memory = Math.round(os.totalmem() / 2 ** 30);
  return `${cpu.model}, ${native.threads} threads, ${native.cpuCapability}, ${memory} GiB; critical-sharpness ${packageVersion}, libtorch ${native.libtorchVersion}, Node ${node}`;
}
