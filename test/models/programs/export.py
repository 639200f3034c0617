"""Writes the small programs of fixtures/, with what PyTorch itself says of them.

Usage: python test/models/programs/export.py [names...]     (torch 2.13 for CPU, safetensors, transformers; all programs by
default; into the folder that the variable PROGRAMS names, if it does)

NAME.pt2                    torch.export.save of a module whose forward returns its loss
NAME.safetensors            a batch, by the names of forward's arguments
NAME.expected.safetensors   of that batch, in eager mode with one thread and dropout off:
    loss, loss64            in the program's dtype, as under autograd; in float64, if the model can
    loss_no_grad            as without autograd, which has other kernels here and there
    rows                    where forward returns a loss for each row: these; the loss is their mean in float64
    sum, weight             where it returns these two
    loss_seed_7             where there is dropout: the loss with it, after torch.manual_seed(7)
    gradient.PARAMETER      by the default kernels
    product.PARAMETER       the Hessian times v, v[i] = sin(i) within each parameter; attention by its math kernel
    and in its metadata the reduction ("loss", "sum-and-weight") and the names of tied parameters

A node keeps two lines of its stack trace, and no path of the machine that it was made on. A program of more than 60 kB loses what
PyTorch needs to load it again but nothing runs by: dtypes and sizes of values within the graph, and spaces.
"""
import copy, inspect, json, os, re, sys, warnings
from pathlib import Path
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
AUTO = torch.export.Dim.AUTO
OUT = Path(os.environ.get("PROGRAMS", Path(__file__).parent / "fixtures"))


# ---- modules ---------------------------------------------------------------------------------------------------------

class Classifier(nn.Module):
    def __init__(self, net): super().__init__(); self.net = net
    def forward(self, inputs, targets): return F.cross_entropy(self.net(inputs), targets)


class Regression(nn.Module):
    """A loss for each row."""
    def __init__(self, net): super().__init__(); self.net = net
    def forward(self, inputs, targets): return F.smooth_l1_loss(self.net(inputs), targets, reduction="none").mean(1)


