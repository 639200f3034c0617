import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = path.join(import.meta.dirname, "../..");
/** Within the package, so that its own name leads to dist/. */
const folder = path.join(root, "build/checkpoints-page");
const text = readFileSync(path.join(root, "docs/checkpoints.md"), "utf8");
const blocks = (language: string) =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms"))].map(
    ([, code]) => code as string,
  );

/** As the page has it, but of few steps and batches. */
const small = (code: string) =>
  code
    .replace(/^(critical-sharpness train .*)$/m, "$1 --steps 8 --every 0")
    .replace(/(accumulate:? )20/, "$12")
    .replace(/(measure:? )10/, "$12");

function run(command: string): string {
  const [name, ...args] = (command.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replaceAll("'", ""));
  expect(name).toBe("critical-sharpness");
  const main = path.join(root, "dist/cli/main.js");
  return execFileSync(process.execPath, [main, ...args], { cwd: folder, encoding: "utf8", stdio: "pipe" });
}

beforeAll(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  mkdirSync(path.join(folder, "examples"));
  // The page's own, but for its size.
  const example = JSON.parse(readFileSync(path.join(root, "examples/checkpoints.json"), "utf8"));
  Object.assign(example.model, { n_embd: 16, n_layer: 2, n_head: 2, n_positions: 32 });
  example.checkpoint.every = 4;
  writeFileSync(path.join(folder, "examples/checkpoints.json"), JSON.stringify(example));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the page on checkpoints", () => {
  const [train, measure, report] = blocks("sh").map(small);

  it("trains a model that leaves checkpoints", () => {
    run(train as string);
    for (const step of [4, 8])
      expect(existsSync(path.join(folder, `runs/gpt/checkpoints/step${step}/model.safetensors`))).toBe(true);
  });

  it("measures them and writes what it says", () => {
    const out = run(measure as string);
    expect(out).toMatch(/^step4 +[\d.]+ .*\nstep8 +[\d.]+ /m);
    const files = ["report.html", "report.png", "figures", "metrics.csv", "metrics.jsonl"];
    for (const file of files)
      expect(existsSync(path.join(folder, "runs/gpt-curvature", file)), file).toBe(true);
    expect(run(report as string)).toContain("report.html");
  });

  it("does the same in code", () => {
    const [code] = blocks("js").map(small);
    const file = path.join(folder, "example.mjs");
    writeFileSync(file, code as string);
    const lines = execFileSync(process.execPath, [file], { cwd: folder, encoding: "utf8" })
      .trim()
      .split("\n");
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).toMatch(/^(4|8) [\d.]+ [\d.]+ [\d.]+$/);
  });

  it("links to what is there, and names flags that there are", () => {
    const links = [...text.matchAll(/\]\((?!https?:)([^)]+)\)/g)].map(([, link]) => link as string);
    expect(links.length).toBeGreaterThan(1);
    for (const link of links) expect(existsSync(path.join(root, "docs", link)), link).toBe(true);
    const help = run("critical-sharpness checkpoints --help");
    for (const [flag] of text.matchAll(/--[a-z][a-z-]+/g)) expect(help, flag).toContain(flag);
  });
});
