import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { oraclePython } from "../oracle.js";
import { openPage, root } from "./page.js";

const { text, folder, node, blocks, run, checkLinks } = openPage("edge");
const place = (...names: string[]) => path.join(folder, ...names);

describe("the page on the edge of stability", () => {
  it("links to what is there, and names flags that there are", () => {
    checkLinks();
    const own = text.replace(/`python -m [^`]*`/g, "");
    const help = run("critical-sharpness checkpoints --help");
    for (const [flag] of own.matchAll(/--[a-z][a-z-]+/g)) expect(help, flag).toContain(flag);
  });

  it("names the optimizers whose states are refused", () => {
    const file = path.join(root, "lib/optimizers/stored/stored-rule.ts");
    const known = [...readFileSync(file, "utf8").matchAll(/^ {2}\[\/.*\/, "(.*)"\],$/gm)];
    expect(known.length).toBeGreaterThan(5);
    // The last word of each: "an 8-bit optimizer of bitsandbytes".
    for (const name of known.flatMap(([, names = ""]) => names.split(" or ")))
      expect(text).toContain(name.split(" ").at(-1));
  });

  describe.skipIf(!oraclePython)("on a run of transformers' Trainer", { timeout: 600_000 }, () => {
    const [measure = ""] = blocks("sh");
    /** As the page has it, but for the run's data, which are token ids of 24 a row. */
    const command = measure
      .trim()
      .replace(" --template '{question}\\n{answer}' --sequence 128", " --tokenizer bytes --sequence 23");
    beforeAll(() => {
      const script = path.join(root, "test/experiments/make_trainer_run.py");
      execFileSync(oraclePython as string, [script, folder], { stdio: "ignore" });
      renameSync(place("run"), place("output_dir"));
      renameSync(place("text.jsonl"), place("train.jsonl"));
    }, 600_000);

    it("the command compares λc with 2/η, as it says", () => {
      expect(command).toContain("--sequence 23");
      const out = run(command);
      expect(out).toMatch(/^checkpoint +λc +± s\.e\. .*η +λc·η\/2$/m);
      expect(out).toMatch(/^\d of 2 checkpoints above 2\/η.*; at 1 the learning rate was 0$/m);
      for (const file of ["report.html", "metrics.csv", "figures/critical-sharpness.png"])
        expect(existsSync(place("edge", file)), file).toBe(true);
      const [names = "", first = ""] = readFileSync(place("edge/metrics.csv"), "utf8").split("\n");
      const value = (name: string) => Number(first.split(",")[names.split(",").indexOf(name)]);
      expect(value("overThreshold") / ((value("criticalSharpness") * value("learningRate")) / 2)).toBeCloseTo(
        1,
      );
    });

    it("a folder in which one checkpoint has no state is refused, unless it is asked for", () => {
      const file = place("output_dir/checkpoint-20/optimizer.pt");
      renameSync(file, `${file}.away`);
      try {
        const other = command.replace("--out edge", "--out accumulated");
        expect(() => run(other)).toThrow(/1 of 3 without \(checkpoint-20\).*--optimizer-state none/);
        expect(run(`${other} --optimizer-state none --accumulate 2 --measure 2`)).toContain(
          "accumulated/report",
        );
      } finally {
        renameSync(`${file}.away`, file);
      }
    });

    it("the names of the parameters lead to the optimizer in code", () => {
      writeFileSync(place("example.mjs"), blocks("js")[0] as string);
      const [rate, steps] = node([place("example.mjs")])
        .trim()
        .split(" ")
        .map(Number);
      const expected = JSON.parse(readFileSync(place("expected.json"), "utf8")).run["20"];
      expect(rate).toBe(expected.learningRate);
      expect(steps).toBe(20);
    });
  });
});
