"""Exports a small ResNet with batch norm, and CIFAR-10 images as its batches: python figure-3-resnet.py cifar10/*.bin

Writes resnet.pt2 and images.safetensors into the working directory. Needs PyTorch and safetensors, once."""

import sys

import numpy
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

COUNT = 250


class Block(nn.Module):
    def __init__(self, inside, outside, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outside)
        self.shortcut = nn.Identity() if stride == 1 else nn.Conv2d(inside, outside, 1, stride, bias=False)

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class ResNetLoss(nn.Module):
    """ResNet-8 of width 16 (He et al. 2016, section 4.2, with n = 1), and its cross-entropy."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.Sequential(Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2))
        self.head = nn.Linear(64, 10)

    def forward(self, images, labels):
        x = self.blocks(self.stem(images))
        return F.cross_entropy(self.head(x.mean((2, 3))), labels)


data = numpy.concatenate([numpy.fromfile(file, numpy.uint8).reshape(-1, 3073) for file in sys.argv[1:]])[:COUNT]
pixels = torch.from_numpy(data[:, 1:].copy()).reshape(-1, 3, 32, 32).float() / 255
mean, deviation = pixels.mean((0, 2, 3), keepdim=True), pixels.std((0, 2, 3), keepdim=True)
images, labels = ((pixels - mean) / deviation).contiguous(), torch.from_numpy(data[:, 0].astype(numpy.int64))
save_file({"images": images, "labels": labels}, "images.safetensors")

torch.manual_seed(1)
rows = torch.export.Dim.AUTO
program = torch.export.export(
    ResNetLoss().train(),
    (images[:8].clone(), labels[:8].clone()),
    dynamic_shapes={"images": {0: rows}, "labels": {0: rows}},
    strict=False,
)
torch.export.save(program, "resnet.pt2")
