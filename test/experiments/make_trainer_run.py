"""A real transformers.Trainer run of a tiny Llama, and what float64 PyTorch finds at its checkpoints.

Usage: python make_trainer_run.py OUT

OUT/run gets checkpoint-10, -20 and -30, OUT/adapters two of a LoRA training by PEFT, OUT/text.jsonl what it was trained on, OUT/batch-N.safetensors four batches; expected.json has, for
each checkpoint and batch, loss, slope and critical learning rate along Delta of the moments that the run had, for each batch anew, and of
moments from zero, which OUT/warmup-N.safetensors fill, and the learning rate of the next step.
"""
import json, sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

torch.set_num_threads(1)
BETAS, EPSILON, DECAY = (0.9, 0.95), 1e-8, 0.1


class Rows(torch.utils.data.Dataset):
    def __init__(self, rows): self.rows = rows
    def __len__(self): return len(self.rows)
    def __getitem__(self, i): return {"input_ids": self.rows[i].tolist(), "labels": self.rows[i].tolist()}


def sequences(count, length, seed):
    """Walks on a ring: each id follows from the one before, with some noise."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(29, (count, 1), generator=generator)
    for _ in range(length - 1):
        ids = torch.cat([ids, (ids[:, -1:] + torch.randint(1, 4, (count, 1), generator=generator)) % 29], 1)
    return ids


def loss_of(model, batch):
    logits = model(input_ids=batch["input_ids"]).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten())


class Moments:
    def __init__(self, parameters, m=None, v=None, step=0):
        zeros = lambda: {n: torch.zeros_like(p) for n, p in parameters.items()}
        self.m, self.v, self.step = m or zeros(), v or zeros(), step

    def take(self, gradient):
        (b1, b2), self.step = BETAS, self.step + 1
        self.m = {n: b1 * m + (1 - b1) * gradient[n] for n, m in self.m.items()}
        self.v = {n: b2 * v + (1 - b2) * gradient[n] ** 2 for n, v in self.v.items()}

    def delta(self, parameters, decayed):
        (b1, b2), t = BETAS, self.step
        return {n: self.m[n] / (1 - b1 ** t) / ((self.v[n] / (1 - b2 ** t)).sqrt() + EPSILON) + (DECAY * p if n in decayed else 0)
                for n, p in parameters.items()}


def crossing(at, base):
    """The first eta at which the loss is above its base: a fine scan, then bisection."""
    eta = 1e-4
    while at(eta) <= base:
        eta *= 1.05
    low, high = eta / 1.05, eta
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle) <= base else (low, middle)
    return high


def measure(model, folder, decayed, warmup, batches):
    model = model.double()
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    values = {n: p.detach() for n, p in parameters.items()}
    order = [n for n in parameters if n in decayed] + [n for n in parameters if n not in decayed]
    state = torch.load(folder / "optimizer.pt", weights_only=True)
    of = lambda key: {n: state["state"][i][key].double() for i, n in enumerate(order)}

    def gradient(batch):
        loss = loss_of(model, batch)
        return loss.item(), dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values()))))

    def series(moments, batches=batches):
        found = []
        for batch in batches:
            loss, g = gradient(batch)
            moments.take(g)
            delta = moments.delta(values, decayed)
            def at(eta):
                moved = {n: p - eta * delta[n] for n, p in values.items()}
                with torch.no_grad():
                    logits = torch.func.functional_call(model, moved, kwargs={"input_ids": batch["input_ids"]}).logits
                    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten()).item()
            slope = sum((g[n] * delta[n]).sum().item() for n in g)
            found.append({"loss": loss, "slope": slope, "criticalLearningRate": crossing(at, loss)})
        return found

    own = lambda: Moments(values, of("exp_avg"), of("exp_avg_sq"), int(state["state"][0]["step"]))
    frozen = Moments(values)
    for batch in warmup:
        frozen.take(gradient(batch)[1])
    return {"learningRate": state["param_groups"][0]["lr"], "decayed": sorted(decayed),
            "stored": [found for batch in batches for found in series(own(), [batch])], "frozen": series(frozen)}


def arguments(place, steps, rate):
    return TrainingArguments(output_dir=str(place), max_steps=steps, per_device_train_batch_size=8, learning_rate=rate, warmup_steps=5,
                             lr_scheduler_type="cosine", weight_decay=DECAY, adam_beta1=BETAS[0], adam_beta2=BETAS[1], adam_epsilon=EPSILON,
                             save_steps=10, logging_steps=5, seed=1, report_to=[], use_cpu=True, disable_tqdm=True, include_num_input_tokens_seen=True)


def adapt(out, warmup, batches):
    """A LoRA training of the last checkpoint, on other data."""
    from peft import LoraConfig, PeftModel, get_peft_model
    base = lambda: LlamaForCausalLM.from_pretrained(out / "run/checkpoint-30")
    torch.manual_seed(4)
    model = get_peft_model(base(), LoraConfig(task_type="CAUSAL_LM", r=3, lora_alpha=6, target_modules=["q_proj", "v_proj", "down_proj"]))
    trainer = Trainer(model=model, args=arguments(out / "adapters", 20, 2e-2), train_dataset=Rows((sequences(256, 24, 7) * 3) % 29))
    trainer.train()
    decayed = set(trainer.get_decay_parameter_names(model))
    of = lambda step: PeftModel.from_pretrained(base(), out / f"adapters/checkpoint-{step}", is_trainable=True)
    return {step: measure(of(step), out / f"adapters/checkpoint-{step}", decayed, warmup, batches) for step in (10, 20)}


def main(out):
    torch.manual_seed(3)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=29, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
                                         num_key_value_heads=1, max_position_embeddings=32, pad_token_id=None, tie_word_embeddings=False))
    rows = sequences(512, 24, 0)
    trainer = Trainer(model=model, args=arguments(out / "run", 30, 1e-2), train_dataset=Rows(rows))
    trainer.train()
    decayed = set(trainer.get_decay_parameter_names(model))
    as_batch = lambda part: {"input_ids": part[:, :-1].contiguous(), "labels": part[:, 1:].contiguous()}
    every = sequences(8 * 10, 24, 1)
    batches = [as_batch(every[i * 8:i * 8 + 8]) for i in range(10)]
    for i, batch in enumerate(batches):
        save_file(batch, out / f"batch-{i}.safetensors")
    with open(out / "text.jsonl", "w") as file:
        for row in rows.tolist():
            file.write(json.dumps({"input_ids": row}) + "\n")
    of = lambda step: LlamaForCausalLM.from_pretrained(out / f"run/checkpoint-{step}")
    expected = {step: measure(of(step), out / f"run/checkpoint-{step}", decayed, batches[:6], batches[6:]) for step in (10, 20, 30)}
    json.dump({"run": expected, "adapters": adapt(out, batches[:6], batches[6:])}, open(out / "expected.json", "w"))


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    main(place)
