"""
Writes stories.json: the loss of a pretrained Llama of 260 K parameters on stories of its own, in float64 by Hugging Face
transformers. The folder with model, tokenizer.json and sampled-stories.jsonl is the argument.
"""

import itertools
import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from make_cases import HERE, Widened

STORIES, LENGTH = 16, 128

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with open(folder / "sampled-stories.jsonl") as lines:
        texts = [json.loads(line)["text"] for line in itertools.islice(lines, STORIES)]
    labels = torch.tensor([tokenizer.encode(text, add_special_tokens=False)[:LENGTH] for text in texts])
    ids = torch.cat([torch.full([STORIES, 1], 1), labels[:, :-1]], 1)
    torch.set_default_dtype(torch.float64)
    with Widened():
        model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float64)
        with torch.no_grad():
            logits = model(input_ids=ids).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten()).item()
    (HERE / "stories.json").write_text(json.dumps({"stories": STORIES, "length": LENGTH, "loss": loss}) + "\n")
    print(loss)
