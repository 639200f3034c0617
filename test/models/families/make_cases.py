"""
Writes a tiny random checkpoint for every family of language models, by Hugging Face transformers itself, with its loss,
gradient and a Hessian-vector product of a batch in float64 by PyTorch.

    python3 -m venv .venv && .venv/bin/pip install -r test/models/families/requirements.txt
    .venv/bin/python test/models/families/make_cases.py [case ...]

PyTorch's CPU build will do; some seconds. For each case a folder cases/<name>/ with
    config.json, model.safetensors   as transformers saves them (or older transformers did); norms and biases drawn too
    batch.safetensors                input_ids, labels
    left.safetensors, right.safetensors, packed.safetensors     the same sequences: padded on the left and on the right
                                     with attention_mask (and, left, position_ids), and in one row with position_ids
    vector.safetensors               v, float32 numbers
    gradient.safetensors, product.safetensors   float64: ∇L and Hv
and cases.json with the losses, that of θ − 0.01·∇L too, and of mixtures how many tokens change experts on the way to θ − ∇L.
"""

import json
import re
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch.overrides import TorchFunctionMode
from transformers import AutoConfig, AutoModelForCausalLM

HERE = Path(__file__).parent
STEP = 0.01
FAR = 1.0
MIXTURES = ("mixtral", "olmoe", "qwen3_moe")
PADDING = 3
# Of mixtures: plain products, which have second derivatives.
EXPERTS = dict(experts_implementation="eager")

SIZES = dict(vocab_size=23, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=20,
             max_position_embeddings=16, pad_token_id=None)
GROUPED = dict(num_key_value_heads=2)
LLAMA3 = dict(rope_type="llama3", rope_theta=100.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=8)
MOE = dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=8)
YARN = dict(rope_type="yarn", rope_theta=500000.0, factor=4.0, original_max_position_embeddings=4, beta_fast=2.0,
            beta_slow=0.5)

