"""Colours told at a few points, as a person would dot them into a drawing, for the generator alone to see."""

import torch
import torch.nn.functional as F
from torch import Tensor

CHANNELS = 4  # colours where there is a dot, and where there is one
_SIDES_PER_RADIUS = 64
_WHITE = 0.97  # what is lighter in all channels is paper
_BETWEEN = 0.5  # what is lighter is between the lines


def dotted(lines: Tensor, colors: Tensor, points: int, keep: float, rng: torch.Generator) -> Tensor:
    """Hints for a batch: each drawing gets none to `points` of them, and keeps a share.

    Points lie anywhere between the lines where there is colour: not on paper, so not on what was laid around a drawing
    either, where nobody needs to be told. A dot is a square, one pixel wide in drawings of less than 64, of the colour
    at its centre.

    Args:
        lines: (B, 1, H, W) in [-1, 1].
        colors: (B, 3, H, W) in [-1, 1], the true ones.
        points: the most that a drawing gets, 1 or more.
        keep: chance that one is kept, in [0, 1].
        rng: of the CPU.

    Returns:
        (B, 4, H, W): the colour in [-1, 1] where there is a dot and 0 elsewhere, and 1 and 0 for the same.
    """
    count, _, height, width = colors.shape
    most = torch.randint(points + 1, (count, 1), generator=rng)
    place = torch.rand(count, points, generator=rng)
    kept = (torch.arange(points) < most) & (torch.rand(count, points, generator=rng) < keep)  # (B, P)
    open_ = (colors.amin(dim=1, keepdim=True) < _WHITE) & (lines > _BETWEEN)
    numbers = open_.flatten(1).cumsum(dim=1)  # (B, H * W): how many there are up to each pixel
    total = numbers[:, -1:]
    wanted = (place.to(colors.device) * total).floor().long().clamp(max=(total - 1).clamp(min=0)) + 1
    at = torch.searchsorted(numbers, wanted).clamp(max=height * width - 1)  # (B, P)
    shown = (kept.to(colors.device) & (total > 0)).to(colors.dtype)
    # Several points may share a place: all say the same there.
    mask = (
        torch.zeros_like(numbers, dtype=colors.dtype).scatter_reduce(1, at, shown, "amax").view(count, 1, height, width)
    )
    return _widened(torch.cat((mask * colors, mask), dim=1), min(height, width) // _SIDES_PER_RADIUS)


def no_hints(lines: Tensor) -> Tensor:
    """The hints (B, 4, H, W) of lines (B, 1, H, W) that nobody has dotted."""
    return torch.zeros_like(lines).expand(-1, CHANNELS, -1, -1)


def _widened(dots: Tensor, radius: int) -> Tensor:
    """Dots (B, 4, H, W) of one pixel as squares of 2 * radius + 1; where two meet, each pixel is of one of them."""
    if not radius:
        return dots
    count, _, height, width = dots.shape
    side = 2 * radius + 1
    numbered = torch.arange(1, height * width + 1, device=dots.device, dtype=dots.dtype).view(1, 1, height, width)
    nearby = F.max_pool2d(dots[:, 3:] * numbered, side, 1, radius).long().flatten(2)  # the last dot in reach, or 0
    source = (nearby - 1).clamp(min=0).expand(-1, CHANNELS, -1)
    spread = dots.flatten(2).gather(2, source) * (nearby > 0)
    return spread.view(count, CHANNELS, height, width)
