"""Probes of a PyTorch training for `critical-sharpness watch-probes`, see docs/probes.md. Needs torch and safetensors."""
import collections, copy, os, shutil, warnings
import torch
from safetensors.torch import save_file
try: from transformers import TrainerCallback
except ImportError: TrainerCallback = object
pad, TOKENS = torch.nn.functional.pad, {"input_ids": 0, "labels": -100, "attention_mask": 0, "position_ids": 0}

def update(optimizer, learning_rate):
    """{parameter: Δ}: step() makes θ − ηΔ of θ. Its own code says so, run on float64 copies of one parameter at a time."""
    copied = lambda x: x.detach().to("cpu", torch.float64, copy=True) if torch.is_tensor(x) else copy.deepcopy(x)
    found, unhooked = {}, {f"_optimizer_step_{when}_hooks": collections.OrderedDict() for when in ("pre", "post")}
    for group in optimizer.param_groups:
        plain = {key: False if key in ("fused", "foreach", "capturable") else x for key, x in group.items()}
        for p in (p for p in group["params"] if p.grad is not None):
            q, twin = copied(p).requires_grad_(), object.__new__(type(optimizer))
            state = collections.defaultdict(dict, {q: {key: copied(x) for key, x in optimizer.state.get(p, {}).items()}})
            vars(twin).update({**vars(optimizer), **unhooked, "param_groups": [{**plain, "params": [q]}], "state": state})
            q.grad, found[p] = copied(p.grad), copied(p)
            type(optimizer).step(twin)
            found[p] = ((found[p] - q.detach()) / learning_rate).float()
    return found

def probe(folder, step, model, optimizer, batch, learning_rate=None):
    """Writes folder/step-…, whole or not at all. Call it right before optimizer.step(); batch: forward's tensors by name."""
    optimizer = getattr(optimizer, "optimizer", optimizer)  # accelerate's wraps one
    eta = float(optimizer.param_groups[0]["lr"] if learning_rate is None else learning_rate)
    if eta == 0: return  # such a step moves nothing: the first of a warm-up
    delta, named, stored = update(optimizer, eta), dict(model.named_parameters()), model.state_dict()
    final, part = (os.path.join(folder, f"{hidden}step-{step:06d}") for hidden in ("", "."))
    if not delta: raise ValueError("Expected gradients in .grad before optimizer.step() but received none")
    for old in (part, final): shutil.rmtree(old, ignore_errors=True)
    os.makedirs(part)
    if hasattr(model, "config"):  # of transformers, whose models shift labels themselves
        model.config.to_json_file(f"{part}/config.json")
        batch = {key: pad(x, (0, 1), value=-100)[:, 1:] if key == "labels" else x for key, x in batch.items() if key in TOKENS}
    for name, tensors in {"batch": batch, "direction": {name: delta[p] for name, p in named.items() if p in delta},
                          "model": {**named, **{name: x for name, x in model.named_buffers() if name in stored}}}.items():
        save_file({key: x.detach().cpu().contiguous() for key, x in tensors.items()}, f"{part}/{name}.safetensors",
                  {"format": "pt", "labels": "shifted", "step": str(step), "learning_rate": repr(eta)})
    os.replace(part, final)

class CriticalSharpnessProbe(TrainerCallback):
    """Trainer(…, callbacks=[CriticalSharpnessProbe("probes", every=50)])"""
    def __init__(self, folder, every=50): self.folder, self.every, self.hook, self.seen = folder, every, None, []
    def on_step_begin(self, args, state, control, model=None, **_):
        if not self.every or state.global_step % self.every or not state.is_world_process_zero: return
        self.hook = model.register_forward_pre_hook(lambda *given: self.seen.append(given[2]), with_kwargs=True)
    def on_pre_optimizer_step(self, args, state, control, model=None, optimizer=None, **_):
        if not self.hook: return
        seen, self.seen, self.hook = self.seen, [], self.hook.remove()  # what forward was given, a micro-batch each
        try:
            if "true" in map(os.environ.get, ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")):
                raise ValueError("Expected gradients in .grad but received DeepSpeed or FSDP, which keep them elsewhere")
            room = lambda key, x: max(y[key].shape[-1] for y in seen) - x.shape[-1] if key in TOKENS else 0
            joined = lambda key: torch.cat([pad(x[key], (0, room(key, x[key])), value=TOKENS.get(key)) for x in seen])
            batch = {key: joined(key) for key, x in seen[0].items() if torch.is_tensor(x) and x.dim()}
            probe(self.folder, state.global_step, model, optimizer, batch)
        except Exception as error:  # a training is worth more than its probes
            self.every = warnings.warn(f"critical sharpness: no more probes of this training. {error}")
