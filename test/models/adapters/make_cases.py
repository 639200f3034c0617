"""Tiny models with LoRA adapters, written by PEFT, and their losses from the model to the merged one, in float64.

Usage: python make_cases.py            (packages of test/requirements.txt, and peft 0.21)
"""

import json
import shutil
import warnings
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

warnings.simplefilter("ignore")
here = Path(__file__).parent
out = here / "cases"
special = dict(bos_token_id=None, eos_token_id=None, pad_token_id=None)
llama_sizes = dict(
    vocab_size=24, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=1, max_position_embeddings=16, **special,
)


def llama(tied):
    return LlamaForCausalLM(LlamaConfig(tie_word_embeddings=tied, **llama_sizes))


def gpt2():
    return GPT2LMHeadModel(GPT2Config(vocab_size=24, n_embd=8, n_layer=2, n_head=2, n_positions=16, **special))


def neox():
    return GPTNeoXForCausalLM(GPTNeoXConfig(
        vocab_size=24, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=16, tie_word_embeddings=False, **special))


def qwen2():
    return Qwen2ForCausalLM(Qwen2Config(tie_word_embeddings=False, **llama_sizes))


every = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
cases = {
    "plain": (lambda: llama(True), dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])),
    "rslora": (lambda: llama(False), dict(r=4, lora_alpha=6, target_modules=every, use_rslora=True)),
    "patterns": (lambda: llama(True), dict(
        r=2, lora_alpha=4, target_modules=every,
        rank_pattern={"o_proj": 3, r"^model\.layers\.1\.mlp\.up_proj": 1, r"layers\.\d\.self_attn\.q_proj": 4},
        alpha_pattern={"down_proj": 7.5, r".*\.1\.self_attn\.v_proj": 1})),
    # k_proj is [4, 8]: a larger rank than it has.
    "large-rank": (lambda: llama(True), dict(r=6, lora_alpha=3, target_modules=["k_proj"])),
    "gpt2": (gpt2, dict(r=2, lora_alpha=4, target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True)),
    "saved": (lambda: llama(False), dict(
        r=2, lora_alpha=4, target_modules=["q_proj"], modules_to_save=["lm_head", "input_layernorm"])),
    "embedding": (lambda: llama(False), dict(r=2, lora_alpha=4, target_modules=["embed_tokens", "lm_head"])),
    "biases": (qwen2, dict(r=2, lora_alpha=4, target_modules=["q_proj", "o_proj"], bias="all")),
    "neox": (neox, dict(r=2, lora_alpha=4, target_modules=["query_key_value"], modules_to_save=["embed_out"])),
}
halves = {"rslora": torch.bfloat16, "gpt2": torch.float16}


def loss(model, ids):
    logits = model(input_ids=ids[:, :-1]).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()).item()


def in_float64(model):
    return model.double().eval()


def make(name, build, options):
    folder = out / name
    torch.manual_seed(len(name))
    base = build()
    with torch.no_grad():
        for parameter in base.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    base.save_pretrained(folder / "base")
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **options))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.2 * torch.randn_like(parameter))
    model.peft_config["default"].base_model_name_or_path = "../base"
    model.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink(missing_ok=True)
    (folder / "base" / "generation_config.json").unlink(missing_ok=True)
    file = folder / "adapter" / "adapter_model.safetensors"
    if name in halves:
        save_file({k: t.to(halves[name]) for k, t in load_file(file).items()}, file, metadata={"format": "pt"})
    ids = torch.randint(0, 24, (3, 13))
    original = in_float64(AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32))
    merged = in_float64(PeftModel.from_pretrained(
        in_float64(AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32)), folder / "adapter",
        autocast_adapter_dtype=False).double()).merge_and_unload()
    ends = [{n: p.detach().clone() for n, p in m.named_parameters()} for m in (original, merged)]
    assert ends[0].keys() == ends[1].keys(), name
    norm = sum((ends[0][n] - ends[1][n]).square().sum() for n in ends[0]).sqrt().item()
    losses = {}
    for eta in (0.0, 0.5, 1.0, 1.5, -1.0):
        with torch.no_grad():
            for n, p in original.named_parameters():
                p.copy_(ends[0][n] + eta * (ends[1][n] - ends[0][n]))
        losses[str(eta)] = loss(original, ids)
    assert abs(losses["1.0"] - loss(merged, ids)) < 1e-12, name
    changed = sorted(n for n in ends[0] if not torch.equal(ends[0][n], ends[1][n]))
    return {"input_ids": ids.tolist(), "losses": losses, "norm": norm, "changed": changed}


if __name__ == "__main__":
    shutil.rmtree(out, ignore_errors=True)
    results = {name: make(name, *case) for name, case in cases.items()}
    (here / "cases.json").write_text("{\n" + ",\n".join(f"  {json.dumps(n)}: {json.dumps(r)}" for n, r in results.items()) + "\n}\n")
