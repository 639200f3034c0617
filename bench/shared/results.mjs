// Figures as a table: on standard output, and in bench/results/ as JSON and Markdown.
import { mkdirSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { diagnose } from "../../dist/native/diagnose.js";

const folder = path.join(path.dirname(fileURLToPath(import.meta.url)), "../results");

/** A figure with three significant digits. */
export const figure = (value) => (Number.isFinite(value) ? `${Number(value.toPrecision(3))}` : String(value));
export const spread = ({ median, low, high }) => `${figure(median)} (${figure(low)}–${figure(high)})`;

/**
 * Writes `<name>.json` and `<name>.md`.
 *
 * @param rows { what, bar, measured, detail, met }: `met` is null where there is no bar or nothing could be measured
 */
export async function writeResults(name, title, rows, extra = {}) {
  const machine = await describeMachine();
  mkdirSync(folder, { recursive: true });
  const date = new Date().toISOString().slice(0, 10);
  const json = { title, date, machine, rows, ...extra };
  writeFileSync(path.join(folder, `${name}.json`), `${JSON.stringify(json, null, 2)}\n`);
  const cell = (text) => String(text).replaceAll("|", "\\|");
  const verdict = { true: "yes", false: "**no**", null: "–" };
  const table = rows.map(({ what, bar, measured, detail = "", met }) =>
    [what, bar, measured, verdict[String(met ?? null)], detail].map(cell).join(" | "),
  );
  const lines = [
    `# ${title}`,
    "",
    `${date}, ${machine}`,
    "",
    "| what | bar | measured | met | how |",
    "| --- | --- | --- | --- | --- |",
    ...table.map((row) => `| ${row} |`),
  ];
  writeFileSync(path.join(folder, `${name}.md`), `${lines.join("\n")}\n`);
  console.log(`\n${lines.slice(4).join("\n")}\n`);
}

async function describeMachine() {
  const { native, cpu, node, packageVersion } = await diagnose();
  const memory = Math.round(os.totalmem() / 2 ** 30);
  return `${cpu.model}, ${native.threads} threads, ${native.cpuCapability}, ${memory} GiB; critical-sharpness ${packageVersion}, libtorch ${native.libtorchVersion}, Node ${node}`;
}
