"""Drawings as they might have been: turned, shifted, cut, blurred, in other colours. On the device of the training.

All sizes are drawn on the CPU, a few numbers for each drawing, so that every device shows the same. What is switched
off is neither drawn nor computed. Outside a drawing there is white paper.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Moves:
    """How far drawings are moved, each by a random amount up to these.

    Attributes:
        rotate: degrees, to either side.
        shift: share of the side, in each direction.
        crop: smallest share of the side that is kept and scaled back to the whole; 1 keeps all.
    """

    rotate: float = 0.0
    shift: float = 0.0
    crop: float = 1.0

    def __bool__(self) -> bool:
        return bool(self.rotate or self.shift or self.crop < 1)


@dataclass(frozen=True)
class Tints:
    """How far colours are changed, each drawing's by a random amount up to these. Paper stays white, grey stays grey.

    Attributes:
        hue: degrees, either way around the axis of greys.
        saturation: share, more or less.
        exposure: stops, lighter or darker: colours to the power of 2 ** exposure.
    """

    hue: float = 0.0
    saturation: float = 0.0
    exposure: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.hue or self.saturation or self.exposure)


def moved(pictures: Tensor, moves: Moves, rng: torch.Generator) -> Tensor:
    """Pictures (B, C, H, W) in [0, 1], all channels of one moved alike, by one bilinear resampling.

    Args:
        pictures: whose outside is 1.
        moves: how far.
        rng: of the CPU.
    """
    count, _, height, width = pictures.shape
    angle = math.radians(moves.rotate) * _either_way(count, rng)
    kept = 1 - (1 - moves.crop) * torch.rand(count, generator=rng)
    # The centre of what is seen, in a picture from -1 to 1: anywhere that a crop leaves it, and shifted.
    centre = (1 - kept)[:, None] * _either_way((count, 2), rng) + 2 * moves.shift * _either_way((count, 2), rng)
    cos, sin = kept * torch.cos(angle), kept * torch.sin(angle)
    rows = (cos, -sin * height / width, centre[:, 0], sin * width / height, cos, centre[:, 1])
    places = F.affine_grid(torch.stack(rows, dim=1).view(count, 2, 3), [count, 1, height, width], align_corners=False)
    # Of the ink, as what lies outside is taken for 0. Weights may add up to a little more than 1.
    ink = F.grid_sample(1 - pictures, places.to(pictures.device), padding_mode="zeros", align_corners=False)
    return (1 - ink).clamp(0, 1)


def tinted(colors: Tensor, tints: Tints, rng: torch.Generator) -> Tensor:
    """Colours (B, 3, H, W) in [0, 1] in other hues, saturations and exposures.

    Args:
        colors: RGB.
        tints: how far.
        rng: of the CPU.
    """
    count = len(colors)
    angle = math.radians(tints.hue) * _either_way(count, rng)
    vividness = 1 + tints.saturation * _either_way(count, rng)
    gamma = 2 ** (tints.exposure * _either_way(count, rng))
    if tints.exposure:  # first, while black is exactly 0
        colors = colors ** gamma.to(colors.device).view(-1, 1, 1, 1)
    if tints.hue or tints.saturation:
        turn = (vividness[:, None, None] * _around_grey(angle) + (1 - vividness)[:, None, None] / 3).to(colors.device)
        ink = 1 - colors  # of paper exactly 0, which no matrix changes
        colors = (1 - torch.einsum("bij,bjhw->bihw", turn, ink)).clamp(0, 1)
    return colors


def blurred(lines: Tensor, sigma: float, rng: torch.Generator) -> Tensor:
    """Lines (B, 1, H, W) in [0, 1] under a Gaussian blur of up to `sigma` pixels, each under one of its own."""
    count = len(lines)
    reach = math.ceil(3 * sigma)
    sigmas = (sigma * torch.rand(count, generator=rng)).clamp(min=1e-2)  # a hundredth of a pixel changes nothing
    kernels = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigmas[:, None]).square())
    kernels = (kernels / kernels.sum(dim=1, keepdim=True)).to(lines.device)[:, None, None, :]  # (B, 1, 1, K)
    wide = F.pad(lines.transpose(0, 1), (reach, reach, reach, reach), value=1.0)  # (1, B, H + K - 1, W + K - 1)
    soft = F.conv2d(F.conv2d(wide, kernels, groups=count), kernels.transpose(2, 3), groups=count)
    return soft.transpose(0, 1).clamp(0, 1)


def _either_way(shape: int | tuple[int, ...], rng: torch.Generator) -> Tensor:
    """Evenly from [-1, 1)."""
    return 2 * torch.rand(shape, generator=rng) - 1


def _around_grey(angle: Tensor) -> Tensor:
    """(B, 3, 3), rotations of RGB by angles (B,) around the axis of greys, by Rodrigues' formula."""
    cos, sin = torch.cos(angle), torch.sin(angle) / math.sqrt(3)
    same = (1 + 2 * cos) / 3
    after, before = (1 - cos) / 3 - sin, (1 - cos) / 3 + sin
    rows = (same, after, before, before, same, after, after, before, same)
    return torch.stack(rows, dim=1).view(-1, 3, 3)
