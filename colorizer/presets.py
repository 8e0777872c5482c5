"""Published recipes as hyperparameters, to compare with and to begin from."""

import difflib
import math
from collections.abc import Callable
from typing import Any

from colorizer.images import MIN_SIDE

_PUBLISHED_SIZE = 256  # pixels
_PUBLISHED_PATCH = 70 / _PUBLISHED_SIZE  # of the side of a drawing, that a verdict sees
_DEEPEST = 8  # halvings, from 256 pixels to one


def preset(name: str, size: int) -> dict[str, Any]:
    """The hyperparameters of a published recipe for drawings of this size, as values of a search space.

        space={**preset("pix2pix", 64), "lr_g": tune.loguniform(1e-5, 1e-2), "data": data}

    "pix2pix": P. Isola, J.-Y. Zhu, T. Zhou, A. A. Efros: Image-to-Image Translation with Conditional Adversarial
    Networks (CVPR 2017), section 3.3 and appendix 6.

    - As published: a U-Net of 4x4 strided and transposed convolutions down to one pixel, no norm on its first and
      deepest layer; dropout 0.5 on the deeper half of the way back, which at 64 pixels are their three layers; a
      PatchGAN that sees the lines, too; weights from N(0, 0.02); 100 x L1 beside the vanilla adversarial cost, that of
      the discriminator halved; Adam with 2e-4 and beta1 0.5 for both networks, in turns; mirrored drawings.
    - Scaled to the size: the depth, and the patch that a verdict sees, 70 of 256 pixels or as near to that share of the
      side as whole layers come.
    - Not as published: leaky ReLUs throughout, where theirs are leaky on the way down alone; instance norm in the
      discriminator, what their batch norm is at a batch of one; dropout and batch norm rest at prediction; the last
      layer sees the lines, and a verdict's last layers are one convolution of 3x3 in place of two of 4x4; no random
      crops.
    - Left to whoever trains: batch_size (1 to 10 there), channels and discriminator_channels (64 there) and the length
      of the training, 200 passes over some hundred pictures there. Compare at equal ones.

    Args:
        name: "pix2pix".
        size: height and width of the training drawings in pixels, at least 8.

    Returns:
        Fields of `TrainingConfig`; what is not named keeps its default.

    Raises:
        ValueError: no such preset, or the size is too small.
    """
    if name not in _PRESETS:
        near = difflib.get_close_matches(name, _PRESETS, n=1, cutoff=0.0)[0]
        raise ValueError(f"Expected the name of a preset out of {', '.join(_PRESETS)}, got {name!r}. Take {near!r}.")
    if size < MIN_SIDE:
        raise ValueError(f"Expected a size of at least {MIN_SIDE} pixels, got {size}. Take larger drawings.")
    return _PRESETS[name](size)


def _pix2pix(size: int) -> dict[str, Any]:
    return {
        "size": size,
        "flip": True,
        "levels": min(_DEEPEST, int(math.log2(size))),
        "norm": "batch",
        "activation": "leaky",
        "dropout": 0.5,
        "upsample": "transposed",
        "attention": False,
        "passes": 1,
        "confidence": False,
        "initialization": "normal",
        "discriminator_layers": _patch_layers(_PUBLISHED_PATCH * size),
        "discriminator_norm": "instance",
        "discriminator_spectral": False,
        "l1_weight": 100.0,
        "mse_weight": 0.0,
        "huber_weight": 0.0,
        "color_space": "rgb",
        "rare_weight": 0.0,
        "adversarial": "vanilla",
        "adversarial_weight": 1.0,
        "r1_weight": 0.0,
        "label_smoothing": 0.0,
        "feature_weight": 0.0,
        "tv_weight": 0.0,
        "optimizer": "adam",
        "lr_g": 2e-4,
        "lr_d": 2e-4,
        "beta1": 0.5,
        "weight_decay": 0.0,
        "ema": 0.0,
        "schedule": "constant",
        "warmup_steps": 0,
    }


def _patch_layers(patch: float) -> int:
    """Strided layers of a discriminator whose verdicts see about this many pixels: with n they see 5 * 2**n - 2."""
    return max(1, round(math.log2((patch + 2) / 5)))


_PRESETS: dict[str, Callable[[int], dict[str, Any]]] = {"pix2pix": _pix2pix}
