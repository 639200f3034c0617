// Figures of installation: `node bench/packages.mjs PART …` measures parts again, the others are kept.
//   sizes DIR     of the tarballs that `npm run pack:all -- DIR` made and `npm run check:packages -- DIR` installed
//   start         from `node` to the first λc
//   exits COUNT   that many process starts, added to those of the results; 0 begins anew
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { exitRows } from "./exits.mjs";
import { firstMeasurementRows } from "./first-measurement.mjs";
import { writeResults } from "./shared/results.mjs";

const file = new URL("./results/packages.json", import.meta.url);
const before = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).rows : [];
const of = (part) => before.filter((row) => row.part === part);

const parts = {
  sizes: sizeRows,
  start: firstMeasurementRows,
  exits: (count) => exitRows(Number(count), Number(count) === 0 ? undefined : of("exits")[0]?.counts),
};

function sizeRows(directory) {
  const read = (name) => JSON.parse(readFileSync(path.join(directory, name), "utf8"));
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  const sizes = read("packages.json").packages.map(
    ({ name, version, bytes, limit, unpackedBytes, files }) => ({
      what: `size of ${name}@${version}, packed`,
      bar: `≤ ${megabytes(limit)}`,
      measured: megabytes(bytes),
      met: bytes <= limit,
      detail: `${megabytes(unpackedBytes)} unpacked, ${files} files`,
    }),
  );
  const { passed, failures } = read("checked.json");
  const installs = passed.filter(({ what }) => what.endsWith(": install"));
  return [
    ...sizes,
    {
      what: "empty folder, nothing but node and a package manager on the PATH",
      bar: "install, README's example, `measure`, `doctor`, require, worker threads, removal",
      measured: `${passed.length} passed, ${failures} failed`,
      met: failures === 0,
      detail: `from the tarballs, caches empty; seconds to install: ${installs.map(({ what, seconds }) => `${what.replace(": install", "")} ${seconds}`).join(", ")}`,
    },
  ];
}

const args = process.argv.slice(2);
const chosen = args.filter((arg) => arg in parts);
const rows = [];
for (const [part, measure] of Object.entries(parts)) {
  if (!chosen.includes(part)) {
    rows.push(...of(part));
    continue;
  }
  const given = args[args.indexOf(part) + 1];
  for (const row of await measure(given)) rows.push({ part, ...row });
}
await writeResults("packages", "Packages and processes", rows);
