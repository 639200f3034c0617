"""Writes what Python's tokenizers makes of difficult texts: test/data/tokenizers/*.json and ids.json.

Needs tokenizers; the folder of the real data is the first argument (it is left out where there is none).
"""

import json
import pathlib
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

here = pathlib.Path(__file__).parent
folder = here / "tokenizers"
texts = [
    "",
    " ",
    "  two  spaces   and more    ",
    "Once upon a time, there was a little girl named Lily.",
    "tabs\tand\nnewlines\r\n\n\n  indented\n\tcode(x, y) { return x**2; }\n",
    "It's we'll they'RE I'd can't you've 'S 'Ll",
    "1234567890 3.14159 1,000,000 0x1F 2^10",
    "MixedCASE camelCase snake_case kebab-case SHOUTING",
    "naïve café Größe ĳ ﬁ ½ İstanbul ß ẞ",
    "e\u0301 vs \u00e9, A\u030a vs \u00c5, \u1e9b\u0323",
    "Ελληνικά Русский עברית العربية हिन्दी ไทย",
    "日本語のテキスト 中文字符 한국어 文字列",
    "emoji 🙂 👨‍👩‍👧‍👦 🇩🇪 👍🏽 ☃️",
    "zero\u200bwidth\u200djoiner\ufeffbom \u00a0nbsp\u2003em\u3000ideographic",
    "control \x01\x02\x1b[0m \x7f and null \x00 end",
    "surrogates 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚𝟛 𓀀",
    "<s> </s> <unk> <|endoftext|> <|end|> in the middle<|endoftext|>glued",
    "<|endoftext",
    "▁lower one eighth block▁ and Ġ Ċ bytes Ā",
    "punctuation!!! ... ---- ?!?! «guillemets» “quotes” ‘single’ – — …",
    "https://example.org/a/b?c=d&e=f#g user@example.com C:\\path\\file",
    "math ∑∫√∞≈≠ ∂L/∂θ λ_max(H) ≤ 2/η − γ",
    "Pneumonoultramicroscopicsilicovolcanoconiosis",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "Janet sells 16 - 3 - 4 = <<16-3-4=9>>9 duck eggs a day.\n#### 18",
    "trailing newline\n",
    "\n",
    "a",
    "\u2028line\u2029paragraph\u0085next",
    "ﷺ ﬀ Ǆ Ⅷ ㎏ ℡",
]


def byte_level(normalizer, split, post):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[AddedToken("<|endoftext|>", special=True, normalized=False)],
    )
    tokenizer.train_from_iterator(texts * 3, trainer)
    if post:
        tokenizer.post_processor = post(tokenizer)
    return tokenizer


llama3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
made = {
    # As GPT-2, Pythia and OLMo do it.
    "gpt2": byte_level(None, pre_tokenizers.ByteLevel(add_prefix_space=False), lambda _: processors.ByteLevel(trim_offsets=False)),
    # As Llama 3 and Qwen do it, with a first token.
    "llama3": byte_level(
        normalizers.NFC(),
        pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(llama3), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]),
        lambda _: processors.TemplateProcessing(
            single="<|endoftext|> $A", pair="<|endoftext|> $A <|endoftext|> $B", special_tokens=[("<|endoftext|>", 0)]
        ),
    ),
}
folder.mkdir(exist_ok=True)
for name, tokenizer in made.items():
    (folder / f"{name}.json").write_text(tokenizer.to_str())
if len(sys.argv) > 1:
    made["stories260k"] = Tokenizer.from_file(f"{sys.argv[1]}/stories260k/tokenizer.json")
ids = {
    name: [
        {"plain": tokenizer.encode(text, add_special_tokens=False).ids, "special": tokenizer.encode(text).ids}
        for text in texts
    ]
    for name, tokenizer in made.items()
}
lines = ",\n".join(f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]" for name, rows in ids.items())
(folder / "ids.json").write_text(f'{{"texts": {json.dumps(texts)},\n{lines}}}\n')
