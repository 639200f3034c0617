import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadModel } from "../../lib/index.js";
import { oraclePython } from "../oracle.js";

const cases = path.join(import.meta.dirname, "families/cases");

/** The same weights as torch.save has them: whole, in shards, within what a program saved, with strides, and distributed. */
const script = `
import json, sys
from pathlib import Path
import torch, torch.distributed.checkpoint as dcp
from safetensors.torch import load_file
out, case = Path(sys.argv[1]), Path(sys.argv[2])
weights = load_file(case / "model.safetensors")
def folder(name):
    (out / name).mkdir()
    (out / name / "config.json").write_text((case / "config.json").read_text())
    return out / name
torch.save(weights, folder("whole") / "pytorch_model.bin")
tied = dict(weights)
tied["lm_head.weight"] = tied["transformer.wte.weight"]
torch.save(tied, folder("tied") / "pytorch_model.bin")
shards, names = folder("shards"), sorted(weights)
parts = {"pytorch_model-00001-of-00002.bin": names[::2], "pytorch_model-00002-of-00002.bin": names[1::2]}
for file, own in parts.items():
    torch.save({n: weights[n] for n in own}, shards / file)
(shards / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": {n: f for f, own in parts.items() for n in own}}))
torch.save({"model": weights, "optimizer": {"state": {}, "param_groups": []}, "step": 3}, folder("within") / "pytorch_model.bin")
torch.save({n: w.t().contiguous().t() if w.dim() == 2 else w for n, w in weights.items()}, folder("strides") / "pytorch_model.bin")
dcp.save({"model": weights}, checkpoint_id=str(folder("distributed")))
`;

describe.skipIf(!oraclePython)("weights of torch.save", { timeout: 300_000 }, () => {
  let folder: string;
  const source = path.join(cases, "gpt2");
  beforeAll(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), "weights-"));
    execFileSync(oraclePython as string, ["-c", script, folder, source], { stdio: "ignore" });
  }, 300_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(["whole", "tied", "shards", "within", "strides", "distributed"])(
    "%s: the same bits",
    async (name) => {
      using own = await loadModel(source);
      using found = await loadModel(path.join(folder, name));
      expect(await found.digest()).toBe(await own.digest());
    },
  );
});
