// Programs over several ranks, or beside as many processes that share nothing.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const command = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

/**
 * What each rank of a program has written to RANK.json in the folder `out` that it is given beside `given`.
 *
 * @param program a file that takes one argument, JSON
 * @param given with `folder`, in which there is room
 * @param options `alone`: as many processes that share nothing, all at once
 */
export async function over(program, count, threads, given, options = {}) {
  const { alone = false } = options;
  const out = mkdtempSync(path.join(given.folder, "out-"));
  const places = alone ? Array.from({ length: count }, (_, i) => path.join(out, `${i}`)) : [out];
  for (const place of places) mkdirSync(place, { recursive: true });
  const argv = (place) => [
    process.execPath,
    "--expose-gc",
    program,
    JSON.stringify({ ...given, out: place }),
  ];
  const launch = [process.execPath, command, "launch", "--ranks", String(count), "--"];
  const ended = places.map(async (place) => {
    const [file, ...args] = [...(alone ? [] : launch), ...argv(place)];
    const env = { ...process.env, OMP_NUM_THREADS: String(threads) };
    const [code] = await once(spawn(file, args, { stdio: "inherit", env }), "close");
    if (code !== 0) throw new Error(`${count} processes ended with ${code}`);
  });
  await Promise.all(ended);
  return Array.from({ length: count }, (_, i) =>
    JSON.parse(readFileSync(alone ? path.join(places[i], "0.json") : path.join(out, `${i}.json`), "utf8")),
  );
}
