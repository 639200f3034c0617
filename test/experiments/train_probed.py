"""Trainings that examples/python/critical_sharpness_probe.py probes, and what PyTorch says of their probes in float64.

Input: {"example": the folder of the module, "folder": where to write}. Output: JSON, see the end.
"""
import contextlib, json, os, sys, types, warnings

asked = json.load(sys.stdin)
sys.path.insert(0, asked["example"])
import torch
import torch.nn.functional as F
from critical_sharpness_probe import CriticalSharpnessProbe, probe, update
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

folder = asked["folder"]
place = lambda *names: os.path.join(folder, *names)
weights_of = lambda model: {name: p.detach().clone() for name, p in model.named_parameters()}


def files_of(directory):
    path = lambda name: os.path.join(directory, f"{name}.safetensors")
    with safe_open(path("direction"), "pt") as file:
        about = file.metadata()
    return *(load_file(path(name)) for name in ("model", "direction", "batch")), int(about["step"]), float(about["learning_rate"])


def first_crossing(loss_at):
    """The smallest η at which the loss is above that of η = 0: a scan and bisections, in float64."""
    base, below = loss_at(0.0), 0.0
    for exponent in range(-120, 61):
        above = 10 ** (exponent / 24)
        if loss_at(above) > base:
            for _ in range(30):
                middle = (below + above) / 2
                below, above = (below, middle) if loss_at(middle) > base else (middle, above)
            return above
        below = above


def along(model, loss):
    """η ⇒ loss of θ − ηΔ in float64."""
    def found(weights, delta):
        def at(eta):
            moved = {name: w.double() - eta * delta[name].double() if name in delta else w for name, w in weights.items()}
            with torch.no_grad():
                return loss(lambda *given: torch.func.functional_call(model, moved, given)).item()
        return first_crossing(at)
    return found


def judged(directory, trail, crossing):
    """What there is to say of a probe: its weights, its Δ against the step that was made, ηc by PyTorch."""
    weights, delta, batch, step, eta = files_of(directory)
    before, after = trail[step], trail[step + 1]
    # In units of what float32 leaves of θ, and of an update as large as any of its tensor.
    worst = max(
        ((before[n].double() - after[n].double() - eta * d.double()).abs() / (2**-24 * before[n].abs().double() + 2**-22 * eta * d.abs().max().item())).max().item()
        for n, d in delta.items()
    )
    return {"directory": directory, "step": step, "learningRate": eta, "rows": next(iter(batch.values())).shape[0],
            "sameWeights": all(torch.equal(weights[n], before[n]) for n in before),
            "whole": set(delta) == set(before), "worst": worst, "criticalLearningRate": crossing(weights, delta, batch)}


class Trail(TrainerCallback):
    def __init__(self):
        self.weights = {}

    def on_step_begin(self, args, state, control, model=None, **_):
        self.weights[state.global_step] = weights_of(model)


def by_trainer(make, name, probed):
    torch.manual_seed(0)
    model, trail = make(), Trail()
    # Rows of two lengths: micro-batches of a step differ in shape.
    ids = [torch.randint(1, 64, (16 if i % 4 < 2 else 12,)) for i in range(64)]
    arguments = TrainingArguments(
        place(name, "out"), max_steps=12, per_device_train_batch_size=2, gradient_accumulation_steps=2, learning_rate=1e-2,
        warmup_steps=3, max_grad_norm=0.5, weight_decay=0.1, save_strategy="no", logging_strategy="no", report_to=[], use_cpu=True,
        disable_tqdm=True, dataloader_pin_memory=False, train_sampling_strategy="sequential",
    )
    probes = [CriticalSharpnessProbe(place(name, "probes"), every=3)] if probed else []
    data = [{"input_ids": row, "labels": row} for row in ids]
    Trainer(model, arguments, train_dataset=data, callbacks=[trail, *probes]).train()
    trail.weights[12] = weights_of(model)
    return model.double(), trail.weights


def trainer(make, name):
    _, plain = by_trainer(make, name, False)
    model, trail = by_trainer(make, name, True)

    def crossing(weights, delta, batch):
        loss = lambda call: F.cross_entropy(call(batch["input_ids"]).logits.flatten(0, 1), batch["labels"].flatten(), ignore_index=-100)
        return along(model, loss)(weights, delta)

    found = [judged(place(name, "probes", one), trail, crossing) for one in sorted(os.listdir(place(name, "probes")))]
    return {"unchanged": all(torch.equal(plain[12][n], trail[12][n]) for n in trail[12]), "probes": found}


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4))

    def forward(self, inputs, targets):
        return F.cross_entropy(self.layers(inputs), targets)


