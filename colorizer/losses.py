"""The costs of both networks. Each is a mean, so that none depends on the size of a batch; that of weights is a sum."""

from collections.abc import Iterable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from colorizer.color import srgb_to_lab

Adversarial = Literal["vanilla", "least_squares", "hinge", "wgan_gp", "dragan"]
ColorSpace = Literal["rgb", "lab"]

LABELLED: frozenset[Adversarial] = frozenset({"vanilla", "least_squares", "dragan"})  # that have labels to be smoothed
PENALIZED: frozenset[Adversarial] = frozenset({"wgan_gp", "dragan"})  # that come with a gradient penalty
# What a discriminator says of more than this it takes for true; one of Wasserstein's says only which is truer.
THRESHOLDS: dict[Adversarial, float | None] = {
    "vanilla": 0.0,
    "least_squares": 0.5,
    "hinge": 0.0,
    "wgan_gp": None,
    "dragan": 0.0,
}
# Between two random sRGB colours a value then differs as much, on average, as one of RGB in [-1, 1] does.
_LAB_UNIT = 64.0


def discriminator_cost(real: Tensor, fake: Tensor, kind: Adversarial = "vanilla", smoothing: float = 0.0) -> Tensor:
    """What a discriminator pays for its logits of true and of generated colourings; any shapes.

    - "vanilla": binary cross-entropy against 1 and 0, the standard cost of Goodfellow et al. (2014); each is half of
      it, as in pix2pix; log 2 at chance. "dragan" (Kodali et al. 2017) is the same with a penalty.
    - "least_squares": squared distance from 1 and 0, half each (Mao et al. 2017).
    - "hinge": how far logits fall short of 1 and of -1, the sum of both (Lim and Ye 2017; Miyato et al. 2018).
    - "wgan_gp": the difference of the means (Arjovsky et al. 2017), to be bounded by a penalty (Gulrajani et al. 2017).

    Args:
        real, fake: logits. softplus(-x) and softplus(x) are the cross-entropies of the logit x against 1 and 0, exact
            where a sigmoid and a logarithm would overflow.
        kind: the cost.
        smoothing: true colourings are labelled 1 - smoothing, generated ones 0 (Salimans et al. 2016: one-sided). Only
            kinds in `LABELLED` have labels; others pay no heed to it.
    """
    if kind == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    if kind == "wgan_gp":
        return fake.mean() - real.mean()
    if kind == "least_squares":
        return ((real - (1 - smoothing)).square().mean() + fake.square().mean()) / 2
    doubted = F.softplus(-real).mean()
    if smoothing:
        doubted = (1 - smoothing) * doubted + smoothing * F.softplus(real).mean()
    return (doubted + F.softplus(fake).mean()) / 2


def adversarial_cost(fake: Tensor, kind: Adversarial = "vanilla") -> Tensor:
    """What a generator pays for being recognised, by the logits of its colourings.

    The non-saturating -log D of Goodfellow et al. (2014) for "vanilla" and "dragan", the squared distance from 1 for
    "least_squares", minus the mean for "hinge" and "wgan_gp".
    """
    if kind in {"hinge", "wgan_gp"}:
        return -fake.mean()
    if kind == "least_squares":
        return (fake - 1).square().mean()
    return F.softplus(-fake).mean()


def feature_cost(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Feature matching (Wang et al., pix2pixHD, 2018): the mean over layers of the mean absolute difference.

    Args:
        real, fake: what the layers of a discriminator make of true and of generated colourings, one shape a layer.
            The true ones are a target: no gradient flows into them.
    """
    return torch.stack([(ours - true.detach()).abs().mean() for ours, true in zip(fake, real, strict=True)]).mean()


def reconstruction_cost(
    predictions: Tensor,
    targets: Tensor,
    mse_weight: float,
    l1_weight: float,
    huber_weight: float = 0.0,
    huber_delta: float = 0.1,
    weights: Tensor | None = None,
) -> Tensor:
    """The weighted sum of mean squared, mean absolute and mean Huber error, for two tensors of one shape.

    The error of Huber (1964) is taken in units of `huber_delta`: quadratic up to there, beyond it the absolute error
    less half of `huber_delta`, so that its weight compares with `l1_weight`.

    Args:
        predictions, targets: (B, C, H, W).
        mse_weight, l1_weight, huber_weight: of the three; what weighs 0 is not computed.
        huber_delta: above 0.
        weights: (B, 1, H, W), how much each pixel counts; None for all alike.

    Raises:
        ValueError: the shapes differ; broadcasting would hide a mistake.
    """
    _check_shapes(predictions, targets)
    error = predictions - targets
    cost = error.new_zeros(())
    if mse_weight:
        cost = cost + mse_weight * _mean(error.square(), weights)
    if l1_weight:
        cost = cost + l1_weight * _mean(error.abs(), weights)
    if huber_weight:
        huber = F.smooth_l1_loss(predictions, targets, reduction="none", beta=huber_delta)
        cost = cost + huber_weight * _mean(huber, weights)
    return cost


def likelihood_cost(predictions: Tensor, targets: Tensor, log_variance: Tensor) -> Tensor:
    """Minus the mean log-likelihood of targets under independent normal distributions, but for a constant.

    (error^2 / variance + log variance) / 2 after Nix and Weigend (1994), Kendall and Gal (2017); it is smallest where
    the variance of a pixel is its mean squared error.

    Args:
        predictions, targets: (B, C, H, W).
        log_variance: (B, 1, H, W), of all values of a pixel.

    Raises:
        ValueError: the shapes differ.
    """
    _check_shapes(predictions, targets)
    expected = (len(targets), 1, *targets.shape[2:])
    if log_variance.shape != expected:
        raise ValueError(f"Expected log-variances of shape {expected}, got {tuple(log_variance.shape)}.")
    return ((predictions - targets).square() * torch.exp(-log_variance) + log_variance).mean() / 2


def variation_cost(pictures: Tensor) -> Tensor:
    """Total variation (Rudin, Osher and Fatemi 1992), anisotropic: absolute differences of neighbours, per value.

    Args:
        pictures: (B, C, H, W).
    """
    down, across = pictures.diff(dim=2).abs().sum(), pictures.diff(dim=3).abs().sum()
    return (down + across) / pictures.numel()


def decay_cost(weights: Iterable[Tensor], l1_decay: float, l2_decay: float) -> Tensor:
    """l1_decay * sum of absolute values + l2_decay / 2 * sum of squares, of all weights given; 1 tensor or more.

    Unlike an optimiser's weight decay it goes through the gradients, which Adam scales.
    """
    costs = []
    for weight in weights:
        if l1_decay:
            costs.append(l1_decay * weight.abs().sum())
        if l2_decay:
            costs.append(l2_decay / 2 * weight.square().sum())
    return torch.stack(costs).sum()


def in_space(colors: Tensor, space: ColorSpace) -> Tensor:
    """RGB colours (B, 3, H, W) in [-1, 1] as they are, or as CIE L*a*b* in units of 64.

    Distances in Lab are near to those that are seen. The unit makes errors of random colours as large as in RGB, so
    that weights found for one space will do for the other.
    """
    return colors if space == "rgb" else srgb_to_lab((colors + 1) / 2) / _LAB_UNIT


def _mean(errors: Tensor, weights: Tensor | None) -> Tensor:
    return errors.mean() if weights is None else (weights * errors).mean()


def _check_shapes(predictions: Tensor, targets: Tensor) -> None:
    if predictions.shape != targets.shape:
        raise ValueError(
            f"Expected predictions and targets of one shape, got {tuple(predictions.shape)} and {tuple(targets.shape)}."
        )
