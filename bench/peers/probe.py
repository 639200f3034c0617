"""A training of a GPT-2 of 10 M parameters that is probed, a request in JSON a line: what bench/probe.mjs asks."""
import json, os, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../examples/python"))
import torch
from critical_sharpness_probe import probe, update
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel

torch.manual_seed(0)
config = dict(vocab_size=8192, n_positions=256, n_embd=256, n_layer=10, n_head=8, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
model = GPT2LMHeadModel(GPT2Config(**config))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
rows, length = 8, 256
count = 0


def batch():
    # Text that there is something to learn of: each token follows from the one before it.
    ids = torch.randint(8192, (rows, length))
    ids[:, 1::2] = (3 * ids[:, ::2] + 1) % 8192
    return {"input_ids": ids, "labels": ids}


def step(folder=None, learning_rate=1e-3):
    """Seconds of a step, and of the probe before its update."""
    global count
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    given, spent = batch(), 0.0
    started = time.perf_counter()
    optimizer.zero_grad()
    model(**given).loss.backward()
    if folder:
        began = time.perf_counter()
        probe(folder, count, model, optimizer, given)
        spent = time.perf_counter() - began
    optimizer.step()
    count += 1
    return {"seconds": time.perf_counter() - started - spent, "probe": spent}


def precision(folder, learning_rate):
    """The probe's Δ beside (θ − θ') / η of the step that follows: writes the latter's file too, tells how far they are apart."""
    before, delta = {}, {}

    def watch(*_):
        before.update({name: p.detach().clone() for name, p in model.named_parameters()})
        found = update(optimizer, learning_rate)
        delta.update({name: found[p] for name, p in model.named_parameters()})

    hook = optimizer.register_step_pre_hook(watch)
    step(folder, learning_rate)
    hook.remove()
    difference = {name: (before[name] - p.detach()) / learning_rate for name, p in model.named_parameters()}
    place = os.path.join(folder, f"step-{count - 1:06d}")
    save_file(difference, os.path.join(place, "difference.safetensors"))
    norm = lambda tensors: sum(x.double().square().sum() for x in tensors).sqrt().item()
    apart = norm([difference[name] - delta[name] for name in delta]) / norm(delta.values())
    return {"place": place, "apart": apart}


for line in sys.stdin:
    request = json.loads(line)
    torch.set_num_threads(request.get("threads", torch.get_num_threads()))
    if request["command"] == "step":
        answer = step(request.get("folder"))
    elif request["command"] == "precision":
        answer = precision(request["folder"], request["learningRate"])
    else:
        answer = {"parameters": sum(p.numel() for p in model.parameters()), "tokens": rows * length}
    print(json.dumps(answer), flush=True)
