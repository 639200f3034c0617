"""
Writes golden.json: what PyTorch finds in float64 on dense matrices of second derivatives, for some of the golden cases of
test/golden (their last batch, their vectors). Same environment as test/golden/make_golden.py:

    .venv/bin/python test/curvature/make_golden.py

For each case, of A = H, P^(−½)HP^(−½) and the Gauss–Newton matrix JᵀH_out·J (P: the stored preconditioner):
    largest, smallest   three eigenvalues each, in descending order
    trace               of A
    weights             cᵢ² of the three largest, cᵢ = g̃·uᵢ over ‖g̃‖, g̃ = g or P^(−½)g
and for Δ = gradient and Δ = adamw: directional = ΔᵀHΔ/(∇L·Δ) and slope = ∇L·Δ.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden"
sys.path.insert(0, str(GOLDEN))
from networks import network  # noqa: E402

CASES = ["mlp-wide-gelu-cross-entropy", "mlp-deep-tanh-mse", "mlp-deep-relu-mse", "mlp-linear-mse", "gpt2-tied", "gpt2-untied"]


def flat(tensors):
    return torch.cat([t.reshape(-1) for t in tensors])


def rows_of_jacobian(outputs, leaves):
    rows = []
    for output in outputs:
        grads = torch.autograd.grad(output, leaves, retain_graph=True, allow_unused=True)
        rows.append(flat([torch.zeros_like(p) if g is None else g for g, p in zip(grads, leaves)]))
    return torch.stack(rows)


def outputs_and_targets(net, config, parameters, batch):
    """The network's outputs, row by row, and the targets of the rows that count."""
    if config["model_type"] == "gpt2":
        logits = torch.func.functional_call(net.module, parameters, (batch["input_ids"],)).logits.flatten(0, 1)
        labels = batch["labels"].flatten()
        return logits[labels != -100], labels[labels != -100]
    x = batch["inputs"].double()
    for n in range(len(net.sizes) - 1):
        x = F.linear(x, parameters[f"layers.{n}.weight"], parameters[f"layers.{n}.bias"])
        if n < len(net.sizes) - 2:
            x = net.activation(x)
    return x, batch["targets"]


def gauss_newton(net, config, parameters, batch):
    leaves = list(parameters.values())
    outputs, targets = outputs_and_targets(net, config, parameters, batch)
    total = torch.zeros([sum(p.numel() for p in leaves)] * 2, dtype=torch.float64)
    for row in outputs:
        jacobian = rows_of_jacobian(row, leaves)
        if config.get("loss") == "mse":
            middle = 2 * torch.eye(len(row), dtype=torch.float64) / targets.numel()
        else:
            p = row.detach().softmax(0)
            middle = (p.diag() - p.outer(p)) / len(targets)
        total += jacobian.T @ middle @ jacobian
    return total


def spectrum(matrix, gradient):
    values, vectors = torch.linalg.eigh(matrix)
    along = (vectors[:, -3:].T @ (gradient / gradient.norm())).square()
    return {
        "largest": values[-3:].flip(0).tolist(),
        "smallest": values[:3].flip(0).tolist(),
        "trace": matrix.trace().item(),
        "weights": along.flip(0).tolist(),
    }


def make(name):
    folder = GOLDEN / "cases" / name
    config = json.loads((folder / "config.json").read_text())
    net = network(config)
    parameters = {n: p.double().requires_grad_(True) for n, p in load_file(folder / "model.safetensors").items()}
    parameters = {n: parameters[n] for n in net.shapes()}
    batch = {key: value[-1] for key, value in load_file(folder / "batches.safetensors").items()}
    stored = load_file(folder / "vectors.safetensors")
    vector = lambda which: flat([stored[f"{which}/{n}"] for n in parameters])

    leaves = list(parameters.values())
    gradient = flat(torch.autograd.grad(net.loss(parameters, batch), leaves, create_graph=True))
    hessian = rows_of_jacobian(gradient, leaves)
    hessian = (hessian + hessian.T) / 2
    gradient = gradient.detach()
    scale = vector("preconditioner").rsqrt()
    case = {
        "hessian": spectrum(hessian, gradient),
        "preconditioned": spectrum(scale[:, None] * hessian * scale, scale * gradient),
        "gaussNewton": spectrum(gauss_newton(net, config, parameters, batch), gradient),
    }
    for along in ("gradient.2", "adamw"):
        delta = vector(along)
        slope = gradient @ delta
        case[along.split(".")[0]] = {"slope": slope.item(), "directional": ((delta @ hessian @ delta) / slope).item()}
    return case


if __name__ == "__main__":
    torch.set_num_threads(1)
    golden = {"torch": torch.__version__, "cases": {}}
    for name in CASES:
        golden["cases"][name] = make(name)
        print(name, golden["cases"][name]["hessian"]["largest"], flush=True)
    (HERE / "golden.json").write_text(json.dumps(golden, indent=2) + "\n")
