"""The reference networks: mean losses in float64 as functions of a dictionary of parameters, named as in our files."""

import torch
import torch.nn.functional as F
from transformers import GPT2Config, GPT2LMHeadModel

ACTIVATIONS = {"gelu": F.gelu, "relu": F.relu, "tanh": torch.tanh}


class Mlp:
    def __init__(self, config):
        self.sizes = config["layer_sizes"]
        self.activation = ACTIVATIONS[config["activation"]]
        self.loss_name = config["loss"]

    def shapes(self):
        shapes = {}
        for n, (inputs, outputs) in enumerate(zip(self.sizes, self.sizes[1:])):
            shapes[f"layers.{n}.weight"] = [outputs, inputs]
            shapes[f"layers.{n}.bias"] = [outputs]
        return shapes

    def loss(self, parameters, batch):
        x = batch["inputs"].double()
        last = len(self.sizes) - 2
        for n in range(last + 1):
            x = F.linear(x, parameters[f"layers.{n}.weight"], parameters[f"layers.{n}.bias"])
            if n < last:
                x = self.activation(x)
        if self.loss_name == "mse":
            return F.mse_loss(x, batch["targets"].double())
        return F.cross_entropy(x, batch["targets"])


class Gpt2:
    """Hugging Face's own GPT-2, in its eager attention."""

    def __init__(self, config):
        known = {key: value for key, value in config.items() if key != "model_type"}
        off = {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0, "bos_token_id": None, "eos_token_id": None}
        configured = GPT2Config(**known, **off, use_cache=False, attn_implementation="eager")
        self.module = GPT2LMHeadModel(configured).double().eval()

    def shapes(self):
        # named_parameters() lists a tied parameter once.
        return {name: list(p.shape) for name, p in self.module.named_parameters()}

    def loss(self, parameters, batch):
        output = torch.func.functional_call(self.module, parameters, (batch["input_ids"],))
        return F.cross_entropy(output.logits.flatten(0, 1), batch["labels"].flatten(), ignore_index=-100)


def network(config):
    return {"mlp": Mlp, "gpt2": Gpt2}[config["model_type"]](config)


def loss_and_gradient(net, parameters, batch):
    leaves = {name: p.clone().requires_grad_(True) for name, p in parameters.items()}
    loss = net.loss(leaves, batch)
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    return loss.item(), dict(zip(leaves, gradients))
