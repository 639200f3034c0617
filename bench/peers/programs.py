"""Losses, gradients and the paper's measurement in eager PyTorch and by torch.compile, on request.

Argument: the folder that "export" writes programs and batches to. Requests name the network; all times come as
{"seconds": by the clock, "cpu": of the process}, of `repeat` calls together:

{"command": "export"}                       NAME.pt2 by torch.export.save and NAME.safetensors, the batch
{"command": "threads", "threads": n}
{"command": "loss" or "gradient"}           with its value; "compiled": true for the module that "compile" made
{"command": "compile", "limit": seconds}    both, compiled in that time or not: {"compiled": whether}
{"command": "sharpness", "eta": η}          the paper's search from there on, along a gradient that is not timed
{"command": "step", "eta": η}               along that gradient
{"command": "peak"}                         of resident memory during a gradient, beyond what the process had before it, in bytes
"""

import json
import os
import pathlib
import signal
import sys
import time
import warnings

import torch
from procedure import search
from program_networks import network
from safetensors.torch import save_file

warnings.filterwarnings("ignore")
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
sys.modules["torchvision"] = None  # pyhessian brings one that need not fit this PyTorch, and transformers would import it
folder = pathlib.Path(sys.argv[1])
opened = {}


class Network:
    def __init__(self, name):
        self.module, self.batch = network(name)
        self.parameters = list(self.module.parameters())
        self.compiled = None

    def module_of(self, request):
        return self.compiled if request.get("compiled") else self.module

    @torch.no_grad()
    def loss(self, module):
        return module(**self.batch).item()

    def gradient(self, module):
        for p in self.parameters:
            p.grad = None
        loss = module(**self.batch)
        loss.backward()
        return loss.item()


def export(name):
    # From a copy: exporting leaves traces in the module.
    module, batch = network(name)
    dynamic = {argument: {0: torch.export.Dim.AUTO} for argument in batch}
    program = torch.export.export(module, (), batch, dynamic_shapes=dynamic, strict=False)
    torch.export.save(program, folder / f"{name}.pt2")
    save_file(batch, folder / f"{name}.safetensors")
    return {}


def timed(call, repeat=1):
    started, cpu = time.perf_counter(), time.process_time()
    for _ in range(repeat):
        value = call()
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu, "value": value}


def compile_within(one, limit):
    def stop(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(int(limit))
    try:
        one.compiled = torch.compile(one.module)
        one.loss(one.compiled)
        one.gradient(one.compiled)
        return {"compiled": True}
    except Exception as error:  # whatever PyTorch makes of the time-out, or cannot compile
        late = "TimeoutError" in f"{type(error).__name__}: {error}"
        return {"compiled": False, "why": f"not within {limit} s" if late else f"{error}".split("\n")[0][:200]}
    finally:
        signal.alarm(0)


def sharpness(one, eta):
    base = one.gradient(one.module)
    delta = [p.grad for p in one.parameters]
    answer = timed(lambda: search(one.parameters, delta, lambda: one.module(**one.batch), base, eta))
    answer["eta"], answer["passes"] = answer.pop("value")
    return answer


@torch.no_grad()
def step(one, eta):
    for p in one.parameters:
        p.add_(p.grad, alpha=-eta)


def resident(field):
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) * 1024


def peak(one):
    for _ in range(2):
        one.gradient(one.module)
        for p in one.parameters:
            p.grad = None
    before = resident("VmRSS")
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    one.gradient(one.module)
    return {"bytes": resident("VmHWM") - before}


def answer(request):
    command = request["command"]
    if command == "threads":
        return torch.set_num_threads(request["threads"])
    name = request["network"]
    if command == "export":
        return export(name)
    if name not in opened:
        opened[name] = Network(name)
    one = opened[name]
    if command == "compile":
        return compile_within(one, request["limit"])
    if command == "sharpness":
        return sharpness(one, request["eta"])
    if command == "step":
        return step(one, request["eta"])
    if command == "peak":
        return peak(one)
    call = getattr(one, command)
    return timed(lambda: call(one.module_of(request)), request.get("repeat", 1))


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
