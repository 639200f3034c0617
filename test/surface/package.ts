import path from "node:path";
import { pathToFileURL } from "node:url";

/** A compiled module of the package: workers and child processes run plain Node.js. */
export const moduleOf = (name: string): string =>
  pathToFileURL(path.resolve(import.meta.dirname, `../../dist/${name}.js`)).href;
