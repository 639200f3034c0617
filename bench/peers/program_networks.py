"""Modules whose forward returns their loss, each with a batch: what bench/programs.mjs exports and measures."""

import torch
import torch.nn.functional as F
from torch import nn


class Classifier(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, inputs, targets):
        return F.cross_entropy(self.network(inputs), targets)


class BasicBlock(nn.Module):
    def __init__(self, inner, outer, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer)
        self.conv2, self.bn2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False), nn.BatchNorm2d(outer)
        self.relu, self.downsample = nn.ReLU(inplace=True), None
        if stride != 1 or inner != outer:
            self.downsample = nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))

    def forward(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


def resnet18(classes=10):
    """With the first convolution that images of 32 × 32 want: 3 × 3, no pooling after it."""
    stem = [nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    widths = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
    blocks = [block for i, o, s in widths for block in (BasicBlock(i, o, s), BasicBlock(o, o, 1))]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(512, classes))


def small_cnn():
    first = [nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1))]
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(6, 3))


class Lstm(nn.Module):
    def __init__(self, vocabulary=12, width=8):
        super().__init__()
        self.embed, self.head = nn.Embedding(vocabulary, width), nn.Linear(width, vocabulary)
        self.lstm = nn.LSTM(width, width, 2, batch_first=True)

    def forward(self, input_ids, labels):
        return F.cross_entropy(self.head(self.lstm(self.embed(input_ids))[0]).flatten(0, 1), labels.flatten())


class LanguageModel(nn.Module):
    def __init__(self, **sizes):
        from transformers import GPT2Config, GPT2LMHeadModel

        super().__init__()
        none = {"resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0, "attn_implementation": "sdpa"}
        self.model = GPT2LMHeadModel(GPT2Config(**sizes, **none))

    def forward(self, input_ids, labels):
        return self.model(input_ids=input_ids, labels=labels, use_cache=False).loss


def images(rows, size, classes):
    return {"inputs": torch.randn(rows, 3, size, size), "targets": torch.randint(classes, (rows,))}


def vectors(rows, width, classes):
    return {"inputs": torch.randn(rows, width), "targets": torch.randint(classes, (rows,))}


def tokens(rows, length, vocabulary):
    ids = torch.randint(vocabulary, (rows, length))
    return {"input_ids": ids, "labels": ids.clone()}


def mlp():
    return nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10))


def gpt2(**sizes):
    return LanguageModel(**sizes).eval()


# The small ones compute at most 200 kFLOP a node.
NETWORKS = {
    "ResNet-18": lambda: (Classifier(resnet18()).train(), images(64, 32, 10)),
    "GPT-2 of 10 M": lambda: (
        gpt2(vocab_size=8192, n_positions=512, n_embd=256, n_layer=8, n_head=8),
        tokens(4, 512, 8192),
    ),
    "small MLP": lambda: (Classifier(mlp()), vectors(16, 32, 10)),
    "small CNN": lambda: (Classifier(small_cnn()).train(), images(4, 8, 3)),
    "small GPT-2": lambda: (
        gpt2(vocab_size=32, n_positions=16, n_embd=16, n_layer=2, n_head=2),
        tokens(2, 16, 32),
    ),
    "small LSTM": lambda: (Lstm(), tokens(3, 6, 12)),
}


def network(name):
    """The same weights and batch in each process."""
    torch.manual_seed(1)
    return NETWORKS[name]()
