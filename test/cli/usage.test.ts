import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { command, temporaryFolder, writeConfiguration } from "./helpers.js";

const folder = temporaryFolder();
const config = writeConfiguration(folder);
const names = [
  "train",
  "measure",
  "landscape",
  "along",
  "hessian",
  "checkpoints",
  "check",
  "watch-probes",
  "report",
  "inspect",
  "doctor",
  "fetch-libtorch",
];

describe("help", () => {
  it.each(names)("of %s has an example, --json and exit code 0", async (name) => {
    const { code, stdout, stderr } = await command([name, "--help"]);
    expect(code).toBe(0);
    expect(stderr).toBe("");
    expect(stdout).toContain("--json");
    expect(stdout).toMatch(new RegExp(`Example:\n  critical-sharpness ${name} `));
  });
  it("of the program names every command", async () => {
    const { code, stdout } = await command(["--help"]);
    expect(code).toBe(0);
    for (const name of names) expect(stdout).toContain(`  ${name} `);
  });
  it("tells the version", async () => {
    const { code, stdout } = await command(["--version"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe("bad usage ends with 2, one message and nothing on standard output", () => {
  const bad = writeConfiguration(folder, {
    optimizer: { type: "adamw", learningRate: 1, betas: [0.9, 1.5] },
  });
  const broken = path.join(folder, "broken.json");
  writeFileSync(broken, "{");
  const out = ["--out", path.join(folder, "unused")];
  it.each([
    [[], "Usage:"],
    [["fly"], "unknown command 'fly'"],
    [["train"], "missing required argument 'config'"],
    [["train", config, "--stepz", "3"], "unknown option '--stepz'"],
    [["train", config, "--steps", "0"], 'Expected an integer ≥ 1 but received "0"'],
    [["train", config, "--steps", "1e3"], 'Expected an integer ≥ 1 but received "1e3"'],
    [["train", config, "--learning-rate", "fast"], 'Expected a number > 0 but received "fast"'],
    [["train", config, "--seed", "-1"], 'Expected an integer ≥ 0 but received "-1"'],
    [["train", config, "--dtype", "float16"], "Allowed choices are float32, float64, bfloat16"],
    [["train", bad, ...out], "Expected a number < 1 for optimizer.betas[1] but received 1.5 (in run-"],
    [["train", broken, ...out], "Expected JSON for the configuration but received"],
    [["measure", "--batch", "b"], "missing required argument 'model'"],
    [["measure", folder], "required option '--batch <file>' not specified"],
    [
      ["measure", folder, "--batch", "b", "--method", "newton"],
      "Allowed choices are interpolated, bisection",
    ],
    [
      ["measure", folder, "--batch", "b", "--tolerance", "-1"],
      'Expected a number ≥ 1e-9 and < 1 but received "-1"',
    ],
    [
      ["measure", folder, "--batch", "b", "--device", "tpu"],
      'Expected cpu, cuda or cuda:<number> but received "tpu"',
    ],
    [["train", config, "--device", "cuda:x"], 'Expected cpu, cuda or cuda:<number> but received "cuda:x"'],
    [
      ["measure", folder, "--batch", "b", "--direction", "d", "--update-batch", "u"],
      "Expected --update-batch or --direction FILE, not both",
    ],
    [["report"], "missing required argument 'run-dir'"],
    [["inspect"], "missing required argument 'path'"],
    [["doctor", "extra"], "too many arguments"],
    [["fetch-libtorch", "gpu"], 'Expected "cpu" or a version of CUDA such as "cu130" but received "gpu"'],
    [["fetch-libtorch", "--sha256", "abc"], "Expected 64 hexadecimal digits"],
  ])("%j", async (args, message) => {
    const { code, stdout, stderr } = await command(args);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/^ {4}at /m);
    expect(stdout).toBe("");
    expect(code).toBe(2);
    if (args.length > 0) expect(stderr.trimEnd().split("\n").length).toBeLessThanOrEqual(2);
  });
});

describe("a failure ends with 1", () => {
  const none = path.join(folder, "none");
  it.each([
    [["train", `${none}.json`], "none.json"],
    [["measure", none, "--batch", "b"], path.join("none", "config.json")],
    [["report", none], "none"],
  ])("%j", async (args, message) => {
    const { code, stdout, stderr } = await command([...args, "--json"]);
    expect(stderr).toMatch(/^error: Expected .+\n$/);
    expect(stderr).toContain(message);
    expect(stdout).toBe("");
    expect(code).toBe(1);
  });
  it("with the stack only if it is asked for", async () => {
    const { stderr, code } = await command(["train", `${none}.json`, "--verbose"]);
    expect(stderr).toMatch(/^ {4}at /m);
    expect(stderr).toContain("caused by:");
    expect(code).toBe(1);
  });
});
