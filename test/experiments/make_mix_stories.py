"""
Writes mix-stories.json: slopes and critical sharpness of a pretrained Llama of 260 K parameters on its own stories, on GSM8K
and on MMLU, along AdamW directions of stories mixed with GSM8K, in float64 by Hugging Face transformers. The folder with
stories260k, gsm8k and mmlu is the argument.
"""

import itertools
import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = Path(__file__).parent
sys.path += [str(HERE.parent / "golden"), str(HERE.parent / "models/families")]
from make_cases import Widened  # noqa: E402
from updates import adamw  # noqa: E402

RATIOS, BATCHES, ROWS, JUDGED, LENGTH = [0, 0.3, 0.5, 0.9, 1], 3, 4, 8, 128
BETAS, EPSILON, DECAY = [0.9, 0.95], 1e-8, 0.1
SOURCES = {
    "stories": ("stories260k/sampled-stories.jsonl", lambda r: r["text"]),
    "gsm8k": ("gsm8k/train.jsonl", lambda r: r["question"] + "\n" + r["answer"]),
    "mmlu": ("mmlu/test.jsonl", lambda r: "\n".join([r["question"], *r["choices"]])),
}


def batches(folder, tokenizer, file, text):
    """Batches of texts from their beginning for the mixture, and one more that judges."""
    with open(folder / file) as lines:
        records = [json.loads(line) for line in itertools.islice(lines, BATCHES * ROWS + JUDGED)]
    rows = [[1, *tokenizer.encode(text(r), add_special_tokens=False)][: LENGTH + 1] for r in records]
    cuts = [*range(0, BATCHES * ROWS + 1, ROWS), len(rows)]
    return [rows[a:b] for a, b in itertools.pairwise(cuts)]


def mixtures(ratio, stories, gsm8k):
    """Batches of which stories make up a part of the tokens: each next row is of the source that is furthest behind."""
    given = [0, 0]
    for pools in zip(stories, gsm8k):
        taken = [0, 0]
        for _ in range(ROWS):
            total = sum(given) + LENGTH
            behind = [share * total - tokens for share, tokens in zip((ratio, 1 - ratio), given)]
            source = 0 if ratio == 1 or (ratio > 0 and behind[0] >= behind[1]) else 1
            given[source] += len(pools[source][taken[source]]) - 1
            taken[source] += 1
        yield pools[0][: taken[0]] + pools[1][: taken[1]]


def loss(model, rows):
    ids = torch.zeros(len(rows), LENGTH, dtype=torch.long)
    labels = torch.full((len(rows), LENGTH), -100)
    for i, row in enumerate(rows):
        ids[i, : len(row) - 1] = torch.tensor(row[:-1])
        labels[i, : len(row) - 1] = torch.tensor(row[1:])
    return torch.nn.functional.cross_entropy(model(input_ids=ids).logits.flatten(0, 1), labels.flatten())


def gradient(model, rows):
    model.zero_grad()
    loss(model, rows).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


@torch.no_grad()
def critical_sharpness(model, rows, direction):
    """2/η of the first rise on a grid of ratio 1.1 from 1e-7, refined by bisection to 1e-10."""
    start = {name: p.clone() for name, p in model.named_parameters()}

    def loss_at(eta):
        for name, p in model.named_parameters():
            p.copy_(start[name] - eta * direction[name])
        return loss(model, rows).item()

    base, low, high = loss_at(0.0), 0.0, 1e-7
    while loss_at(high) <= base:
        low, high = high, 1.1 * high
    assert low > 0, "the grid starts above the crossing"
    while high - low > 1e-10 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if loss_at(middle) > base else (middle, high)
    loss_at(0.0)
    return 4 / (low + high)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    tokenizer = AutoTokenizer.from_pretrained(folder / "stories260k")
    torch.set_default_dtype(torch.float64)
    with Widened():
        model = AutoModelForCausalLM.from_pretrained(
            folder / "stories260k", attn_implementation="eager", dtype=torch.float64
        )
        data = {name: batches(folder, tokenizer, *source) for name, source in SOURCES.items()}
        own = {name: gradient(model, rows[-1]) for name, rows in data.items()}
        weights = {name: p.detach().clone() for name, p in model.named_parameters()}
        lines = []
        for ratio in RATIOS:
            batches_of_both = mixtures(ratio, data["stories"][:-1], data["gsm8k"][:-1])
            mixed = [gradient(model, rows) for rows in batches_of_both]
            direction, _ = adamw(weights, mixed, BETAS, EPSILON, DECAY)
            for task, rows in data.items():
                slope = sum((own[task][n] * direction[n]).sum() for n in direction).item()
                sharpness = critical_sharpness(model, rows[-1], direction) if slope > 0 else None
                lines.append({"ratio": ratio, "task": task, "slope": slope, "criticalSharpness": sharpness})
                print(lines[-1])
    setting = {"ratios": RATIOS, "batches": BATCHES, "rows": ROWS, "judged": JUDGED, "length": LENGTH}
    (HERE / "mix-stories.json").write_text(json.dumps({**setting, "lines": lines}, indent=1) + "\n")
