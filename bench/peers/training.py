"""Training steps and the paper's measurement in eager PyTorch, on request.

Arguments: model directory, file with a series of batches, number of threads, "fused" or "default" AdamW, a JSON object
with the optimizer's settings, and maybe "device" and "dtype" (as of autocast). Requests: {"command": "step", "batch": i} and
{"command": "measure", "batch": i} answer with the seconds they took, {"command": "matmul"} with the rate of matrix products in
that dtype. A measurement with "all": true is also made with the forward pass under torch.compile ("compiled") and by a power
iteration of the preconditioned Hessian ("power"), each with its own seconds; "step" is what the rest of the step took.
"""

import json
import sys
import time

import torch
from networks import Gpt2
from procedure import search
from safetensors.torch import load_file
from torch.nn.attention import SDPBackend, sdpa_kernel

directory, batches, threads, kind, settings = sys.argv[1:6]
torch.set_num_threads(int(threads))
settings = json.loads(settings)
device = torch.device(settings.get("device", "cpu"))
dtype = getattr(torch, settings.get("dtype", "float32"))
series = {name: tensor.to(device) for name, tensor in load_file(batches).items()}
model = Gpt2(directory).to(device)
parameters = list(model.parameters())
optimizer = torch.optim.AdamW(
    parameters,
    lr=settings["learningRate"],
    betas=tuple(settings["betas"]),
    weight_decay=settings["weightDecay"],
    fused=True if kind == "fused" else None,
)
etas = {"eager": settings["initialLearningRate"], "compiled": settings["initialLearningRate"]}
compiled_loss = torch.compile(model.loss)


def loss_of(ids, labels, loss=model.loss):
    with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
        return loss(ids, labels)


def now():
    """Seconds, once the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def matmul(rounds=20):
    """Operations a second of a large matrix product."""
    size = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    for _ in range(3):
        a @ b
    started = now()
    for _ in range(rounds):
        a @ b
    return 2 * size**3 * rounds / (now() - started)


def step(batch):
    """A training step as usual."""
    ids, labels = series["input_ids"][batch], series["labels"][batch]
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of(ids, labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def direction():
    """AdamW's next update over the learning rate, from a copy of its state and the gradients at hand."""
    beta1, beta2 = settings["betas"]
    delta = []
    for p in parameters:
        s = optimizer.state[p]
        t = s["step"].item() + 1
        m = beta1 * s["exp_avg"] + (1 - beta1) * p.grad
        v = beta2 * s["exp_avg_sq"] + (1 - beta2) * p.grad**2
        delta.append(m / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + 1e-8) + settings["weightDecay"] * p.detach())
    return delta


def measure(kind, loss, ids, labels, base):
    """From the last critical learning rate of this kind on."""
    started = now()
    etas[kind], passes = search(parameters, direction(), lambda: loss_of(ids, labels, loss), base, etas[kind])
    return {"seconds": now() - started, "eta": etas[kind], "passes": passes}


class Power:
    """The largest eigenvalue of P^(-1/2) H P^(-1/2) by four products a step, from where the step before ended: the warm-started
    power iteration with fewer than five products that arXiv 2606.16768 tracks curvature with."""

    products = 4

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.vector = [torch.randn(p.shape, generator=generator).to(device) for p in parameters]

    def scaling(self):
        beta1, beta2 = settings["betas"]
        scales = []
        for p in parameters:
            s = optimizer.state[p]
            t = s["step"].item() + 1
            v = beta2 * s["exp_avg_sq"] + (1 - beta2) * p.grad**2
            scales.append(((1 - beta1**t) * ((v / (1 - beta2**t)).sqrt() + 1e-8)).rsqrt())
        return scales

    def measure(self, ids, labels):
        started = now()
        scales = self.scaling()
        with sdpa_kernel(SDPBackend.MATH):  # flash attention has no second derivative
            gradients = torch.autograd.grad(loss_of(ids, labels), parameters, create_graph=True)
            for _ in range(self.products):
                norm = torch.sqrt(sum((v * v).sum() for v in self.vector))
                unit = [v / norm for v in self.vector]
                scaled = [s * v for s, v in zip(scales, unit)]
                product = torch.autograd.grad(gradients, parameters, scaled, retain_graph=True)
                self.vector = [s * h for s, h in zip(scales, product)]
                eigenvalue = sum((u * v).sum() for u, v in zip(unit, self.vector)).item()
        return {"seconds": now() - started, "eigenvalue": eigenvalue, "passes": self.products}


power = Power()


def measured_step(batch, everything):
    """A step whose measurements (Δ and search) are timed by themselves."""
    ids, labels = series["input_ids"][batch], series["labels"][batch]
    started = now()
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of(ids, labels)
    loss.backward()
    base = loss.item()
    del loss
    seconds = now() - started
    if not optimizer.state:  # the first step makes the state
        optimizer.step()
        return {"seconds": 0}
    found = measure("eager", model.loss, ids, labels, base)
    if everything:
        with torch.no_grad():
            own = loss_of(ids, labels, compiled_loss).item()  # its rounding is another
        found["compiled"] = measure("compiled", compiled_loss, ids, labels, own)
        found["power"] = power.measure(ids, labels)
    started = now()
    optimizer.step()
    found["step"] = seconds + now() - started
    return found


for line in sys.stdin:
    request = json.loads(line)
    if request["command"] == "step":
        started = now()
        loss = step(request["batch"])
        answer = {"seconds": now() - started, "loss": loss}
    elif request["command"] == "matmul":
        answer = {"rate": matmul()}
    else:
        answer = measured_step(request["batch"], request.get("all", False))
    print(json.dumps(answer), flush=True)
