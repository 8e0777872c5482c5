"""The costs of both networks. Each is a mean, so that none depends on the size of a batch."""

import torch.nn.functional as F
from torch import Tensor


def discriminator_cost(real: Tensor, fake: Tensor) -> Tensor:
    """Binary cross-entropy of a discriminator: true colourings are 1, generated ones 0; each is half of it.

    The standard cost of Goodfellow et al. (2014), halved as in pix2pix; log 2 at chance.

    Args:
        real, fake: logits of any shape. softplus(-x) and softplus(x) are the cross-entropies of the logit x
            against 1 and 0, exact where a sigmoid and a logarithm would overflow.
    """
    return (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2


def adversarial_cost(fake: Tensor) -> Tensor:
    """What a generator pays for being recognised: the non-saturating -log D of Goodfellow et al. (2014)."""
    return F.softplus(-fake).mean()


def reconstruction_cost(predictions: Tensor, targets: Tensor, mse_weight: float, l1_weight: float) -> Tensor:
    """mse_weight * mean squared error + l1_weight * mean absolute error, for two tensors of one shape.

    Raises:
        ValueError: the shapes differ; broadcasting would hide a mistake.
    """
    if predictions.shape != targets.shape:
        raise ValueError(
            f"Expected predictions and targets of one shape, got {tuple(predictions.shape)} and {tuple(targets.shape)}."
        )
    error = predictions - targets
    cost = error.new_zeros(())
    if mse_weight:
        cost = cost + mse_weight * error.square().mean()
    if l1_weight:
        cost = cost + l1_weight * error.abs().mean()
    return cost
