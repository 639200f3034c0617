"""Update directions of SGD and AdamW after several gradients with the weights frozen, each checked against torch.optim."""

import torch

SETTINGS = {
    "sgd": {"momentum": 0.9, "weightDecay": 0.05},
    "adamw": {"betas": [0.9, 0.95], "epsilon": 1e-8, "weightDecay": 0.1},
}


def sgd(parameters, gradients, momentum, nesterov, decay):
    """b ← μb + g; Δ = b, or g + μb, plus γθ. The decay is not in b."""
    delta = {}
    for name, weight in parameters.items():
        buffer = torch.zeros_like(weight)
        for gradient in gradients:
            buffer = momentum * buffer + gradient[name]
        update = gradients[-1][name] + momentum * buffer if nesterov else buffer
        delta[name] = update + decay * weight
    return delta


def adamw(parameters, gradients, betas, epsilon, decay):
    """Δ = m/P + γθ with P = (1 − β₁ᵗ)(√v̂ + ε). Returns Δ and P."""
    beta1, beta2 = betas
    steps = len(gradients)
    delta, diagonal = {}, {}
    for name, weight in parameters.items():
        m, v = torch.zeros_like(weight), torch.zeros_like(weight)
        for gradient in gradients:
            m = beta1 * m + (1 - beta1) * gradient[name]
            v = beta2 * v + (1 - beta2) * gradient[name] ** 2
        diagonal[name] = (1 - beta1**steps) * ((v / (1 - beta2**steps)).sqrt() + epsilon)
        delta[name] = m / diagonal[name] + decay * weight
    return delta, diagonal


def torch_update(make, parameters, gradients, rate=0.01):
    """(θ_before − θ_after)/η of a torch.optim optimizer whose steps before the last have η = 0."""
    weights = {name: p.clone().requires_grad_(True) for name, p in parameters.items()}
    optimizer = make(list(weights.values()))
    for step, gradient in enumerate(gradients):
        for name, weight in weights.items():
            weight.grad = gradient[name].clone()
        for group in optimizer.param_groups:
            group["lr"] = rate if step == len(gradients) - 1 else 0.0
        optimizer.step()
    return {name: (parameters[name] - weights[name].detach()) / rate for name in parameters}


def require_same(ours, theirs, what):
    difference = sum(((ours[n] - theirs[n]) ** 2).sum() for n in ours).sqrt()
    norm = sum((ours[n] ** 2).sum() for n in ours).sqrt()
    # θ_before − θ_after loses the digits that η·Δ is smaller than θ by.
    assert difference <= 1e-12 * norm, f"{what}: {difference / norm:.1e} from torch.optim"


def updates(parameters, gradients):
    """Every direction by name, and AdamW's preconditioner."""
    mu, sgd_decay = SETTINGS["sgd"]["momentum"], SETTINGS["sgd"]["weightDecay"]
    betas, epsilon, decay = (SETTINGS["adamw"][key] for key in ("betas", "epsilon", "weightDecay"))
    result = {
        "sgd": sgd(parameters, gradients, 0.0, False, sgd_decay),
        "momentum": sgd(parameters, gradients, mu, False, sgd_decay),
        "nesterov": sgd(parameters, gradients, mu, True, sgd_decay),
    }
    result["adamw"], result["preconditioner"] = adamw(parameters, gradients, betas, epsilon, decay)
    result["adamw-without-decay"], _ = adamw(parameters, gradients, betas, epsilon, 0.0)

    for name, momentum, nesterov in (("sgd", 0.0, False), ("momentum", mu, False), ("nesterov", mu, True)):
        make = lambda w: torch.optim.SGD(w, lr=0.0, momentum=momentum, nesterov=nesterov)
        plain = torch_update(make, parameters, gradients)
        require_same(result[name], {n: plain[n] + sgd_decay * parameters[n] for n in plain}, name)
    for name, weight_decay in (("adamw", decay), ("adamw-without-decay", 0.0)):
        make = lambda w: torch.optim.AdamW(w, lr=0.0, betas=betas, eps=epsilon, weight_decay=weight_decay)
        require_same(result[name], torch_update(make, parameters, gradients), name)
    # Where nothing is carried over, torch.optim.SGD's own decay is the same.
    make = lambda w: torch.optim.SGD(w, lr=0.0, weight_decay=sgd_decay)
    require_same(result["sgd"], torch_update(make, parameters, gradients), "sgd with decay")
    return result
