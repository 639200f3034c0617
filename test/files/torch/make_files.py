"""Writes fixtures/: files of torch.save and folders of torch.distributed.checkpoint, and expected.json, what PyTorch has in them.

    python test/files/torch/make_files.py            (torch 2.13, numpy)
"""
import argparse
import collections
import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

folder = Path(__file__).resolve().parent / "fixtures"


def digest(tensor):
    """SHA-256 of the little-endian bytes in C order."""
    whole = tensor.detach().contiguous().flatten()
    raw = whole.view(torch.uint8) if whole.numel() > 0 else torch.empty(0, dtype=torch.uint8)
    return hashlib.sha256(raw.numpy().tobytes()).hexdigest()


def plain(value):
    """A value as JSON has it; of what JSON has not, what the tests make of it too."""
    if isinstance(value, np.ndarray):
        return {"numpy": value.dtype.str, "shape": list(value.shape), "hex": value.tobytes("A").hex()}
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else {"int": str(value)}
    if isinstance(value, float):
        return value if np.isfinite(value) else {"float": repr(value)}
    if isinstance(value, (bytes, bytearray)):
        return {"hex": bytes(value).hex()}
    if isinstance(value, complex):
        return {"named": f"({value.real:g}, {value.imag:g}j)"}
    if isinstance(value, (torch.dtype, torch.device, Path)):
        return {"named": str(value)}
    return {"opaque": True}


def described(value, path=(), found=None):
    """[path, tensor or value] in order; a dictionary's keys are paths too."""
    found = [] if found is None else found
    if isinstance(value, DTensor):
        value = value.full_tensor()
    if isinstance(value, torch.Tensor):
        tensor = {"dtype": str(value.dtype).removeprefix("torch."), "shape": list(value.shape), "sha256": digest(value)}
        found.append([list(path), {"tensor": tensor}])
    elif isinstance(value, dict):
        for key, inner in value.items():
            described(inner, (*path, str(key) if not isinstance(key, tuple) else ",".join(map(str, key))), found)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for key, inner in enumerate(value):
            described(inner, (*path, str(key)), found)
    else:
        found.append([list(path), {"value": plain(value)}])
    return found


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.embed = nn.Embedding(5, width)
        self.norm = nn.LayerNorm(width)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, ids):
        return (self.scale * self.norm(self.embed(ids))).square().sum()


def trained(model, optimizer, steps=3):
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randint(5, (4,))).backward()
        optimizer.step()
    return optimizer.state_dict()


def adamw():
    model = Net(3)
    groups = [
        {"params": [(n, p) for n, p in model.named_parameters() if p.dim() > 1], "weight_decay": 0.1},
        {"params": [(n, p) for n, p in model.named_parameters() if p.dim() == 1], "weight_decay": 0.0},
    ]
    return trained(model, torch.optim.AdamW(groups, lr=2e-3))


def odd():
    """Tensors that share storages, lie in them with gaps, and have no or few numbers."""
    storage = torch.arange(24.0)
    state = collections.OrderedDict(
        parameter=nn.Parameter(torch.randn(3, 2)),
        first=storage[:6].view(2, 3),
        second=storage[6:12],
        transposed=storage.view(4, 6).t(),
        strided=storage.view(4, 6)[1:, ::2],
        cube=torch.arange(60.0).view(3, 4, 5).permute(2, 0, 1),
        scalar=torch.tensor(2.5),
        empty=torch.empty(0, 3),
        hollow=torch.empty(2, 0, 3),
        one=torch.randn(1, 1, 1),
    )
    state["tied"] = state["first"]
    state._metadata = collections.OrderedDict(version=1)
    return state


def dtypes():
    numbers = torch.tensor([0.0, 1.0, 2.0, 96.0])
    names = (
        "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint64 uint32 uint16 uint8 bool "
        "float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu complex64"
    )
    return {name: numbers.to(getattr(torch, name)) for name in names.split()}


