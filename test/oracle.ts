import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";

const installed = path.join(import.meta.dirname, "../build/oracle/bin/python");

/**
 * A Python with the packages of test/requirements.txt to compare with: CRITICAL_SHARPNESS_PYTHON, or what scripts/test-tools.mjs
 * installed. Undefined: those tests are skipped.
 */
export const oraclePython: string | undefined = [process.env.CRITICAL_SHARPNESS_PYTHON, installed].find(
  (file) => file !== undefined && file !== "" && existsSync(file),
);
if (oraclePython === undefined)
  console.log(
    "skipped: run `npm run test:tools`, or set CRITICAL_SHARPNESS_PYTHON to a Python with the packages of test/requirements.txt, to compare with them",
  );

/** What a Python script says of an input: JSON on its standard input and output, in which numbers keep all of their digits. */
export function runOracle<Result>(script: string, input: unknown): Result {
  const options = { input: JSON.stringify(input), maxBuffer: 2 ** 30, encoding: "utf8" } as const;
  return JSON.parse(execFileSync(oraclePython as string, ["-c", script], options));
}
