import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";

const root = path.join(import.meta.dirname, "../..");
/** Within the package, so that its own name leads to dist/. */
const folder = path.join(root, "build/readme");
const readme = readFileSync(path.join(root, "README.md"), "utf8");
const examples = [...readme.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code as string);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(code: string): string[] {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, "example.mjs");
  writeFileSync(file, code);
  return execFileSync(process.execPath, [file], { encoding: "utf8" }).trim().split("\n");
}

describe("README", () => {
  it("embedding example: trains and measures at every step", () => {
    const lines = run(examples[0] as string);
    expect(lines).toHaveLength(20);
    const losses = lines.map((line) => Number(line.split(" ")[1]));
    expect(losses.at(-1)).toBeLessThan((losses[0] as number) - 1);
    for (const line of lines) expect(line).toMatch(/^\d+ \d\.\d{3} λc \d+\.\d converged$/);
  });

  it("search example: finds ηc of a parabola", () => {
    expect(Math.abs(Number(run(examples[1] as string)[0]) - 0.5)).toBeLessThan(0.5 / 16);
  });

  it("files that it links to are there", () => {
    const links = [...readme.matchAll(/\]\((?!https?:)([^)]+)\)/g)].map(([, link]) => link as string);
    expect(links.length).toBeGreaterThan(3);
    for (const link of links) expect(() => readFileSync(path.join(root, link)), link).not.toThrow(/ENOENT/);
  });
});