def values():
    counted = collections.defaultdict(int)
    counted["a"] = 1
    return {
        "none": None, "true": True, "small": -7, "int": 2**31, "long": 2**70, "negative": -(2**70), "float": 0.1,
        "infinite": float("inf"), "text": "λ — ηc 🎯", "bytes": b"\x00\xff\n", "array": bytearray(b"ab"), "nothing": b"",
        "list": [], "tuple": (1, ("two", [3.0])), "set": {4}, "frozen": frozenset([5]), "complex": 1 + 2j,
        "size": torch.Size([2, 3]), "dtype": torch.bfloat16, "device": torch.device("cuda", 1), "cpu": torch.device("cpu"), "path": Path("a") / "b",
        "i8": np.int64(-3), "u8": np.uint64(2**63), "f4": np.float32(0.5), "f8": np.float64(0.1), "b1": np.bool_(True), "i2": np.int16(-2),
        "numpy": np.arange(6, dtype=np.int32).reshape(2, 3), "fortran": np.asfortranarray(np.arange(4.0).reshape(2, 2)),
        "counter": collections.Counter("aab"), "default": counted, "__proto__": {"polluted": True}, "constructor": 1,
        7: "int key", (1, 2): "tuple key", -1: "negative key",
    }


def opaque():
    """What is not read, beside what is."""
    q = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    things = {
        "namespace": argparse.Namespace(learning_rate=1e-3, inner=argparse.Namespace()),
        "quantized": q, "sparse": torch.eye(2).to_sparse(), "complex128": torch.ones(2, dtype=torch.complex128),
        "expanded": torch.ones(1).expand(3), "conjugate": torch.ones(2, dtype=torch.complex64).conj(),
        "function": torch.nn.functional.gelu, "object": np.array([object()]), "date": np.datetime64("2026-01-01"),
    }
    expected = {name: "opaque" for name in things}
    return {**things, "weight": torch.ones(2)}, expected


def write_files():
    found = {}

    def put(name, value, shown=None, **options):
        torch.save(value, folder / name, **options)
        found[name] = described(value if shown is None else shown)

    put("adamw.pt", adamw())
    put("odd.pt", odd())
    put("dtypes.pt", dtypes())
    for protocol in (2, 3, 4, 5):
        put(f"values-{protocol}.pt", values(), pickle_protocol=protocol)
    put("protocol-4.pt", adamw(), pickle_protocol=4)
    put("bare.pt", torch.arange(3))
    things, names = opaque()
    torch.save(things, folder / "opaque.pt")
    found["opaque.pt"] = [[[name], {"value": {"opaque": True}}] for name in names] + [
        [["weight"], described(things["weight"])[0][1]]
    ]
    torch.save({"w": torch.ones(2)}, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.jit.script(nn.Linear(1, 1)).save(str(folder / "script.pt"))
    return found


def whole(value, path=""):
    join = lambda k: f"{path}.{k}" if path else str(k)
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in whole(inner, join(key))]
    if isinstance(value, (list, tuple)) and any(isinstance(inner, (dict, list)) for inner in value):
        return [pair for key, inner in enumerate(value) for pair in whole(inner, join(key))]
    return [(path, value)]


def save_checkpoint(rank, ranks, flat):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29531", RANK=str(rank), WORLD_SIZE=str(ranks), LOCAL_RANK=str(rank))
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (ranks,))
    torch.manual_seed(ranks)
    model = fully_shard(Net(4), mesh=mesh)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    trained(model, optimizer, 2)
    weights, moments = get_state_dict(model, optimizer, options=StateDictOptions(flatten_optimizer_state_dict=flat))
    columns = distribute_tensor(torch.arange(21.0).view(3, 7), mesh, [Shard(1)])
    state = {"model": weights, "optim": moments, "columns": columns, "train_state": {"step": 2, "name": "tiny"}}
    dcp.save(state, checkpoint_id=folder / f"ranks-{ranks}")
    found = {}
    for name, value in whole(state):
        found[name] = described(value)
    if rank == 0:
        (folder / f"ranks-{ranks}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    torch.manual_seed(0)
    expected = {"files": write_files(), "checkpoints": {}}
    for ranks in (1, 2, 3):
        mp.spawn(save_checkpoint, (ranks, ranks == 3), nprocs=ranks)
        part = folder / f"ranks-{ranks}.json"
        expected["checkpoints"][f"ranks-{ranks}"] = json.loads(part.read_text())
        part.unlink()
    (folder / "expected.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n")
