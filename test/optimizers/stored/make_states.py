"""States of PyTorch's optimizers in the layouts in which programs leave them, and what each parameter's tensors are.

Usage: python make_states.py OUT CASES    CASES holds folders of Hugging Face models

OUT/<name>/ gets model.safetensors and config.json (or a link to a case), the state, and expected.safetensors with
"<PyTorch's key>.<parameter>"; OUT/states.json says what is where.
"""
import json, os, shutil, sys
from pathlib import Path
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

torch.set_num_threads(1)


def tiny():
    torch.manual_seed(1)
    return LlamaForCausalLM(LlamaConfig(vocab_size=23, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2,
                                        num_key_value_heads=1, max_position_embeddings=16, tie_word_embeddings=False, pad_token_id=None))


def train(model, optimizer, steps=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    vocabulary = model.config.vocab_size
    for _ in range(steps):
        ids = torch.randint(vocabulary, (2, 9), generator=generator)
        optimizer.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()


def decays_new(model):
    """As transformers' Trainer of today divides parameters."""
    from transformers.trainer_pt_utils import get_parameter_names
    patterns = [r"bias", r"layernorm", r"rmsnorm", r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)"]
    return set(get_parameter_names(model, [torch.nn.LayerNorm], patterns))


def decays_old(model):
    from transformers.trainer_pt_utils import get_parameter_names
    return {name for name in get_parameter_names(model, [torch.nn.LayerNorm]) if "bias" not in name}


def grouped(model, decays, named=False):
    item = (lambda n, p: (n, p)) if named else (lambda n, p: p)
    own = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return [{"params": [item(n, p) for n, p in own if n in decays], "weight_decay": 0.1},
            {"params": [item(n, p) for n, p in own if n not in decays], "weight_decay": 0.0}]


def expected(model, optimizer):
    names = {p: n for n, p in model.named_parameters()}
    return {f"{key}.{names[p]}": value.detach().clone().contiguous()
            for p, state in optimizer.state.items() for key, value in state.items() if torch.is_tensor(value) and value.dim() > 0}


def by_name(model, optimizer):
    """As FSDP's full state has it: keyed by names."""
    state, names = optimizer.state_dict(), {}
    order = {p: n for n, p in model.named_parameters()}
    for group, ours in zip(state["param_groups"], optimizer.param_groups):
        for index, p in zip(group["params"], ours["params"]):
            names[index] = order[p]
        group["params"] = [names[i] for i in group["params"]]
    return {"state": {names[i]: s for i, s in state["state"].items()}, "param_groups": state["param_groups"]}


class Folder:
    def __init__(self, out):
        self.out, self.cases = out, []

    def put(self, name, model, tensors, about, case=None):
        folder = self.out / name
        folder.mkdir(parents=True, exist_ok=True)
        if case is None:
            model.save_pretrained(folder)
        save_file(tensors, folder / "expected.safetensors")
        self.cases.append({"name": name, "case": case, "state": None, "trainable": None, **about})
        return folder


def layouts(out):
    adamw = lambda groups, **more: torch.optim.AdamW(groups, lr=3e-3, betas=(0.9, 0.95), **more)
    base = {"type": "adamw", "steps": 3, "learningRate": 3e-3}

    def case(name, groups, write, about=base, make=adamw, model=None):
        model = model or tiny()
        optimizer = make(groups(model))
        train(model, optimizer)
        write(out.put(name, model, expected(model, optimizer), about), model, optimizer)

    pt = lambda file="optimizer.pt": lambda f, m, o: torch.save(o.state_dict(), f / file)
    case("trainer-new", lambda m: grouped(m, decays_new(m)), pt())
    case("trainer-old", lambda m: grouped(m, decays_old(m)), pt("optimizer.bin"))
    case("trainer-named", lambda m: grouped(m, decays_new(m), named=True), pt())
    case("one-group", lambda m: m.parameters(), pt())
    case("by-dimension", lambda m: grouped(m, {n for n, p in m.named_parameters() if p.dim() > 1}), pt())
    case("fsdp-full", lambda m: grouped(m, decays_new(m)), lambda f, m, o: torch.save(by_name(m, o), f / "optimizer.bin"))
    case("within", lambda m: m.parameters(), lambda f, m, o: torch.save({"model": m.state_dict(), "optimizer": o.state_dict(), "epoch": 2}, f / "optimizer.pt"))
    case("lightning", lambda m: m.parameters(), lambda f, m, o: torch.save({"optimizer_states": [o.state_dict()], "lr_schedulers": []}, f / "optimizer.pt"))
    case("bfloat16-moments", lambda m: m.parameters(), lambda f, m, o: torch.save(narrow(o.state_dict()), f / "optimizer.pt"), {**base, "tolerance": 0.01})
    case("amsgrad", lambda m: m.parameters(), pt(), {**base, "refused": "amsgrad"}, make=lambda g: adamw(g, amsgrad=True))
    case("adam-l2", lambda m: m.parameters(), pt(), {**base, "refused": "weight_decay"}, make=lambda g: torch.optim.Adam(g, lr=3e-3, weight_decay=0.1))
    case("nadam", lambda m: m.parameters(), pt(), {**base, "refused": "NAdam"}, make=lambda g: torch.optim.NAdam(g))
    case("radam", lambda m: m.parameters(), pt(), {**base, "refused": "RAdam"}, make=lambda g: torch.optim.RAdam(g))
    case("fused", lambda m: m.parameters(), lambda f, m, o: torch.save(fused(o.state_dict(), True), f / "optimizer.pt"))
    case("uncorrected", lambda m: m.parameters(), lambda f, m, o: torch.save(fused(o.state_dict(), False), f / "optimizer.pt"), {**base, "refused": "bias correction"})
    case("adagrad", lambda m: m.parameters(), pt(), {**base, "refused": "Adagrad"}, make=lambda g: torch.optim.Adagrad(g))
    case("sgd", lambda m: m.parameters(), pt(), {"type": "sgd", "steps": 1, "learningRate": 0.05}, make=lambda g: torch.optim.SGD(g, lr=0.05, momentum=0.9))
    case("sgd-plain", lambda m: m.parameters(), pt(), {"type": "sgd", "steps": 0, "learningRate": 0.05}, make=lambda g: torch.optim.SGD(g, lr=0.05))
    case("sgd-decay", lambda m: m.parameters(), pt(), {"type": "sgd", "refused": "weight_decay"}, make=lambda g: torch.optim.SGD(g, lr=0.05, momentum=0.9, weight_decay=0.1))
    matrices = lambda m: [p for n, p in m.named_parameters() if p.dim() == 2 and "layers" in n]
    case("muon", matrices, pt(), {"type": "muon", "steps": 1, "learningRate": 0.02, "trainable": ["*proj*"]}, make=lambda g: torch.optim.Muon(g, lr=0.02))
    frozen = tiny()
    for n, p in frozen.named_parameters():
        p.requires_grad = "layers.1" in n
    case("frozen", lambda m: grouped(m, decays_new(m)), pt(), {**base, "trainable": ["*layers.1*"]}, model=frozen)
    case("ended", lambda m: grouped(m, decays_new(m)), lambda f, m, o: torch.save(ended(o), f / "optimizer.pt"), {**base, "learningRate": 0})
    case("ddp", lambda m: grouped(m, decays_new(m)), lambda f, m, o: torch.save(prefixed(by_name(m, o), "module._orig_mod."), f / "optimizer.pt"))
    case("universal", lambda m: m.parameters(), universal)
    case("uneven", lambda m: m.parameters(), lambda f, m, o: torch.save(uneven(o.state_dict()), f / "optimizer.pt"), {**base, "refused": "same number of steps"})
    case("permuted", lambda m: reversed(list(m.parameters())), pt(), {**base, "refused": "parameters"})


def narrow(state):
    for s in state["state"].values():
        for key in ("exp_avg", "exp_avg_sq"):
            s[key] = s[key].bfloat16()
    return state


def fused(state, corrected):
    """The settings that DeepSpeed's FusedAdam has."""
    for group in state["param_groups"]:
        kept = {key: group[key] for key in ("lr", "betas", "eps", "weight_decay", "params")}
        group.clear()
        group.update(kept, bias_correction=corrected)
    return state


def ended(optimizer):
    for group in optimizer.param_groups:
        group["initial_lr"], group["lr"] = group["lr"], 0.0
    return optimizer.state_dict()


def prefixed(state, prefix):
    for group in state["param_groups"]:
        group["params"] = [prefix + n for n in group["params"]]
    return {"state": {prefix + n: s for n, s in state["state"].items()}, "param_groups": state["param_groups"]}


def uneven(state):
    state["state"][3]["step"] += 1
    return state


def universal(folder, model, optimizer):
    zero = folder / "global_step3_universal/zero"
    names = {p: n for n, p in model.named_parameters()}
    for p, state in optimizer.state.items():
        own = zero / names[p]
        own.mkdir(parents=True)
        for key, value in (("fp32", p.detach().clone()), ("exp_avg", state["exp_avg"]), ("exp_avg_sq", state["exp_avg_sq"])):
            torch.save({"param": value}, own / f"{key}.pt")
        torch.save(state["step"], own / "step.pt")
    torch.save({"param_groups": [{**{k: v for k, v in optimizer.param_groups[0].items() if k != "params"}, "params": [0]}]}, zero / "optimizer_state.pt")


def families(out, cases):
    """The order in which each family's module has its parameters."""
    for folder in sorted(Path(cases).iterdir()):
        if not (folder / "config.json").exists() or any(word in folder.name for word in ("mixtral", "moe")):
            continue
        model = AutoModelForCausalLM.from_pretrained(folder)
        for kind, decays in (("new", decays_new), ("old", decays_old)):
            optimizer = torch.optim.AdamW(grouped(model, decays(model)), lr=1e-3)
            generator = torch.Generator().manual_seed(5)
            for p in model.parameters():
                p.grad = torch.randn(p.shape, generator=generator)
            optimizer.step()
            own = out.put(f"family-{folder.name}-{kind}", None, expected(model, optimizer), {"type": "adamw", "steps": 1, "learningRate": 1e-3}, case=folder.name)
            torch.save(optimizer.state_dict(), own / "optimizer.pt")


def distributed(rank, ranks, port, out):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE=str(ranks), LOCAL_RANK=str(rank))
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    dist.init_process_group("gloo")
    torch.set_num_threads(1)
    model = tiny()
    mesh = init_device_mesh("cpu", (ranks,))
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    optimizer = torch.optim.AdamW(grouped(model, decays_new(model)), lr=3e-3, betas=(0.9, 0.95))
    train(model, optimizer, seed=rank)
    whole = expected_whole(model, optimizer)
    for layout in ("accelerate", "torchtitan", "olmo-core"):
        folder = out / f"dcp-{layout}-{ranks}"
        flat = layout != "accelerate"
        weights, state = get_state_dict(model, optimizer, options=StateDictOptions(flatten_optimizer_state_dict=flat))
        if layout == "accelerate":
            dcp.save({"optimizer": state}, checkpoint_id=str(folder / "optimizer_0"))
        elif layout == "torchtitan":
            dcp.save({**weights, "optimizer": state, "lr_scheduler": {"last_epoch": 3}}, checkpoint_id=str(folder))
        else:
            dcp.save({"model": weights, "optim": state}, checkpoint_id=str(folder / "model_and_optim"))
        if rank == 0:
            tiny().save_pretrained(folder)
            save_file(whole, folder / "expected.safetensors")
    dist.destroy_process_group()


def expected_whole(model, optimizer):
    full = lambda t: (t.full_tensor() if hasattr(t, "full_tensor") else t).detach().clone().contiguous()
    names = {p: n for n, p in model.named_parameters()}
    return {f"{key}.{names[p]}": full(value) for p, state in optimizer.state.items() for key, value in state.items() if value.dim() > 0}


if __name__ == "__main__":
    place, cases = Path(sys.argv[1]), sys.argv[2]
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    out = Folder(place)
    layouts(out)
    families(out, cases)
    for ranks in (1, 2, 3):
        mp.spawn(distributed, (ranks, 29650 + ranks, place), nprocs=ranks)
        for layout in ("accelerate", "torchtitan", "olmo-core"):
            out.cases.append({"name": f"dcp-{layout}-{ranks}", "case": None, "state": None, "trainable": None, "type": "adamw", "steps": 3, "learningRate": 3e-3})
    json.dump(out.cases, open(place / "states.json", "w"))
