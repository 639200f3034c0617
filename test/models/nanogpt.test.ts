import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findCheckpoints, measureCheckpoints } from "../../lib/experiments/index.js";
import { Batch, loadModel, loadOptimizer } from "../../lib/index.js";
import { oraclePython, runOracle } from "../oracle.js";

/** A GPT with the names and settings that a checkpoint of nanoGPT's has, trained two steps; its loss and gradient in float64. */
const script = `
import json, math, sys
import torch
from torch import nn
from torch.nn import functional as F
given = json.load(sys.stdin)

class Norm(nn.Module):
    def __init__(self, width, bias):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width) + 0.5)
        self.bias = nn.Parameter(torch.randn(width) / 8) if bias else None
    def forward(self, x): return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, 1e-5)

class Attention(nn.Module):
    def __init__(self, width, heads, bias):
        super().__init__()
        self.heads, self.c_attn, self.c_proj = heads, nn.Linear(width, 3 * width, bias=bias), nn.Linear(width, width, bias=bias)
    def forward(self, x):
        b, t, w = x.shape
        q, k, v = (p.view(b, t, self.heads, -1).transpose(1, 2) for p in self.c_attn(x).split(w, 2))
        scores = (q @ k.transpose(2, 3)) / math.sqrt(q.shape[-1])
        scores = scores.masked_fill(torch.ones(t, t, dtype=torch.bool).triu(1), -math.inf)
        return self.c_proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, w))

class Mlp(nn.Module):
    def __init__(self, width, bias):
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(width, 4 * width, bias=bias), nn.Linear(4 * width, width, bias=bias)
    def forward(self, x): return self.c_proj(F.gelu(self.c_fc(x)))

class Block(nn.Module):
    def __init__(self, width, heads, bias):
        super().__init__()
        self.ln_1, self.attn, self.ln_2, self.mlp = Norm(width, bias), Attention(width, heads, bias), Norm(width, bias), Mlp(width, bias)
    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))

class Gpt(nn.Module):
    def __init__(self, n_layer, n_head, n_embd, block_size, bias, vocab_size, dropout):
        super().__init__()
        self.transformer = nn.ModuleDict(dict(wte=nn.Embedding(vocab_size, n_embd), wpe=nn.Embedding(block_size, n_embd),
            h=nn.ModuleList([Block(n_embd, n_head, bias) for _ in range(n_layer)]), ln_f=Norm(n_embd, bias)))
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)
        self.transformer.wte.weight = self.lm_head.weight
    def forward(self, ids, labels):
        t = self.transformer
        x = t.wte(ids) + t.wpe(torch.arange(ids.shape[1]))
        for block in t.h: x = block(x)
        return F.cross_entropy(self.lm_head(t.ln_f(x)).flatten(0, 1), labels.flatten())

torch.manual_seed(3)
model = Gpt(**given["settings"])
ids, labels = (torch.tensor(given[k]).view(2, -1) for k in ("ids", "labels"))
own = dict(model.named_parameters())
groups = [{"params": [p for p in own.values() if p.dim() >= 2], "weight_decay": 0.1}, {"params": [p for p in own.values() if p.dim() < 2], "weight_decay": 0.0}]
optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95))
for step in (1, 2):
    optimizer.zero_grad()
    model(ids, labels).backward()
    optimizer.step()
    torch.save({"model": {"_orig_mod." + n: w for n, w in model.state_dict().items()}, "optimizer": optimizer.state_dict(),
                "model_args": given["settings"], "iter_num": step, "best_val_loss": torch.tensor(1.0), "config": {}}, given["folder"] + f"/ckpt_{step}.pt")
model = model.double()
loss = model(ids, labels)
gradient = torch.autograd.grad(loss, list(model.parameters()))
moment = sum(s["exp_avg"].double().square().sum().item() for s in optimizer.state.values())
json.dump({"loss": loss.item(), "norm": math.sqrt(sum(g.square().sum().item() for g in gradient)), "moment": math.sqrt(moment)}, sys.stdout)
`;

describe.skipIf(!oraclePython)("checkpoints of nanoGPT's", { timeout: 300_000 }, () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), "nanogpt-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const ids = Array.from({ length: 18 }, (_, i) => (i * 7 + 3) % 19);
  const labels = Array.from({ length: 18 }, (_, i) => (i * 5 + 1) % 19);

  test.each([true, false])("loss, gradient and moments are PyTorch's, biases: %s", async (bias) => {
    const settings = {
      n_layer: 2,
      n_head: 2,
      n_embd: 8,
      block_size: 12,
      bias,
      vocab_size: 256,
      dropout: 0.1,
    };
    const known = runOracle<{ loss: number; norm: number }>(script, { settings, ids, labels, folder });
    const file = path.join(folder, "ckpt_2.pt");
    using model = await loadModel(file);
    using batch = Batch.tokens({ inputIds: ids, labels, shape: [2, 9] });
    const { loss, gradient } = await model.gradient(batch);
    expect(Math.abs(loss / known.loss - 1)).toBeLessThan(1e-6);
    expect(Math.abs((await gradient.norm()) / known.norm - 1)).toBeLessThan(1e-5);
    gradient.dispose();
    using optimizer = await loadOptimizer(file, model);
    expect([optimizer.kind, optimizer.steps, optimizer.learningRate]).toEqual(["adamw", 2, 1e-3]);

    await model.save(path.join(folder, "saved"));
    using again = await loadModel(path.join(folder, "saved"));
    expect(await again.digest()).toBe(await model.digest());
  });

  test("a series of them has the moments that the run had", async () => {
    const found = await measureCheckpoints(
      {
        data: { type: "state-of-the-union", tokenizer: "bytes" },
        ...{ batch: { size: 2, sequence: 8 }, measure: 2 },
      },
      {
        directory: path.join(folder, "series"),
        checkpoints: await findCheckpoints([path.join(folder, "ckpt_*.pt")]),
      },
    );
    expect(found.failures).toEqual([]);
    expect(
      found.checkpoints.map((one) => [one.step, one.direction, one.learningRate, one.optimizerState]),
    ).toEqual([
      [1, "stored", 1e-3, "ckpt_1.pt"],
      [2, "stored", 1e-3, "ckpt_2.pt"],
    ]);
  });
});