CASES = {
    "gpt2": ("gpt2", dict(vocab_size=23, n_positions=16, n_embd=16, n_layer=2, n_head=4, n_inner=20)),
    "gpt-neox": ("gpt_neox", SIZES | dict(hidden_act="gelu", rotary_pct=0.5, rotary_emb_base=100)),
    "gpt-neox-sequential": ("gpt_neox", SIZES | dict(use_parallel_residual=False, attention_bias=False,
                                                      tie_word_embeddings=True, hidden_act="gelu_new",
                                                      rotary_pct=1.0)),
    "llama": ("llama", SIZES | dict(tie_word_embeddings=True)),
    "llama3": ("llama", SIZES | GROUPED | dict(head_dim=6, attention_bias=True, mlp_bias=True, rope_parameters=LLAMA3)),
    "mistral": ("mistral", SIZES | GROUPED | dict(sliding_window=3, head_dim=4)),
    "qwen2": ("qwen2", SIZES | GROUPED | dict(use_sliding_window=True, sliding_window=4, max_window_layers=1)),
    "qwen3": ("qwen3", SIZES | GROUPED | dict(head_dim=6, tie_word_embeddings=True)),
    "olmo": ("olmo", SIZES | dict(clip_qkv=0.6)),
    "olmo2": ("olmo2", SIZES | GROUPED),
    "olmo3": ("olmo3", SIZES | dict(layer_types=["sliding_attention", "full_attention"], sliding_window=3,
                                    rope_parameters={"full_attention": YARN,
                                                     "sliding_attention": {"rope_type": "default", "rope_theta": 500000.0}})),
    "gemma2": ("gemma2", SIZES | GROUPED | dict(head_dim=6, query_pre_attn_scalar=10, sliding_window=3,
                                                attn_logit_softcapping=2.0, final_logit_softcapping=3.0)),
    "phi": ("phi", SIZES | GROUPED | dict(partial_rotary_factor=0.5, qk_layernorm=True)),
    # The padding token's embedding gets no gradient; the head's part of a tied one stays.
    "llama-padding": ("llama", SIZES | dict(pad_token_id=PADDING, eos_token_id=PADDING)),
    "olmo2-padding-tied": ("olmo2", SIZES | GROUPED | dict(pad_token_id=PADDING, tie_word_embeddings=True)),
    "gemma2-padding": ("gemma2", SIZES | GROUPED | dict(pad_token_id=PADDING, head_dim=6)),
    "gpt2-padding": ("gpt2", dict(vocab_size=23, n_positions=16, n_embd=16, n_layer=1, n_head=2, pad_token_id=PADDING)),
    # Three rotated channels, which transformers makes four.
    "gpt-neox-odd": ("gpt_neox", SIZES | dict(hidden_size=48, hidden_act="gelu", rotary_pct=0.25, pad_token_id=PADDING)),
    # config.json ties a head that is another one.
    "llama-other-head": ("llama", SIZES | dict(tie_word_embeddings=False)),
    "gpt2-other-head": ("gpt2", dict(vocab_size=23, n_positions=16, n_embd=16, n_layer=1, n_head=2,
                                     tie_word_embeddings=False)),
    # Every fourth layer without rotation; those without it alone have a window; every pair of the two.
    "smollm3": ("smollm3", SIZES | GROUPED | dict(num_hidden_layers=5)),
    "smollm3-window": ("smollm3", SIZES | GROUPED | dict(num_hidden_layers=3, no_rope_layer_interval=2, use_sliding_window=True,
                                                         sliding_window=3, tie_word_embeddings=False, attention_bias=True,
                                                         mlp_bias=True, rope_parameters=LLAMA3)),
    "smollm3-layers": ("smollm3", SIZES | dict(num_hidden_layers=4, no_rope_layers=[0, 1, 0, 1, 1], use_sliding_window=True,
                                               sliding_window=4, pad_token_id=PADDING,
                                               layer_types=["full_attention", "sliding_attention", "sliding_attention",
                                                            "full_attention"])),
    "granite": ("granite", SIZES | GROUPED | dict(embedding_multiplier=3.0, attention_multiplier=0.4, residual_multiplier=0.6,
                                                  logits_scaling=0.7, tie_word_embeddings=True)),
    "granite-biases": ("granite", SIZES | dict(embedding_multiplier=2.0, attention_multiplier=0.3, residual_multiplier=1.3,
                                               logits_scaling=1.5, attention_bias=True, mlp_bias=True, pad_token_id=PADDING)),
    # Norms of heads, each type of layer with a rotation of its own.
    "gemma3": ("gemma3_text", SIZES | GROUPED | dict(head_dim=6, query_pre_attn_scalar=10, sliding_window=3, num_hidden_layers=3,
                                                     layer_types=["sliding_attention", "full_attention", "sliding_attention"],
                                                     rope_parameters={
                                                         "full_attention": {"rope_type": "linear", "factor": 2.0,
                                                                            "rope_theta": 500.0},
                                                         "sliding_attention": {"rope_type": "default", "rope_theta": 20.0}})),
    "gemma3-untied": ("gemma3_text", SIZES | dict(head_dim=4, sliding_window=4, num_hidden_layers=3, sliding_window_pattern=2,
                                                  tie_word_embeddings=False, attention_bias=True, final_logit_softcapping=3.0,
                                                  pad_token_id=PADDING,
                                                  rope_parameters={
                                                      "full_attention": {"rope_type": "linear", "factor": 4.0,
                                                                         "rope_theta": 1000.0},
                                                      "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}})),
    # Mixtures of experts; the dense layers of Qwen3's, and a step between those that have one.
    "mixtral": ("mixtral", SIZES | GROUPED | dict(num_local_experts=4, sliding_window=3)),
    "mixtral-tied": ("mixtral", SIZES | dict(num_key_value_heads=4, num_local_experts=5, num_experts_per_tok=3, head_dim=6, tie_word_embeddings=True,
                                             pad_token_id=PADDING, rope_parameters=LLAMA3)),
    "mixtral-fused": ("mixtral", SIZES | dict(num_key_value_heads=4, num_local_experts=3, num_experts_per_tok=3)),
    "olmoe": ("olmoe", SIZES | dict(num_experts=5, num_experts_per_tok=2, clip_qkv=0.6, eos_token_id=2)),
    "olmoe-grouped": ("olmoe", SIZES | GROUPED | dict(num_experts=4, num_experts_per_tok=2, norm_topk_prob=True, attention_bias=True,
                                                      pad_token_id=PADDING, eos_token_id=2)),
    "qwen3-moe": ("qwen3_moe", SIZES | GROUPED | MOE | dict(num_hidden_layers=3, head_dim=6, norm_topk_prob=True, mlp_only_layers=[1],
                                                            use_sliding_window=True, sliding_window=3)),
    "qwen3-moe-steps": ("qwen3_moe", SIZES | GROUPED | MOE | dict(num_hidden_layers=3, decoder_sparse_step=2, num_experts_per_tok=1,
                                                                  tie_word_embeddings=True, attention_bias=True)),
    "qwen3-moe-fused": ("qwen3_moe", SIZES | GROUPED | MOE | dict(num_hidden_layers=1, pad_token_id=PADDING)),
    # The auxiliary loss, of all layers together: of rows, not of padding.
    "mixtral-balanced": ("mixtral", SIZES | GROUPED | dict(num_local_experts=4, output_router_logits=True, router_aux_loss_coef=0.3)),
    "olmoe-balanced": ("olmoe", SIZES | dict(num_experts=5, num_experts_per_tok=2, eos_token_id=2, output_router_logits=True)),
    "qwen3-moe-balanced": ("qwen3_moe", SIZES | GROUPED | MOE | dict(num_hidden_layers=3, mlp_only_layers=[1], norm_topk_prob=True,
                                                                     output_router_logits=True, router_aux_loss_coef=0.2)),
}
# Of older transformers: their names of keys, and what is no parameter among the tensors.
OLDER = {
    "gpt-neox": dict(rotary_pct=0.5, rotary_emb_base=100, torch_dtype="float16", hidden_dropout=0.1),
    "gemma3-untied": dict(layer_types=None, rope_theta=1000.0, rope_local_base_freq=100.0, rope_scaling=dict(rope_type="linear", factor=4.0)),
    "llama3": dict(rope_theta=100.0, rope_scaling={k: v for k, v in LLAMA3.items() if k != "rope_theta"}),
}


class Widened(TorchFunctionMode):
    """Everything in float64 that transformers computes in float32 whatever the model's dtype is: norms, softmax, rotary."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.Tensor.float:
            function = torch.Tensor.double
        widen = lambda value: torch.float64 if value is torch.float32 else value
        return function(*map(widen, args), **{key: widen(value) for key, value in (kwargs or {}).items()})


def drawn(name, shape, scales_from_one, generator):
    """Float32 numbers. Norms near what multiplies by one, biases near 0; nothing hides."""
    values = torch.randn(shape, generator=generator)
    if len(shape) > 1:
        return 0.2 * values
    return float(name.endswith("weight") and not scales_from_one) + 0.2 * values


def published(key, tensor):
    """The names and the parts of a parameter as checkpoints have them: a matrix for each expert."""
    fused = re.fullmatch(r"(.*\.)mlp\.experts\.(gate_up|down)_proj", key)
    if not fused:
        return {key: tensor}
    start, kind = fused.groups()
    matrices = ("gate", "up") if kind == "gate_up" else ("down",)
    return {f"{start}mlp.experts.{expert}.{matrix}_proj.weight": part.contiguous() for expert, whole in enumerate(tensor)
            for matrix, part in zip(matrices, whole.chunk(len(matrices)))}


MIXTRALS = {"gate_proj": "w1", "up_proj": "w3", "down_proj": "w2"}


def published_all(model_type, tensors):
    found = {name: part.contiguous() for key, tensor in tensors.items() for name, part in published(key, tensor).items()}
    if model_type != "mixtral":
        return found
    renamed = lambda name: re.sub(r"\w+_proj(?=\.weight$)", lambda m: MIXTRALS[m[0]], name) if ".experts." in name else name
    return {renamed(name).replace(".mlp.", ".block_sparse_moe."): part for name, part in found.items()}


def tokens(generator, padding):
    ids = torch.randint(23, [3, 12], generator=generator)
    if padding is not None:
        ids[:, 4:6] = padding
    labels = ids[:, 1:].clone()
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = -100
    return ids[:, :-1].contiguous(), labels


def make(name, model_type, settings, seed):
    generator = torch.Generator().manual_seed(seed)
    folder = HERE / "cases" / name
    shutil.rmtree(folder, ignore_errors=True)
    torch.set_default_dtype(torch.float64)
    with Widened():
        config = AutoConfig.for_model(model_type, **settings)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float64, **EXPERTS).eval()
    torch.set_default_dtype(torch.float32)
    for key, parameter in model.named_parameters():
        parameter.data.copy_(drawn(key, parameter.shape, model_type in ("gemma2", "gemma3_text"), generator))
    ids, labels = tokens(generator, settings.get("pad_token_id"))
    stored = {"lm_head.weight": "embed_out.weight"} if model_type == "gpt_neox" else {}
    parameters = {stored.get(key, key): parameter for key, parameter in model.named_parameters()}

    def loss():
        with Widened():
            out = model(input_ids=ids, use_cache=False)
            cross_entropy = torch.nn.functional.cross_entropy(out.logits.reshape(-1, out.logits.shape[-1]), labels.reshape(-1))
            auxiliary = getattr(out, "aux_loss", None)
            return cross_entropy if auxiliary is None else cross_entropy + model.router_aux_loss_coef * auxiliary

    value = loss()
    gradient = torch.autograd.grad(value, parameters.values(), create_graph=True)
    vector = {key: torch.randn(p.shape, generator=generator) for key, p in parameters.items()}
    along = sum((g * v.double()).sum() for g, v in zip(gradient, vector.values()))
    product = torch.autograd.grad(along, parameters.values())
    with torch.no_grad():
        for parameter, g in zip(parameters.values(), gradient):
            parameter -= STEP * g
        moved = loss().item()
        for parameter, g in zip(parameters.values(), gradient):
            parameter += STEP * g

    changes = {"expertChanges": expert_changes(model, ids, parameters.values(), gradient)} if model_type in MIXTURES else {}
    ragged = write_ragged(folder, model, generator)
    # "fused": as transformers computes, all experts of a layer in one tensor.
    model.float().save_pretrained(folder, save_original_format=not name.endswith("-fused"))
    save_file({"input_ids": ids, "labels": labels}, folder / "batch.safetensors")
    save_file(published_all(model_type, vector), folder / "vector.safetensors")
    for file, parts in (("gradient", gradient), ("product", product)):
        tensors = dict(zip(parameters, (part.detach().contiguous() for part in parts)))
        save_file(published_all(model_type, tensors), folder / f"{file}.safetensors")
    (folder / "generation_config.json").unlink(missing_ok=True)
    make_older(folder, OLDER.get(name, {}))
    if name.endswith("-other-head"):
        tie(folder, ids, labels, value.item())
    return {"loss": value.item(), "slope": along.item(), "movedLoss": moved, "raggedLoss": ragged} | changes


def expert_changes(model, ids, parameters, gradient):
    """Tokens of a layer that have other experts at θ − FAR·∇L."""
    chosen = model.config.num_experts_per_tok

    def experts():
        with Widened(), torch.no_grad():
            logits = model(input_ids=ids, use_cache=False, output_router_logits=True).router_logits
        return torch.cat([layer.topk(chosen, -1).indices.sort(-1).values for layer in logits])

    before = experts()
    with torch.no_grad():
        for parameter, g in zip(parameters, gradient):
            parameter -= FAR * g
        after = experts()
        for parameter, g in zip(parameters, gradient):
            parameter += FAR * g
    return {"tokens": (before != after).any(-1).sum().item(), "of": len(before)}


def write_ragged(folder, model, generator):
    """The loss of sequences of several lengths, which is the same however they are padded or packed."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = [torch.randint(23, [length + 1], generator=generator) for length in (7, 3, 5)]
    losses = {}

    def write(name, **tensors):
        save_file({key: value.contiguous() for key, value in tensors.items()}, folder / f"{name}.safetensors")
        labels = tensors.pop("labels")
        with torch.no_grad(), Widened():
            logits = model(use_cache=False, **tensors).logits
            losses[name] = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)).item()

    for name in ("left", "right"):
        ids, labels = torch.full([3, 9], 11), torch.full([3, 9], -100)
        mask = torch.zeros([3, 9], dtype=torch.int64)
        for row, piece in enumerate(pieces):
            n = len(piece) - 1
            place = slice(9 - n, 9) if name == "left" else slice(0, n)
            ids[row, place], labels[row, place], mask[row, place] = piece[:-1], piece[1:], 1
        positions = dict(position_ids=(mask.cumsum(-1) - 1).clamp(min=0)) if name == "left" else {}
        write(name, input_ids=ids, labels=labels, attention_mask=mask, **positions)
    write("packed", input_ids=torch.cat([p[:-1] for p in pieces])[None], labels=torch.cat([p[1:] for p in pieces])[None],
          position_ids=torch.cat([torch.arange(len(p) - 1) for p in pieces])[None])
    assert max(losses.values()) - min(losses.values()) < 1e-12, losses
    return losses["right"]


def tie(folder, ids, labels, loss):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | dict(tie_word_embeddings=True), indent=2) + "\n")
    torch.set_default_dtype(torch.float64)
    with Widened(), torch.no_grad():
        model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float64).eval()
        logits = model(input_ids=ids, use_cache=False).logits
        again = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)).item()
    torch.set_default_dtype(torch.float32)
    assert abs(again - loss) < 1e-12, (again, loss)


def make_older(folder, keys):
    if not keys:
        return
    config = json.loads((folder / "config.json").read_text())
    config.pop("rope_parameters")
    (folder / "config.json").write_text(json.dumps(config | keys, indent=2) + "\n")
    if config["model_type"] != "gpt_neox":
        return
    tensors = load_file(folder / "model.safetensors")
    tensors["gpt_neox.layers.0.attention.rotary_emb.inv_freq"] = torch.ones(2)
    tensors["gpt_neox.layers.0.attention.bias"] = torch.ones(1, 1, 16, 16, dtype=torch.bool)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    torch.set_num_threads(1)
    wanted = sys.argv[1:] or list(CASES)
    golden = json.loads((HERE / "cases.json").read_text()) if sys.argv[1:] else {"step": STEP, "far": FAR, "cases": {}}
    golden["far"] = FAR
    for seed, (name, (model_type, settings)) in enumerate(CASES.items(), start=1):
        if name not in wanted:
            continue
        golden["cases"][name] = make(name, model_type, settings, seed)
        print(name, golden["cases"][name], flush=True)
    (HERE / "cases.json").write_text(json.dumps(golden, indent=2) + "\n")