def by_loop():
    torch.manual_seed(1)
    model = Classifier()
    batches = [{"inputs": torch.randn(32, 8), "targets": torch.randint(4, (32,))} for _ in range(9)]
    dynamic = {name: {0: torch.export.Dim.AUTO} for name in batches[0]}
    torch.export.save(torch.export.export(model, (), batches[0], dynamic_shapes=dynamic, strict=False), place("classifier.pt2"))
    groups = [{"params": model.layers[0].parameters()}, {"params": model.layers[2].parameters(), "lr": 0.15, "weight_decay": 0.01}]
    optimizer = torch.optim.SGD(groups, lr=0.3, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 12)
    trail = {}
    for step, batch in enumerate(batches):
        trail[step] = weights_of(model)
        optimizer.zero_grad()
        model(**batch).backward()
        if step % 3 == 0:
            probe(place("loop"), step, model, optimizer, batch)
        optimizer.step()
        schedule.step()
    trail[len(batches)] = weights_of(model)
    model.double()
    crossing = lambda weights, delta, batch: along(model, lambda call: call(batch["inputs"].double(), batch["targets"]))(weights, delta)
    return {"probes": [judged(place("loop", one), trail, crossing) for one in sorted(os.listdir(place("loop")))]}


def every_optimizer():
    """Relative errors of Δ against what step() subtracts of a float64 model, by optimizer."""
    o = torch.optim
    optimizers = {
        "SGD": lambda p: o.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
        "Adam": lambda p: o.Adam(p, 1e-3, amsgrad=True, weight_decay=0.1),
        "AdamW": lambda p: o.AdamW(p, 1e-3, weight_decay=0.1),
        "fused AdamW": lambda p: o.AdamW(p, 1e-3, weight_decay=0.1, fused=True),
        "foreach AdamW": lambda p: o.AdamW(p, 1e-3, weight_decay=0.1, foreach=True),
        "AdamW at a tiny η": lambda p: o.AdamW(p, 1e-9, weight_decay=0.1),
        "NAdam": lambda p: o.NAdam(p, 1e-3), "RAdam": lambda p: o.RAdam(p, 1e-3), "Adamax": lambda p: o.Adamax(p, 1e-3),
        "RMSprop": lambda p: o.RMSprop(p, 1e-3, momentum=0.9, centered=True), "Adagrad": lambda p: o.Adagrad(p, 1e-2),
        "Adafactor": lambda p: o.Adafactor(p, 1e-2),
        "Muon": lambda p: o.Muon([x for x in p if x.dim() == 2], 1e-2),
    }
    found = {}
    for name, make in optimizers.items():
        torch.manual_seed(2)
        model = Classifier().double()
        optimizer, hooked = make(list(model.parameters())), []
        optimizer.register_step_pre_hook(lambda *_: hooked.append(1))
        o.lr_scheduler.StepLR(optimizer, 5)  # wraps step()
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(32, 8).double(), torch.randint(4, (32,))).backward()
            eta, count = optimizer.param_groups[0]["lr"], len(hooked)
            delta, before = update(optimizer, eta), {p: p.detach().clone() for p in model.parameters()}
            assert len(hooked) == count and all(torch.equal(p, before[p]) for p in before)
            optimizer.step()
            errors = [((before[p] - p.detach()) / eta - d.double()).norm() / d.double().norm() for p, d in delta.items()]
            found[name] = max(found.get(name, 0), *(error.item() for error in errors))
    return found


def refusals():
    model = LlamaForCausalLM(LlamaConfig(vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    ids = torch.randint(8, (2, 4))
    said = []
    try:
        probe(place("refused"), 0, model, optimizer, {"input_ids": ids, "labels": ids})
    except ValueError as error:
        said.append(str(error))
    os.environ["ACCELERATE_USE_FSDP"] = "true"
    callback, state = CriticalSharpnessProbe(place("refused"), every=1), types.SimpleNamespace(global_step=0, is_world_process_zero=True)
    for _ in range(2):  # the second says nothing
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            callback.on_step_begin(None, state, None, model=model)
            model(input_ids=ids, labels=ids).loss.backward()
            callback.on_pre_optimizer_step(None, state, None, model=model, optimizer=optimizer)
        said.append([str(one.message) for one in caught])
    return {"said": said, "written": os.path.exists(place("refused"))}


small = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
llama = lambda: LlamaForCausalLM(LlamaConfig(**small, tie_word_embeddings=True))
gpt2 = lambda: GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=16, n_layer=1, n_head=2, n_positions=16, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0))
with contextlib.redirect_stdout(sys.stderr):
    result = {"llama": trainer(llama, "llama"), "gpt2": trainer(gpt2, "gpt2"), "loop": by_loop(), "optimizers": every_optimizer(), "refusals": refusals()}
json.dump(result, sys.stdout)
