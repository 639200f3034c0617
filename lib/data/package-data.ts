import { createRequire } from "node:module";
import path from "node:path";
import { badData } from "./errors.js";

/**
 * Folder of an npm package with data, which is looked for from the current directory and from this package.
 *
 * @param from files beside which to look instead
 * @throws CriticalSharpnessError `ERR_DATA` naming the remedy where it is not installed.
 */
export function packageFolder(name: string, what: string, from: readonly string[] = places()): string {
  for (const place of from)
    try {
      return path.dirname(createRequire(place).resolve(`${name}/package.json`));
    } catch {
      // Looked for in the next place.
    }
  throw badData(what, "the data", `no package ${name}: run \`npm install ${name}\``);
}

const places = () => [path.join(process.cwd(), "anywhere.js"), import.meta.url];
