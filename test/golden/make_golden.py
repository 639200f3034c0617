"""
Writes the golden values: losses, gradients, update directions and critical learning rates in float64 by PyTorch.

    python3 -m venv .venv && .venv/bin/pip install -r test/golden/requirements.txt
    .venv/bin/python test/golden/make_golden.py

PyTorch's CPU build will do; about a minute on one core. The same versions write the same bytes on the same kind of CPU.

For each case a folder cases/<name>/ with
    config.json, model.safetensors   the model. Weights are float32 numbers, so that float32 and float64 start alike
    batches.safetensors              a series of three batches
    vectors.safetensors              float64 "<vector>/<parameter>": gradient.0 … gradient.2 of each batch; sgd, momentum,
                                     nesterov, adamw, adamw-without-decay, preconditioner after these three gradients
and golden.json with each case's losses and, along the last gradient and along AdamW's Δ, the last batch's line.
"""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import save_file

from networks import loss_and_gradient, network
from scan import critical_learning_rate
from updates import SETTINGS, updates

HERE = Path(__file__).parent
SERIES = 3


def mlp(sizes, activation, loss, rows):
    config = {"model_type": "mlp", "layer_sizes": sizes, "activation": activation, "loss": loss}
    return config, [rows]


def gpt2(rows, sequence, **settings):
    config = {"model_type": "gpt2", "vocab_size": 23, "n_positions": 12, "n_embd": 12, "n_layer": 2, "n_head": 3}
    return config | settings, [rows, sequence]


CASES = {
    **{
        f"mlp-{shape}-{activation}-{loss.replace('_', '-')}": mlp(sizes, activation, loss, rows)
        for shape, sizes, rows in (("wide", [5, 24, 3], 16), ("deep", [7, 9, 8, 6, 4], 11))
        for activation in ("gelu", "relu", "tanh")
        for loss in ("mse", "cross_entropy")
    },
    "mlp-linear-mse": mlp([6, 2], "relu", "mse", 9),
    "gpt2-tied": gpt2(4, 9, n_inner=None, activation_function="gelu_new", layer_norm_epsilon=1e-5, tie_word_embeddings=True),
    "gpt2-untied": gpt2(3, 12, n_inner=20, activation_function="gelu", layer_norm_epsilon=1e-4, tie_word_embeddings=False),
}


def draw_parameters(shapes, generator):
    """Larger than a usual initialisation, so that nothing is nearly linear; norms near 1, biases near 0."""
    parameters = {}
    for name, shape in shapes.items():
        drawn = torch.randn(shape, generator=generator)
        if len(shape) == 1:
            parameters[name] = (".ln_" in name and name.endswith("weight")) + 0.1 * drawn
        else:
            transformer = name.startswith("transformer.") or name.startswith("lm_head")
            parameters[name] = drawn * (0.3 if transformer else 1.2 / math.sqrt(shape[1]))
    return parameters


def draw_batches(config, shape, generator):
    if config["model_type"] == "gpt2":
        tokens = torch.randint(config["vocab_size"], [SERIES, shape[0], shape[1] + 1], generator=generator)
        labels = tokens[:, :, 1:].clone()
        labels[torch.rand(labels.shape, generator=generator) < 0.25] = -100
        labels[0, 0] = -100  # a row in which nothing counts
        return {"input_ids": tokens[:, :, :-1].contiguous(), "labels": labels}
    sizes = config["layer_sizes"]
    inputs = torch.randn([SERIES, shape[0], sizes[0]], generator=generator)
    if config["loss"] == "mse":
        targets = torch.randn([SERIES, shape[0], sizes[-1]], generator=generator)
    else:
        targets = torch.randint(sizes[-1], [SERIES, shape[0]], generator=generator)
    return {"inputs": inputs, "targets": targets}


def make(name, config, shape, seed):
    generator = torch.Generator().manual_seed(seed)
    net = network(config)
    stored = draw_parameters(net.shapes(), generator)
    series = draw_batches(config, shape, generator)
    parameters = {n: p.double() for n, p in stored.items()}
    batches = [{key: value[i] for key, value in series.items()} for i in range(SERIES)]
    losses, gradients = zip(*(loss_and_gradient(net, parameters, batch) for batch in batches))
    vectors = updates(parameters, gradients)
    lines = {
        along: critical_learning_rate(net, parameters, batches[-1], direction, gradients[-1])
        for along, direction in (("gradient", gradients[-1]), ("adamw", vectors["adamw"]))
    }
    vectors |= {f"gradient.{i}": g for i, g in enumerate(gradients)}

    folder = HERE / "cases" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    save_file(series, folder / "batches.safetensors")
    flat = {f"{vector}/{n}": t.contiguous() for vector, tensors in vectors.items() for n, t in tensors.items()}
    save_file(flat, folder / "vectors.safetensors")
    return {"losses": losses, "lines": lines}


if __name__ == "__main__":
    torch.set_num_threads(1)
    golden = {"torch": torch.__version__, "optimizers": SETTINGS, "cases": {}}
    for seed, (name, (config, shape)) in enumerate(CASES.items(), start=1):
        golden["cases"][name] = case = make(name, config, shape, seed)
        print(name, {along: line["criticalLearningRate"] for along, line in case["lines"].items()}, flush=True)
    (HERE / "golden.json").write_text(json.dumps(golden, indent=2) + "\n")
