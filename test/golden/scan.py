"""The critical learning rate of a line by a dense scan."""

import torch

GRID = 1.005  # ratio of neighbouring learning rates
FIRST, LAST = 1e-4, 1e4  # in units of L(θ)/s


@torch.no_grad()
def critical_learning_rate(net, parameters, batch, direction, gradient):
    """The first η of a geometric grid with L(θ − ηΔ) > L(θ), refined by bisection to 1e-12."""

    def loss_at(eta):
        return net.loss({n: p - eta * direction[n] for n, p in parameters.items()}, batch).item()

    base = loss_at(0.0)
    slope = sum((gradient[n] * direction[n]).sum() for n in gradient).item()
    assert slope > 0, "the direction does not descend"
    unit = base / slope
    lower, upper = 0.0, FIRST * unit
    while loss_at(upper) <= base:
        lower, upper = upper, upper * GRID
        assert upper < LAST * unit, "no crossing"
    assert lower > 0, "the grid starts above the crossing"
    while upper - lower > 1e-12 * upper:
        middle = (lower + upper) / 2
        lower, upper = (lower, middle) if loss_at(middle) > base else (middle, upper)
    eta = (lower + upper) / 2
    # η·dL/dη at the crossing: a loss that is wrong by δ moves the crossing by δ/rise, relatively.
    rise = (loss_at(1.005 * eta) - loss_at(0.995 * eta)) / 0.01
    points = [{"learningRate": x, "loss": loss_at(x)} for x in (eta / 4, eta / 2, 2 * eta)]
    return {"criticalLearningRate": eta, "slope": slope, "rise": rise, "points": points}