class Options(nn.Module):
    """Arguments that export fixes, an argument that is not used, buffers of both kinds, a constant, a frozen layer."""
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 3)
        self.a.requires_grad_(False)
        self.register_buffer("mean", torch.arange(4.0))
        self.register_buffer("scale", torch.linspace(0.5, 1.5, 4), persistent=False)
        self.weights = torch.tensor([1.0, 2.0, 0.5])

    def forward(self, inputs, targets, unused, power=2, mask=None, mode="plain"):
        x = ((inputs - self.mean) * self.scale) ** power
        return F.cross_entropy(self.b(torch.tanh(self.a(x))), targets, weight=self.weights, label_smoothing=0.1)


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.norm2, self.head = nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Linear(6, 3)

    def forward(self, images, targets):
        x = F.max_pool2d(F.relu(self.norm(self.conv(images))), 2)
        return F.cross_entropy(self.head(F.relu(self.norm2(self.conv2(x))).mean((2, 3))), targets)


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


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.relu = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True)
        self.blocks = nn.Sequential(BasicBlock(4, 4, 1), BasicBlock(4, 6, 2))
        self.pool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(6, 4)

    def forward(self, images, targets):
        x = self.blocks(self.relu(self.bn1(self.conv1(images))))
        return F.cross_entropy(self.fc(torch.flatten(self.pool(x), 1)), targets)


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.norm1, self.norm2 = heads, nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class Vit(nn.Module):
    def __init__(self, width=8, patches=4):
        super().__init__()
        self.patch, self.token = nn.Conv2d(3, width, 4, stride=4), nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.position = nn.Parameter(torch.randn(1, patches + 1, width) * 0.02)
        self.block, self.norm, self.head = Block(width, 2), nn.LayerNorm(width), nn.Linear(width, 3)

    def forward(self, images, targets):
        x = self.patch(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        return F.cross_entropy(self.head(self.norm(self.block(x))[:, 0]), targets)


class MaskedAttention(nn.Module):
    """Attention by hand: −∞, slices without an end, indices beside none, sizes in arithmetic."""
    def __init__(self, width=8, vocabulary=12):
        super().__init__()
        self.embed, self.qkv, self.head = nn.Embedding(vocabulary, width), nn.Linear(width, 3 * width), nn.Linear(width, vocabulary)

    def forward(self, input_ids, keep):
        q, k, v = self.qkv(self.embed(input_ids)).chunk(3, -1)
        rows, length, width = q.shape
        scores = (q @ k.transpose(1, 2)) / width**0.5
        causal = torch.ones(length, length, dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(causal | ~keep[:, None, :] & ~torch.eye(length, dtype=torch.bool), float("-inf"))
        logits = self.head(scores.softmax(-1) @ v)[:, torch.arange(length - 1)]
        return F.cross_entropy(logits.reshape(rows * (length - 1), -1), input_ids[:, 1:].reshape(-1))


class LanguageModel(nn.Module):
    """Embedding and head may share their weight."""
    def __init__(self, body, width=8, vocabulary=12, tied=False):
        super().__init__()
        self.embed, self.body, self.head = nn.Embedding(vocabulary, width), body, nn.Linear(width, vocabulary, bias=not tied)
        if tied: self.head.weight = self.embed.weight

    def forward(self, input_ids, labels):
        h = self.body(self.embed(input_ids))
        return F.cross_entropy(self.head(h[0] if isinstance(h, tuple) else h).flatten(0, 1), labels.flatten())


class SumAndWeight(LanguageModel):
    def forward(self, input_ids, labels):
        logits = self.head(self.body(self.embed(input_ids)))
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum")
        return loss, (labels != -100).sum()


class HuggingFace(nn.Module):
    def __init__(self, model): super().__init__(); self.model = model
    def forward(self, input_ids, labels): return self.model(input_ids=input_ids, labels=labels, use_cache=False).loss


class HuggingFaceMasked(HuggingFace):
    def forward(self, input_ids, labels): return self.model(input_ids=input_ids, labels=labels).loss


class Encoder(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.embed, self.head = nn.Embedding(12, 8), nn.Linear(8, 3)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, dropout, batch_first=True), 1)

    def forward(self, input_ids, targets): return F.cross_entropy(self.head(self.encoder(self.embed(input_ids)).mean(1)), targets)


class Unet(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU())
        self.first, self.norm = nn.Conv2d(1, width, 3, padding=1), nn.GroupNorm(2, width)
        self.down, self.up = nn.Conv2d(width, width, 3, 2, 1), nn.ConvTranspose2d(width, width, 2, 2)
        self.last = nn.Conv2d(2 * width, 1, 3, padding=1)
        self.register_buffer("frequencies", torch.exp(torch.linspace(0, -3, width // 2)), persistent=False)

    def forward(self, x, t):
        angles = t[:, None] * self.frequencies
        time = self.time(torch.cat([angles.sin(), angles.cos()], 1))[:, :, None, None]
        skip = F.silu(self.norm(self.first(x))) + time
        return self.last(torch.cat([skip, F.interpolate(self.up(F.silu(self.down(skip))), size=x.shape[-2:], mode="nearest")], 1))


class Diffusion(nn.Module):
    """Noise and t are inputs, so that the loss is a function."""
    def __init__(self):
        super().__init__()
        self.unet = Unet()
        self.register_buffer("alpha_bar", torch.cumprod(1 - torch.linspace(1e-4, 0.02, 100), 0))

    def forward(self, images, noise, timesteps):
        a = self.alpha_bar[timesteps][:, None, None, None]
        return F.mse_loss(self.unet(a.sqrt() * images + (1 - a).sqrt() * noise, timesteps), noise)


class Dpo(nn.Module):
    def __init__(self, policy, reference, beta=0.1):
        super().__init__()
        self.policy, self.reference, self.beta = policy, reference.requires_grad_(False), beta

    @staticmethod
    def log_probability(model, ids, mask):
        found = model(ids)[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
        return (found * mask[:, 1:]).sum(-1)

    def forward(self, chosen, rejected, chosen_mask, rejected_mask):
        margin = self.log_probability(self.policy, chosen, chosen_mask) - self.log_probability(self.policy, rejected, rejected_mask)
        with torch.no_grad():
            other = self.log_probability(self.reference, chosen, chosen_mask) - self.log_probability(self.reference, rejected, rejected_mask)
        return -F.logsigmoid(self.beta * (margin - other)).mean()


class Ppo(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.policy, self.value = nn.Sequential(nn.Linear(4, 8), nn.Tanh()), nn.Linear(8, 3), nn.Linear(8, 1)

    def forward(self, observations, actions, advantages, returns, old_log_probabilities):
        h = self.body(observations)
        policy = torch.distributions.Categorical(logits=self.policy(h), validate_args=False)
        ratio = (policy.log_prob(actions) - old_log_probabilities).exp()
        gain = torch.min(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages).mean()
        return 0.5 * (self.value(h).squeeze(-1) - returns).pow(2).mean() - gain - 0.01 * policy.entropy().mean()


class PolicyGradient(nn.Module):
    """Continuous actions, a state-independent deviation."""
    def __init__(self): super().__init__(); self.mean, self.log_deviation = nn.Sequential(nn.Linear(4, 8), nn.ELU(), nn.Linear(8, 2)), nn.Parameter(torch.zeros(2))

    def forward(self, observations, actions, returns):
        policy = torch.distributions.Normal(self.mean(observations), self.log_deviation.exp(), validate_args=False)
        return -(policy.log_prob(actions).sum(-1) * (returns - returns.mean()) / (returns.std() + 1e-6)).mean()


class Gcn(nn.Module):
    def __init__(self): super().__init__(); self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 3)
    def spread(self, x, edges): return torch.zeros_like(x).index_add(0, edges[1], x[edges[0]])
    def forward(self, nodes, edges, targets):
        return F.cross_entropy(self.b(self.spread(F.relu(self.a(self.spread(nodes, edges))), edges)), targets)


class Autocast(nn.Module):
    def __init__(self): super().__init__(); self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 3)
    def forward(self, inputs, targets):
        with torch.autocast("cpu", torch.bfloat16): h = self.b(F.relu(self.a(inputs)))
        return F.cross_entropy(h.float(), targets)


class Cond(nn.Module):
    def __init__(self): super().__init__(); self.a, self.b = nn.Linear(4, 3), nn.Linear(4, 3)
    def forward(self, inputs, targets):
        return F.cross_entropy(torch.cond(inputs.sum() > 0, lambda x: self.a(x), lambda x: self.b(x).tanh(), (inputs,)), targets)


class Pinn(nn.Module):
    """u′ + u = 0, u(0) = 1."""
    def __init__(self): super().__init__(); self.net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
    def forward(self, x):
        u, du = torch.func.jvp(self.net, (x,), (torch.ones_like(x),))
        return (du + u).square().mean() + (self.net(torch.zeros_like(x[:1])) - 1).square().mean()


class DataDependent(nn.Module):
    """Rows that the batch itself selects, and a number taken out of a tensor."""
    def __init__(self): super().__init__(); self.head = nn.Linear(4, 3)
    def forward(self, inputs, targets):
        return F.cross_entropy(self.head(inputs)[targets > 0], targets[targets > 0]) * inputs.abs().mean().item()


class Recommender(nn.Module):
    def __init__(self):
        super().__init__()
        self.users, self.items, self.bias = nn.Embedding(9, 8), nn.Embedding(11, 8), nn.Embedding(11, 1)
    def forward(self, users, items, clicked):
        return F.binary_cross_entropy_with_logits((self.users(users) * self.items(items)).sum(-1) + self.bias(items)[:, 0], clicked)


class Plain(nn.Module):
    """Logits of tokens, for Dpo."""
    def __init__(self): super().__init__(); self.embed, self.block, self.head = nn.Embedding(12, 8), nn.Linear(8, 8), nn.Linear(8, 12)
    def forward(self, ids): return self.head(torch.tanh(self.block(self.embed(ids))).cumsum(1))


def transformer(kind):
    import transformers as t
    tiny = dict(vocab_size=12, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=16, attn_implementation="sdpa")
    if kind == "gpt2": return t.GPT2LMHeadModel(t.GPT2Config(vocab_size=12, n_positions=16, n_embd=8, n_layer=1, n_head=2, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, attn_implementation="sdpa"))
    if kind == "llama": return t.LlamaForCausalLM(t.LlamaConfig(**tiny, num_key_value_heads=1))
    if kind == "qwen3": return t.Qwen3ForCausalLM(t.Qwen3Config(**tiny, num_key_value_heads=1, head_dim=4, tie_word_embeddings=True))
    # The other implementations are operators of transformers' own, or loop over what the batch selects.
    if kind == "mixtral": return t.MixtralForCausalLM._from_config(t.MixtralConfig(**tiny, num_key_value_heads=1, num_local_experts=2, num_experts_per_tok=1), experts_implementation="batched_mm")
    if kind == "bert": return t.BertForMaskedLM(t.BertConfig(**tiny))
    if kind == "t5": return t.T5ForConditionalGeneration(t.T5Config(vocab_size=12, d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0, pad_token_id=0, dropout_rate=0))


# ---- programs --------------------------------------------------------------------------------------------------------

def rows(n=6, width=8, classes=3): return {"inputs": torch.randn(n, width), "targets": torch.randint(classes, (n,))}
def images(n=4, channels=2, size=8, classes=3): return {"images": torch.randn(n, channels, size, size), "targets": torch.randint(classes, (n,))}
def tokens(n=3, length=6, vocabulary=12): return {"input_ids": torch.randint(1, vocabulary, (n, length)), "labels": torch.randint(1, vocabulary, (n, length))}
def net(width=8, classes=3): return nn.Sequential(nn.Linear(width, 12), nn.GELU(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, classes))
def ignored(batch): batch["labels"][:, :2] = -100; return batch


PROGRAMS = {
    "mlp": lambda: (Classifier(net()), rows()),
    "mlp-float64": lambda: (Classifier(net()).double(), {k: v.double() if v.is_floating_point() else v for k, v in rows().items()}),
    "rows": lambda: (Regression(net(8, 2)), {"inputs": torch.randn(6, 8), "targets": torch.randn(6, 2)}),
    "options": lambda: (Options(), {**rows(6, 4), "unused": torch.randint(2, (6,), dtype=torch.uint8)}),
    "cnn-train": lambda: (Cnn().train(), images()),
    "cnn-eval": lambda: (Cnn().eval(), images()),
    "cnn-decomposed": lambda: (Cnn().train(), images()),
    "resnet": lambda: (ResNet().train(), images(4, 3, 8, 4)),
    "vit": lambda: (Vit(), images(4, 3, 8)),
    "masked-attention": lambda: (MaskedAttention(), {"input_ids": torch.randint(12, (3, 6)), "keep": torch.rand(3, 6) > 0.3}),
    "gpt2": lambda: (HuggingFace(transformer("gpt2")).eval(), tokens()),
    "llama": lambda: (HuggingFace(transformer("llama")).eval(), tokens()),
    "qwen3": lambda: (HuggingFace(transformer("qwen3")).eval(), tokens()),
    "bert": lambda: (HuggingFaceMasked(transformer("bert")).eval(), tokens()),
    "t5": lambda: (HuggingFaceMasked(transformer("t5")).eval(), tokens()),
    "lstm-dropout": lambda: (LanguageModel(nn.LSTM(8, 8, 2, batch_first=True, dropout=0.25)).train(), tokens()),
    "gru": lambda: (LanguageModel(nn.GRU(8, 8, batch_first=True)), tokens()),
    "encoder": lambda: (Encoder(0.1).eval(), {"input_ids": torch.randint(12, (4, 5)), "targets": torch.randint(3, (4,))}),
    "encoder-dropout": lambda: (Encoder(0.1).train(), {"input_ids": torch.randint(12, (4, 5)), "targets": torch.randint(3, (4,))}),
    "diffusion": lambda: (Diffusion(), {"images": torch.randn(3, 1, 8, 8), "noise": torch.randn(3, 1, 8, 8), "timesteps": torch.randint(100, (3,))}),
    "dpo": lambda: (Dpo(Plain(), Plain()), {"chosen": torch.randint(12, (3, 6)), "rejected": torch.randint(12, (3, 6)), "chosen_mask": (torch.rand(3, 6) > 0.3).float(), "rejected_mask": (torch.rand(3, 6) > 0.3).float()}),
    "ppo": lambda: (Ppo(), {"observations": torch.randn(6, 4), "actions": torch.randint(3, (6,)), "advantages": torch.randn(6), "returns": torch.randn(6), "old_log_probabilities": -torch.rand(6) - 0.7}),
    "policy-gradient": lambda: (PolicyGradient(), {"observations": torch.randn(6, 4), "actions": torch.randn(6, 2), "returns": torch.randn(6)}),
    "gcn": lambda: (Gcn(), {"nodes": torch.randn(7, 4), "edges": torch.randint(7, (2, 18)), "targets": torch.randint(3, (7,))}),
    "autocast": lambda: (Autocast(), rows()),
    "cond": lambda: (Cond(), rows(6, 4)),
    "pinn": lambda: (Pinn(), {"x": torch.rand(6, 1)}),
    "recommender": lambda: (Recommender(), {"users": torch.randint(9, (6,)), "items": torch.randint(11, (6,)), "clicked": torch.randint(2, (6,)).float()}),
    "tied": lambda: (LanguageModel(nn.Linear(8, 8), tied=True), tokens()),
    "data-dependent": lambda: (DataDependent(), rows(6, 4)),
    "mixtral": lambda: (HuggingFace(transformer("mixtral")).eval(), tokens()),
    "sum-and-weight": lambda: (SumAndWeight(nn.Linear(8, 8)), ignored(tokens())),
}
SHAPES = {"gcn": {"nodes": {0: AUTO}, "edges": {1: AUTO}, "targets": {0: AUTO}}, "pinn": None}
DECOMPOSED = {"pinn", "cnn-decomposed"}


# ---- exporting and measuring -----------------------------------------------------------------------------------------

FRAME = re.compile(r'File "([^"]*)", line (\d+), in (\S+)\n[^\n]*')


def shorten(trace):
    """The last line of the model's own, and the last of all."""
    found = [(re.split(r"(?:site|dist)-packages/", f)[-1] if "-packages/" in f else Path(f).name, m) for f, m in ((m[1], m) for m in FRAME.finditer(trace))]
    own = [x for x in found if not x[0].startswith("torch/")][-1:]
    kept = own + [x for x in found[-1:] if x not in own]
    return "\n".join(f'File "{file}", line {m[2]}, in {m[3]}' for file, m in kept)


def without_paths(program):
    for graph in (m for m in program.graph_module.modules() if hasattr(m, "graph")):
        for node in graph.graph.nodes:
            for key in ("from_node", "nn_module_stack", "source_fn_stack", "torch_fn"): node.meta.pop(key, None)
            if node.meta.get("stack_trace"): node.meta["stack_trace"] = shorten(node.meta["stack_trace"])
    return program


def slim(path):
    """The same archive with less in its model.json."""
    reader = torch._C.PyTorchFileReader(str(path))
    records = {n: reader.get_record(n) for n in reader.get_all_records() if n not in (".data/serialization_id", "version", ".data/version", "byteorder")}
    model = json.loads(records["models/model.json"])
    graph = model["graph_module"]["graph"]
    kept = {a["as_tensor"]["name"] for a in graph["inputs"] + graph["outputs"]}
    graph["tensor_values"] = {k: v for k, v in graph["tensor_values"].items() if k in kept}
    for node in graph["nodes"]:
        node.pop("name"), node.pop("is_hop_single_tensor_return")
        for given in node["inputs"]: given.pop("kind")
    records["models/model.json"] = json.dumps(model, separators=(",", ":")).encode()
    writer = torch._C.PyTorchFileWriter(str(path))
    for name, content in records.items(): writer.write_record(name, content, len(content))
    writer.write_end_of_file()


def quiet(module):
    """The module without dropout, in the mode that it is in."""
    module = copy.deepcopy(module)
    for part in module.modules():
        if isinstance(part, nn.Dropout): part.p = 0.0
        elif isinstance(getattr(part, "dropout", None), float): part.dropout = 0.0
    return module


class Measured:
    def __init__(self, module, batch, dtype=None):
        self.module = module if dtype is None else copy.deepcopy(module).to(dtype)
        if dtype is not None:  # tensors that are no buffers
            for part in self.module.modules():
                for name, value in vars(part).items():
                    if isinstance(value, torch.Tensor) and value.is_floating_point(): setattr(part, name, value.to(dtype))
        self.batch = batch if dtype is None else {k: v.to(dtype) if v.is_floating_point() else v for k, v in batch.items()}
        self.parameters = {n: p for n, p in self.module.named_parameters() if p.requires_grad}
        self.buffers = {n: b.clone() for n, b in self.module.named_buffers()}

    def outputs(self):
        found = self.module(**self.batch)
        for n, b in self.module.named_buffers(): b.data.copy_(self.buffers[n])
        return found

    def loss(self):
        found = self.outputs()
        return found[0] / found[1] if isinstance(found, tuple) else found.mean() if found.dim() else found

    def gradient(self, **options):
        loss = self.loss()
        found = torch.autograd.grad(loss, list(self.parameters.values()), allow_unused=True, **options)
        return loss, [torch.zeros_like(p) if g is None else g for p, g in zip(self.parameters.values(), found)]

    def product(self):
        with sdpa_kernel(SDPBackend.MATH):
            _, gradient = self.gradient(create_graph=True)
            v = [torch.sin(torch.arange(p.numel(), dtype=torch.float64)).to(p.dtype).view_as(p) for p in self.parameters.values()]
            pairs = [(g, one) for g, one in zip(gradient, v) if g.requires_grad]
            found = torch.autograd.grad([g for g, _ in pairs], list(self.parameters.values()), [one for _, one in pairs], allow_unused=True)
        return [torch.zeros_like(p) if h is None else h for p, h in zip(self.parameters.values(), found)]


def expected(name, module, batch):
    still = Measured(quiet(module), batch)
    outputs, (loss, gradient) = still.outputs(), still.gradient()
    with torch.no_grad(): no_grad = still.loss()
    out = {"loss": loss, "loss_no_grad": no_grad}
    reduction = "loss"
    if isinstance(outputs, tuple):
        reduction = "sum-and-weight"
        out |= {"sum": outputs[0], "weight": outputs[1], "loss": outputs[0].double() / outputs[1].double()}
    elif outputs.dim():
        out |= {"rows": outputs, "loss": outputs.double().mean()}
    # The loss of transformers' causal models is float32 whatever the weights are.
    if name not in ("autocast", "gpt2", "llama", "qwen3", "mixtral"): out["loss64"] = Measured(quiet(module), batch, torch.float64).loss()
    if "dropout" in name:
        torch.manual_seed(7)
        out["loss_seed_7"] = Measured(module, batch).loss()
    names = list(still.parameters)
    out |= {f"gradient.{n}": g for n, g in zip(names, gradient)}
    # torch.cond has no second derivative in eager mode.
    if name != "cond": out |= {f"product.{n}": h for n, h in zip(names, still.product())}
    first = {id(p): n for n, p in module.named_parameters()}
    tied = {n: first[id(p)] for n, p in module.named_parameters(remove_duplicate=False) if first[id(p)] != n}
    return {k: v.detach().clone().contiguous() for k, v in out.items()}, {"reduction": reduction, "tied": json.dumps(tied)}


def write(name):
    torch.manual_seed(sum(name.encode()))
    module, batch = PROGRAMS[name]()
    arguments = [a for a in inspect.signature(module.forward).parameters if a in batch]
    assert arguments == list(batch)
    shapes = SHAPES.get(name, {a: {0: AUTO} for a in arguments})
    if name == "options": shapes |= {"power": None, "mask": None, "mode": None}
    given = batch | ({"power": 2, "mask": None, "mode": "plain"} if name == "options" else {})
    program = torch.export.export(copy.deepcopy(module), (), dict(given), dynamic_shapes=shapes, strict=False)
    if name in DECOMPOSED: program = program.run_decompositions({})
    path = OUT / f"{name}.pt2"
    torch.export.save(without_paths(program), path)
    torch.export.load(path)
    if path.stat().st_size > 60_000: slim(path)
    save_file(batch, OUT / f"{name}.safetensors")
    tensors, metadata = expected(name, module, batch)
    save_file(tensors, OUT / f"{name}.expected.safetensors", metadata | {"torch": torch.__version__})
    sizes = [(OUT / f"{name}{ending}").stat().st_size for ending in (".pt2", ".safetensors", ".expected.safetensors")]
    print(name, tensors["loss"].item(), tensors.get("loss64", torch.tensor(0)).item(), len(program.graph.nodes), sizes, flush=True)


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    for name in sys.argv[1:] or PROGRAMS: write(name)
