import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { random } from "../../lib/data/index.js";
import { withoutSeconds } from "../experiments/helpers.js";
import { makeCheckpoints, readSeriesRecords, textFile } from "../experiments/series-helpers.js";
import { command, temporaryFolder } from "./helpers.js";

const folder = temporaryFolder();
const place = (name: string) => path.join(folder, name);
const text = textFile(folder);
const flags = ["--data", text, "--batch-size", "2", "--accumulate", "2", "--measure", "3"];
const pattern = place("models/step*");
const series = (out: string, ...others: string[]) => [
  "checkpoints",
  pattern,
  ...flags,
  "--out",
  place(out),
  ...others,
];
const recordsOf = (out: string) => withoutSeconds(readSeriesRecords(place(out)) as never);

let straight: { milliseconds: number; stdout: string };
beforeAll(async () => {
  await makeCheckpoints(place("models"), 6);
  const started = performance.now();
  const { code, stdout, stderr } = await command(series("straight", "--per-kind", "--per-block"));
  expect([code, stderr.includes("error")]).toEqual([0, false]);
  straight = { milliseconds: performance.now() - started, stdout };
});

describe("checkpoints", () => {
  it("prints a table and writes a report that `report` writes again", async () => {
    for (let step = 1; step <= 6; step++)
      expect(straight.stdout).toMatch(new RegExp(`^step${step} .*0/3 +0$`, "m"));
    const files = ["report.html", "report.png", "metrics.csv", "figures/critical-sharpness.svg"];
    const maps = ["blocks", "kinds"].map((by) => `figures/critical-sharpness-by-${by}.png`);
    for (const file of [...files, ...maps])
      expect(existsSync(path.join(place("straight"), file)), file).toBe(true);
    const csv = readFileSync(place("straight/metrics.csv"), "utf8");
    expect(csv.split("\n")[1]).toMatch(/^step1,1,,all,/);
    rmSync(place("straight/report.html"));
    const { code, stdout } = await command(["report", place("straight"), "--json"]);
    expect(code).toBe(0);
    expect(existsSync(JSON.parse(stdout).html)).toBe(true);
    expect(readFileSync(place("straight/metrics.csv"), "utf8")).toBe(csv);
  });

  it("has the options of the library, from a list, as JSON", async () => {
    const list = place("list.txt");
    writeFileSync(list, "# in this order\nmodels/step5\n\nmodels/step2\n");
    const options = [
      "--list",
      list,
      "--out",
      place("listed"),
      "--template",
      "{text}\\n",
      "--apart",
      "--json",
    ];
    const optimizer = ["--optimizer", "sgd", "--momentum", "0.5", "--decay", "0.01", "--no-weight-decay"];
    const measures = ["--directional", "--hessian", "--dtype", "float64", "--seed", "4", "--sequence", "12"];
    const { code, stdout } = await command(["checkpoints", ...flags, ...options, ...optimizer, ...measures]);
    expect(code).toBe(0);
    const { checkpoints, failures } = JSON.parse(stdout);
    expect(failures).toEqual([]);
    expect(checkpoints.map((c: { name: string }) => c.name)).toEqual(["step5", "step2"]);
    for (const { directionalSharpness, preconditioned, accumulated } of checkpoints) {
      expect([directionalSharpness.count, preconditioned.count, accumulated]).toEqual([3, 3, 2]);
      expect(directionalSharpness.mean).toBeLessThan(preconditioned.mean);
    }
    const config = JSON.parse(readFileSync(place("listed/config.json"), "utf8"));
    expect(config).toMatchObject({
      data: { type: "jsonl", files: [text], template: "{text}\n", tokenizer: "bytes" },
      batch: { size: 2, sequence: 12, documents: "apart", sampling: "epochs" },
      optimizer: { type: "sgd", momentum: 0.5, weightDecay: 0.01 },
      weightDecay: false,
      dtype: "float64",
      seed: 4,
    });
  });

  it("takes token ids without a header", async () => {
    const ids = place("ids.npy");
    writeFileSync(ids, new Uint8Array(Uint32Array.from({ length: 400 }, (_, i) => i % 256).buffer));
    const args = [place("models/step1"), ...flags.slice(2), "--data", ids, "--out", place("ids")];
    const { code } = await command(["checkpoints", ...args, "--token-type", "uint32"]);
    expect(code).toBe(0);
    const untold = await command(["checkpoints", ...args, "--out", place("untold")]);
    expect(untold).toMatchObject({ code: 1, stderr: expect.stringContaining("uint32") });
  });

  it("ends with 1 when a checkpoint fails, and has measured the others", async () => {
    const own = await makeCheckpoints(place("broken"), 2);
    writeFileSync(path.join(own[0] as string, "model.safetensors"), "cut");
    const { code, stdout, stderr } = await command([
      ...["checkpoints", place("broken/step*"), ...flags, "--out", place("failed")],
    ]);
    expect(code).toBe(1);
    expect(stderr).toContain("step1 failed: Expected");
    expect(stdout).toMatch(/^step2 /m);
    expect(readFileSync(place("failed/report.html"), "utf8")).toContain("Failed");
  });

  it.each([
    [["checkpoints", "--data", "a.txt"], "--list FILE"],
    [["checkpoints", "a", "--list", "b", "--data", "a.txt"], "one of them"],
    [["checkpoints", "a"], "--data"],
    [
      [...["checkpoints", "models/step1", "--data", "a.txt"], "--momentum", "0.9"],
      "or sgd only but received it with adamw",
    ],
    [[...["checkpoints", "models/step1", "--data", "a.txt"], "--betas", "0.9"], "2 numbers"],
  ])("is used badly: %j", async (args, part) => {
    const { code, stderr } = await command(args.map((a) => (a.startsWith("models") ? place(a) : a)));
    expect(stderr).toContain(part);
    expect(code).toBe(2);
  });
});

/** How often the series is killed in all; `CRITICAL_SHARPNESS_KILLS=50` for as many as one likes. */
const kills = Number(process.env.CRITICAL_SHARPNESS_KILLS ?? 6);

it(`killed at ${kills} random moments and started again, it has the records of an uninterrupted one`, async () => {
  const generator = random("kills", kills);
  let killed = 0;
  for (let round = 0; killed < kills; round++) {
    const out = `killed ${round}`;
    for (;;) {
      const after = generator.uniform() * straight.milliseconds * 0.9;
      const args = series(out, "--per-kind", "--per-block");
      const { code, signal, stderr } = await (killed < kills
        ? command(args, undefined, after)
        : command(args));
      if (signal === "SIGKILL") killed++;
      else {
        expect([code, stderr]).toEqual([0, expect.not.stringContaining("error")]);
        break;
      }
    }
    expect(recordsOf(out)).toEqual(recordsOf("straight"));
    expect(existsSync(place(`${out}/report.html`))).toBe(true);
  }
}, 600_000);
