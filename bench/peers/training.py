"""Training steps and the paper's measurement in eager PyTorch, on request.

Arguments: model directory, file with a series of batches, number of threads, "fused" or "default" AdamW, a JSON object
with the optimizer's settings, and maybe "device" and "dtype" (as of autocast). Requests: {"command": "step", "batch": i} and
{"command": "measure", "batch": i} answer with the seconds they took, {"command": "matmul"} with the rate of matrix products in
that dtype.
"""

import json
import sys
import time

import torch
from networks import Gpt2
from procedure import search
from safetensors.torch import load_file

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
state = {"eta": settings["initialLearningRate"], "batch": 0}


def loss_of(ids, labels):
    with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
        return model.loss(ids, labels)


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


def measure(delta, ids, labels, base):
    """From the last critical learning rate on."""
    state["eta"], passes = search(parameters, delta, lambda: loss_of(ids, labels), base, state["eta"])
    return state["eta"], passes


def measured_step(batch):
    """A step whose measurement is timed by itself: gradient, Δ, search, update."""
    ids, labels = series["input_ids"][batch], series["labels"][batch]
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of(ids, labels)
    loss.backward()
    if not optimizer.state:  # the first step makes the state
        optimizer.step()
        return {"seconds": 0}
    base = loss.item()
    started = now()
    eta, passes = measure(direction(), ids, labels, base)
    seconds = now() - started
    optimizer.step()
    return {"seconds": seconds, "eta": eta, "passes": passes}


for line in sys.stdin:
    request = json.loads(line)
    if request["command"] == "step":
        started = now()
        loss = step(request["batch"])
        answer = {"seconds": now() - started, "loss": loss}
    elif request["command"] == "matmul":
        answer = {"rate": matmul()}
    else:
        answer = measured_step(request["batch"])
    print(json.dumps(answer), flush=True)
