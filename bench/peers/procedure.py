"""The paper's search for the critical learning rate, in eager PyTorch."""

import torch


@torch.no_grad()
def search(parameters, delta, loss, base, eta):
    """Doubling or halving from `eta`, then bisection to 1/16: clone, perturb, restore. Gives ηc and the passes it took.

    `loss` computes the loss at the parameters as they are; above `base` it is no descent any more.
    """
    kept = [p.clone() for p in parameters]
    passes = 0

    def above(eta):
        nonlocal passes
        passes += 1
        for p, d in zip(parameters, delta):
            p.add_(d, alpha=-eta)
        value = loss().item()
        for p, k in zip(parameters, kept):
            p.copy_(k)
        return not value <= base

    low = high = None
    while low is None or high is None:
        if above(eta):
            high = eta
            eta /= 2
        else:
            low = eta
            eta *= 2
    while 1 - low / high > 1 / 16:
        middle = (low + high) / 2
        if above(middle):
            high = middle
        else:
            low = middle
    return (low + high) / 2, passes
