"""Colour spaces and colour differences, on tensors and with gradients."""

import math

import torch
from kornia.color import rgb_to_lab
from torch import Tensor


def srgb_to_lab(rgb: Tensor) -> Tensor:
    """CIE L*a*b* (D65, 2 degree observer) of sRGB colours.

    Args:
        rgb: (B, 3, H, W) in [0, 1].

    Returns:
        (B, 3, H, W): L in [0, 100], a and b roughly in [-128, 127].
    """
    lab: Tensor = rgb_to_lab(rgb)
    return lab


def ciede2000(lab1: Tensor, lab2: Tensor) -> Tensor:
    """The CIEDE2000 colour difference of each pixel, with kL = kC = kH = 1; about 1 is just noticeable.

    After Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula: implementation notes, supplementary
    test data, and mathematical observations" (2005), whose names are kept. Symmetric. Gradients are finite
    everywhere; where the distance has no derivative (equal colours, a colour without hue) the part concerned
    counts as zero.

    Args:
        lab1, lab2: (B, 3, H, W) in CIE L*a*b*, of one floating type.

    Returns:
        (B, H, W), not negative.

    Raises:
        ValueError: the shapes differ or the second axis is not of size 3.
    """
    if lab1.shape != lab2.shape or lab1.dim() != 4 or lab1.shape[1] != 3:
        raise ValueError(f"Expected two (B, 3, H, W) of one shape, got {tuple(lab1.shape)} and {tuple(lab2.shape)}.")
    (L1, a1, b1), (L2, a2, b2) = lab1.unbind(1), lab2.unbind(1)  # each (B, H, W)

    # a is stretched for colours near grey: a' = (1 + G) a.
    C_mean = (_root(a1.square() + b1.square()) + _root(a2.square() + b2.square())) / 2
    stretch = 1 + 0.5 * (1 - _chroma_weight(C_mean))
    a1, a2 = stretch * a1, stretch * a2
    C1, h1 = _polar(a1, b1)
    C2, h2 = _polar(a2, b2)

    has_hue = (C1 > 0) & (C2 > 0)
    turn = h2 - h1
    far = turn.abs() > math.pi
    dh = torch.where(far, turn - 2 * math.pi * turn.sign(), turn)
    dh = torch.where(has_hue, dh, torch.zeros_like(dh))
    dL, dC = L2 - L1, C2 - C1
    dH = 2 * _root(C1 * C2) * torch.sin(dh / 2)

    # The mean hue lies on the shorter arc; where one colour has no hue, it is that of the other. Of the two
    # directions that differ by a full turn the formula takes the one in [0, 2 pi), which matters to the
    # Gaussian around 275 degrees below.
    h_sum = h1 + h2
    wrapped = torch.where(h_sum < 2 * math.pi, h_sum + 2 * math.pi, h_sum - 2 * math.pi)
    h_mean = torch.where(has_hue, torch.where(far, wrapped, h_sum) / 2, h_sum)
    C_mean = (C1 + C2) / 2
    T = (
        1
        - 0.17 * torch.cos(h_mean - math.radians(30))
        + 0.24 * torch.cos(2 * h_mean)
        + 0.32 * torch.cos(3 * h_mean + math.radians(6))
        - 0.20 * torch.cos(4 * h_mean - math.radians(63))
    )
    L_offset = ((L1 + L2) / 2 - 50).square()
    S_L = 1 + 0.015 * L_offset / (20 + L_offset).sqrt()
    S_C = 1 + 0.045 * C_mean
    S_H = 1 + 0.015 * C_mean * T
    blue = torch.exp(-((h_mean - math.radians(275)) / math.radians(25)).square())
    R_T = -2 * _chroma_weight(C_mean) * torch.sin(math.radians(60) * blue)

    dL, dC, dH = dL / S_L, dC / S_C, dH / S_H
    # R_T cannot make the sum negative (it stays within [-2, 0]), but rounding can.
    return _root(dL.square() + dC.square() + dH.square() + R_T * dC * dH)


def _root(value: Tensor) -> Tensor:
    """Square root whose gradient is 0, not infinite, at 0 (and below, where rounding led). NaN stays NaN."""
    positive = ~(value <= torch.finfo(value.dtype).tiny)
    return torch.where(positive, torch.where(positive, value, torch.ones_like(value)).sqrt(), torch.zeros_like(value))


def _polar(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Chroma and hue in [0, 2 pi); a colour without chroma has hue 0 and no gradient there."""
    chroma = _root(a.square() + b.square())
    hue = torch.atan2(b, torch.where(chroma > 0, a, torch.ones_like(a)))
    return chroma, torch.where(hue < 0, hue + 2 * math.pi, hue)


def _chroma_weight(chroma: Tensor) -> Tensor:
    """sqrt(C^7 / (C^7 + 25^7)), written so that value and gradient are finite from C = 0 upwards."""
    scaled = chroma / 25
    return scaled.pow(3.5) / (1 + scaled.pow(7)).sqrt()
