"""A training of a GPT-2 of 10 M parameters that is probed, a request in JSON a line: what bench/probe.mjs asks."""
import json, os, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../examples/python"))
import torch
from critical_sharpness_probe import probe, update
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
    """Seconds of a step, and of the probe before its update; by the clock and of the processor."""
    global count
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    given, now = batch(), lambda: (time.perf_counter(), time.process_time())
    times = [now()]
    optimizer.zero_grad()
    model(**given).loss.backward()
    times.append(now())
    if folder:
        probe(folder, count, model, optimizer, given)
    times.append(now())
    optimizer.step()
    times.append(now())
    count += 1
    wall, cpu = ([after[i] - before[i] for before, after in zip(times, times[1:])] for i in (0, 1))
    return {"step": wall[0] + wall[2], "probe": wall[1], "stepOfProcessor": cpu[0] + cpu[2], "probeOfProcessor": cpu[1]}


def precision(learning_rate):
    """How far (θ − θ') / η of a step is from the Δ that its probe would have."""
    before, delta = {}, {}

    def watch(*_):
        before.update({name: p.detach().clone() for name, p in model.named_parameters()})
        found = update(optimizer, learning_rate)
        delta.update({name: found[p] for name, p in model.named_parameters()})

    hook = optimizer.register_step_pre_hook(watch)
    step(None, learning_rate)
    hook.remove()
    difference = {name: (before[name] - p.detach()) / learning_rate for name, p in model.named_parameters()}
    norm = lambda tensors: sum(x.double().square().sum() for x in tensors).sqrt().item()
    return {"apart": norm([difference[name] - delta[name] for name in delta]) / norm(delta.values())}


for line in sys.stdin:
    request = json.loads(line)
    torch.set_num_threads(request.get("threads", torch.get_num_threads()))
    if request["command"] == "step":
        answer = step(request.get("folder"))
    elif request["command"] == "precision":
        answer = precision(request["learningRate"])
    else:
        answer = {"parameters": sum(p.numel() for p in model.parameters()), "tokens": rows * length}
    print(json.dumps(answer), flush=True)
