"""GPT-2 and multilayer perceptrons in plain PyTorch, from a model directory: what a PyTorch user would write."""

import json
import os

import torch
import torch.nn.functional as F
from safetensors.torch import load_file


class Block(torch.nn.Module):
    def __init__(self, width, heads, inner, epsilon):
        super().__init__()
        self.heads = heads
        self.ln_1 = torch.nn.LayerNorm(width, eps=epsilon)
        self.ln_2 = torch.nn.LayerNorm(width, eps=epsilon)
        self.c_attn = torch.nn.Linear(width, 3 * width)
        self.c_proj = torch.nn.Linear(width, width)
        self.fc = torch.nn.Linear(width, inner)
        self.proj = torch.nn.Linear(inner, width)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = self.c_attn(self.ln_1(x)).split(width, dim=2)
        q, k, v = (t.view(batch, length, self.heads, -1).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(y.transpose(1, 2).reshape(batch, length, width))
        return x + self.proj(F.gelu(self.fc(self.ln_2(x)), approximate="tanh"))


class Gpt2(torch.nn.Module):
    def __init__(self, directory):
        super().__init__()
        config = json.load(open(os.path.join(directory, "config.json")))
        width, epsilon = config["n_embd"], config["layer_norm_epsilon"]
        inner = config["n_inner"] or 4 * width
        self.wte = torch.nn.Embedding(config["vocab_size"], width)
        self.wpe = torch.nn.Embedding(config["n_positions"], width)
        self.blocks = torch.nn.ModuleList(
            Block(width, config["n_head"], inner, epsilon) for _ in range(config["n_layer"])
        )
        self.ln_f = torch.nn.LayerNorm(width, eps=epsilon)
        self.load(load_file(os.path.join(directory, "model.safetensors")))

    def load(self, stored):
        t = {name.removeprefix("transformer."): value for name, value in stored.items()}
        with torch.no_grad():
            self.wte.weight.copy_(t["wte.weight"])
            self.wpe.weight.copy_(t["wpe.weight"])
            for name in ("weight", "bias"):
                getattr(self.ln_f, name).copy_(t[f"ln_f.{name}"])
            places = {"c_attn": "attn.c_attn", "c_proj": "attn.c_proj", "fc": "mlp.c_fc", "proj": "mlp.c_proj"}
            for n, block in enumerate(self.blocks):
                for ours, theirs in places.items():
                    linear = getattr(block, ours)
                    linear.weight.copy_(t[f"h.{n}.{theirs}.weight"].T)
                    linear.bias.copy_(t[f"h.{n}.{theirs}.bias"])
                for norm in ("ln_1", "ln_2"):
                    for name in ("weight", "bias"):
                        getattr(getattr(block, norm), name).copy_(t[f"h.{n}.{norm}.{name}"])

    def forward(self, ids):
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        return self.ln_f(x) @ self.wte.weight.T

    def loss(self, ids, labels):
        return F.cross_entropy(self(ids).flatten(0, 1), labels.flatten())


def mlp(config, stored):
    """Linear layers with GELU between them."""
    sizes = config["layer_sizes"]
    layers = []
    for n, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
        linear = torch.nn.Linear(inputs, outputs)
        with torch.no_grad():
            linear.weight.copy_(stored[f"layers.{n}.weight"])
            linear.bias.copy_(stored[f"layers.{n}.bias"])
        layers += [linear, torch.nn.GELU()]
    return torch.nn.Sequential(*layers[:-1])


def load_network(directory, batch):
    """The network of a directory, and its inputs and labels from a batch file."""
    config = json.load(open(os.path.join(directory, "config.json")))
    if config["model_type"] == "mlp":
        stored = load_file(os.path.join(directory, "model.safetensors"))
        return mlp(config, stored), batch["inputs"], batch["targets"]
    return Gpt2(directory), batch["input_ids"], batch["labels"]
