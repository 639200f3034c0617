"""Writes what Python's tokenizers makes of every kind of step: test/data/tokenizers/steps.json.

One vocabulary, whose merges go over all borders, so that a border at another place gives other ids; each case says what it
changes in it. Needs tokenizers.
"""

import json
import pathlib

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

texts = [
    "Hello world, it's a test.",
    "  two  spaces   and more    ",
    "naïve café Größe ﬁ a½b ½½ ①② x²y ³",
    "ΟΔΟΣ ΣΟΦΟΣ Σ",
    "日本語のテキスト 中文字符",
    "emoji 🙂 👨‍👩‍👧‍👦 🍣 sushi",
    "1234567 3.14 10,000 x1y22z",
    "HELLOWorld fooBar camelCase",
    "<s> hi </s> [MASK]  <|end|>glued<|end|>",
    "\u2028line\u2029p\u0085n \u0085\u0085 a\u0085b \u0085",
    "zero\u200bw\u200dj\ufeffb\u00a0n\u3000i",
    "!!! ?!?! ...--- #\ufeff# \ufeff!!",
    "_under_score __x__ --a--b-c -",
    "$1 $& cost $5 price$$",
    "tabs\tand\nnew\r\n\n\n  lines",
    "क्षि\u200dक्ष \u200c\u200d_x",
    "",
    "   ",
    "\n",
]
pre, norm = pre_tokenizers, normalizers
bytes_alone = pre.ByteLevel(add_prefix_space=False, use_regex=False)
base = Tokenizer(models.BPE())
base.pre_tokenizer = bytes_alone
base.train_from_iterator(
    texts * 4,
    trainers.BpeTrainer(vocab_size=640, show_progress=False, initial_alphabet=pre.ByteLevel.alphabet()),
)
base = json.loads(base.to_str())
part = lambda step: json.loads(step.__getstate__())
before = lambda *steps: {"pre_tokenizer": part(pre.Sequence([*steps, bytes_alone]))}
normalized = lambda *steps: {"normalizer": part(norm.Sequence(list(steps)))}

cases = {
    "ByteLevel": {"pre_tokenizer": part(pre.ByteLevel(add_prefix_space=False))},
    "ByteLevel with a space before": {"pre_tokenizer": part(pre.ByteLevel(add_prefix_space=True))},
    "Digits": before(pre.Digits(False)),
    "Digits one by one": before(pre.Digits(True)),
    "Whitespace": before(pre.Whitespace()),
    "WhitespaceSplit": before(pre.WhitespaceSplit()),
    "BertPreTokenizer": before(pre.BertPreTokenizer()),
    "CharDelimiterSplit": before(pre.CharDelimiterSplit("-")),
    "FixedLength": before(pre.FixedLength(5)),
    "Lowercase": normalized(norm.Lowercase()),
    "Strip": normalized(norm.Strip()),
    "BertNormalizer": normalized(norm.BertNormalizer()),
    "Replace by a dollar sign": normalized(norm.Replace("-", "$&")),
    "Replace by two of them": normalized(norm.Replace(Regex("-+"), "$$")),
    "Split at \\b\\w": before(pre.Split(Regex(r"\b\w"), "merged_with_next")),
}
for behavior in ("isolated", "removed", "contiguous", "merged_with_previous", "merged_with_next"):
    cases[f"Punctuation {behavior}"] = before(pre.Punctuation(behavior))
    for invert in (False, True):
        name = f"{behavior}{' inverted' if invert else ''}"
        cases[f"Split {name}"] = before(pre.Split(Regex(r"[\p{P} ]"), behavior, invert))
        cases[f"Split with groups {name}"] = before(pre.Split(Regex(r"(\s)+|(-)"), behavior, invert))
        cases[f"Split at a string {name}"] = before(pre.Split("-", behavior, invert))
        cases[f"Split at nothing {name}"] = before(pre.Split(Regex(r"(?=[A-Z])"), behavior, invert))


def unigram(byte_count, **changes):
    made = Tokenizer(models.Unigram())
    trainer = trainers.UnigramTrainer(vocab_size=200, show_progress=False, special_tokens=["<unk>"], unk_token="<unk>")
    # Trained on the first texts alone: the others have letters that no token spells.
    made.pre_tokenizer = pre.Metaspace(split=False)
    made.train_from_iterator(texts[:2] * 5, trainer)
    found = json.loads(made.to_str())
    found["model"]["byte_fallback"] = byte_count > 0
    found["model"]["vocab"] += [[f"<0x{i:02X}>", -12.0] for i in range(byte_count)]
    found["pre_tokenizer"].update(changes)
    return {key: found[key] for key in ("model", "pre_tokenizer", "added_tokens")}


def few(made, **how):
    made.pre_tokenizer = pre.Whitespace()
    made.train_from_iterator(texts[:1], trainers.BpeTrainer(vocab_size=60, show_progress=False, **how))
    found = json.loads(made.to_str())
    return {key: found[key] for key in ("model", "pre_tokenizer", "added_tokens")}


def words():
    made = Tokenizer(models.WordLevel(unk_token="<unk>"))
    made.pre_tokenizer = pre.Whitespace()
    trainer = trainers.WordLevelTrainer(vocab_size=60, show_progress=False, special_tokens=["<unk>"])
    made.train_from_iterator(texts[:8], trainer)
    found = json.loads(made.to_str())
    return {key: found[key] for key in ("model", "pre_tokenizer", "added_tokens")}


unknown = {"special_tokens": ["<unk>"]}
cases |= {
    "Unigram": unigram(0),
    "Unigram with its pieces apart": unigram(0, split=True),
    "Unigram with bytes": unigram(256),
    "Unigram with some bytes": unigram(200),
    "WordLevel": words(),
    "BPE without a token for the unknown": few(Tokenizer(models.BPE())),
    "BPE with one": few(Tokenizer(models.BPE(unk_token="<unk>")), **unknown),
    "BPE that fuses them": few(Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True)), **unknown),
    "BPE with a word's end": few(
        Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>")), end_of_word_suffix="</w>", **unknown
    ),
}

lines = []
for name, changes in cases.items():
    tokenizer = Tokenizer.from_str(json.dumps({**base, **changes}))
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    lines.append(f"{json.dumps(name)}: " + json.dumps({"changes": changes, "ids": ids}, separators=(",", ":")))
file = pathlib.Path(__file__).parent / "tokenizers/steps.json"
compact = json.dumps(base, separators=(",", ":"))
file.write_text(f'{{"texts": {json.dumps(texts)},\n"base": {compact},\n"cases": {{\n' + ",\n".join(lines) + "\n}}\n")
