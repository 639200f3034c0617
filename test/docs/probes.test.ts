import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { oraclePython } from "../oracle.js";
import { openPage, root } from "./page.js";

const { text, folder, blocks, run, checkLinks } = openPage("probes");
const module = path.join(root, "examples/python/critical_sharpness_probe.py");

/** Runs a script of the page in a folder of its own, beside the module as the page says. */
function python(name: string, script: string): string {
  const place = path.join(folder, name);
  mkdirSync(place, { recursive: true });
  copyFileSync(module, path.join(place, "critical_sharpness_probe.py"));
  writeFileSync(path.join(place, "train.py"), script);
  const options = { cwd: place, stdio: "pipe", env: { ...process.env, OMP_NUM_THREADS: "1" } } as const;
  execFileSync(oraclePython as string, ["train.py"], options);
  return place;
}

const model = `
import torch
from transformers import LlamaConfig, LlamaForCausalLM
model = LlamaForCausalLM(LlamaConfig(vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1))
ids = torch.randint(8, (2, 6))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
batches = [{"input_ids": ids, "labels": ids}] * 3
`;

describe("the page on probes", () => {
  it("names a module of 60 lines at most", () => {
    expect(readFileSync(module, "utf8").trimEnd().split("\n").length).toBeLessThanOrEqual(60);
  });

  it("links to what is there, and names flags that there are", () => {
    checkLinks();
    const help = run("critical-sharpness watch-probes --help") + run("critical-sharpness measure --help");
    for (const [flag] of text.matchAll(/--[a-z][a-z-]+/g)) expect(help, flag).toContain(flag);
  });

  describe.skipIf(!oraclePython)("with PyTorch", () => {
    const [trainer, loop] = blocks("python") as [string, string];
    let place: string;
    beforeAll(() => {
      const short = {
        "max_steps=300": "max_steps=6",
        "warmup_steps=30": "warmup_steps=1",
        "every=5": "every=2",
      };
      let script = trainer.replace("2_000_000", "20_000");
      for (const [long, brief] of Object.entries(short)) {
        expect(script).toContain(long);
        script = script.replace(long, brief);
      }
      place = python("trainer", script);
    }, 300_000);

    it("trains with the callback, and measures what it wrote", () => {
      expect(readdirSync(path.join(place, "probes")).sort()).toEqual(["step-000002", "step-000004"]);
      const [measure] = blocks("sh") as [string];
      const out = run(
        `${measure.trim()} --once`
          .replace(" probes ", ` '${place}/probes' `)
          .replace("runs/probed", `'${place}/runs/probed'`),
      );
      expect(out).toMatch(/^[0-2] of 2 probed steps above 2\/η$/m);
      expect(existsSync(path.join(place, "runs/probed/report.png"))).toBe(true);
    });

    it("probes a loop of one's own", () => {
      const own = python("loop", model + loop);
      const out = run(`critical-sharpness watch-probes '${own}/probes' --once --out '${own}/run'`);
      expect(out).toMatch(/^[01] of 1 probed steps above 2\/η$/m);
    }, 300_000);
  });
});
