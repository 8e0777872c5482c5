"""How much a pixel counts by how rare its colour is among the training drawings."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_SHIFT = 5  # bits of 8 that are not looked at: 8 levels a channel
_LEVELS = 256 >> _SHIFT
_COLORS = _LEVELS**3


class Rarity:
    """Weights of pixels after Zhang, Isola and Efros, "Colorful Image Colorization" (2016).

    A colour, one of 512 boxes of RGB, that makes up the share p of all pixels weighs
    1 / (strength * p + (1 - strength) / 512), scaled so that the weights of all pixels average 1.

    Args:
        colors: (N, 3, S, S) uint8, the drawings whose colours are counted, 1 or more.
        strength: in [0, 1): 0 weighs all alike, 0.5 is as in the paper, near 1 all colours count as if equally common.
        device: where weights are asked for.
    """

    def __init__(self, colors: NDArray[np.uint8], strength: float, device: str | torch.device = "cpu") -> None:
        boxes = _boxes(torch.from_numpy(colors)).flatten()
        share = torch.bincount(boxes, minlength=_COLORS).double() / len(boxes)  # (512,)
        weights = 1 / (strength * share + (1 - strength) / _COLORS)
        self._weights = (weights / (share * weights).sum()).float().to(device)

    def weights(self, targets: Tensor) -> Tensor:
        """How much each pixel counts, (B, 1, H, W), for true colours (B, 3, H, W) in [-1, 1]."""
        pixels = ((targets + 1) * 127.5).round().to(torch.uint8)
        return self._weights[_boxes(pixels)].unsqueeze(1)


def _boxes(pixels: Tensor) -> Tensor:
    """The number of the box, (B, H, W) int64, that each pixel of (B, 3, H, W) uint8 lies in."""
    red, green, blue = (pixels >> _SHIFT).long().unbind(1)
    return (red * _LEVELS + green) * _LEVELS + blue
