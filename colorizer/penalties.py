"""Penalties on how steep a discriminator is, example by example. They need gradients of gradients."""

from collections.abc import Callable

import torch
from torch import Tensor

Judge = Callable[[Tensor, Tensor], Tensor]  # lines (B, 1, H, W), colors (B, 3, H, W) -> logits (B, 1, h, w)


def slopes(judge: Judge, lines: Tensor, colors: Tensor) -> Tensor:
    """The length (B,) of the gradient of each example's verdict with respect to all values of its colours.

    The verdict on an example is the mean of its logits, as in the costs. The lines are given and not varied.
    """
    return torch.linalg.vector_norm(_gradients(judge, lines, colors), dim=(1, 2, 3))


def slope_penalty(judge: Judge, lines: Tensor, colors: Tensor) -> Tensor:
    """The mean over examples of (slope - 1)^2, of WGAN-GP (Gulrajani et al. 2017) and DRAGAN (Kodali et al. 2017)."""
    return (slopes(judge, lines, colors) - 1).square().mean()


def r1_penalty(judge: Judge, lines: Tensor, colors: Tensor) -> Tensor:
    """Half the mean over examples of slope^2 at true colours: R1 of Mescheder et al. (2018)."""
    return _gradients(judge, lines, colors).square().sum((1, 2, 3)).mean() / 2


def between(real: Tensor, fake: Tensor) -> Tensor:
    """A random point on the line from each true example to a generated one, as in WGAN-GP.

    Like dropout, it draws from PyTorch's global generator, which a training has a stream of its own of.
    """
    return torch.lerp(real, fake, torch.rand((len(real), 1, 1, 1), device=real.device))


def around(real: Tensor) -> Tensor:
    """Each true example with noise as in DRAGAN: uniform, up to half the standard deviation of its values.

    Drawn as in `between`.
    """
    spread = real.std((1, 2, 3), correction=0, keepdim=True)  # (B, 1, 1, 1)
    return real + spread / 2 * torch.rand(real.shape, device=real.device)


def _gradients(judge: Judge, lines: Tensor, colors: Tensor) -> Tensor:
    colors = colors.detach().requires_grad_()
    verdicts = judge(lines, colors).mean((1, 2, 3))  # (B,)
    # No example influences another's verdict, so the gradient of the sum holds that of each.
    (gradients,) = torch.autograd.grad(verdicts.sum(), colors, create_graph=True)
    return gradients
