"""Draws the lines of a coloured drawing, for collections that come without line art."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

GAIN = 1.5
PAPER_NOISE = 0.05
_SIDES_PER_REACH = 72
_DARKER = np.arange(256, dtype=np.float32) / 255
# By table, as numbers of four bytes would take a large picture many times over.
_INKED = np.rint(255 * (1 - np.clip(GAIN * _DARKER - PAPER_NOISE, 0, 1))).astype(np.uint8)
_MOST_PIXELS = 2_000_000  # that pens are given: they take a hundred bytes of memory for each


def reach_of(height: int, width: int) -> int:
    """How many pixels away is near."""
    return max(1, round(min(height, width) / _SIDES_PER_REACH))


def lines_from_colors(rgb: NDArray[np.uint8], style: str = "dilation") -> NDArray[np.uint8]:
    """Line art by one of the pens of `colorizer.pens`; "dilation" needs no torch.

    By dilation difference a pixel is inked as far as it is darker than the brightest near it.

    Dark outlines stay where they are and become thin lines; the edge between two flat colours becomes a paler
    line on its darker side; flat areas become paper. Each channel is looked at by itself and the strongest
    difference counts, so that an edge between colours of equal brightness is drawn too. "Near" is 1/72 of the
    shorter side, which makes the line of a drawing independent of the resolution it was saved at.
    Deterministic. The other pens draw on a smaller copy of what has more than two million pixels, and their lines
    are enlarged.

    The dilation gradient is that of Rivest, Soille and Beucher, "Morphological gradients" (1993), in the
    one-sided form that is common for extracting sketches from anime drawings.

    Args:
        rgb: (H, W, 3) uint8.
        style: "dilation", "xdog" or "threshold".

    Returns:
        (H, W) uint8, 255 where there is paper, 0 on a full line.

    Raises:
        ValueError: the array has another shape or type, or no pen has that name.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"Expected colours as (H, W, 3) uint8, got {rgb.shape} {rgb.dtype}.")
    if style != "dilation":
        return _by_pen(rgb, style)
    around = 2 * reach_of(*rgb.shape[:2]) + 1
    brightest = ndimage.maximum_filter(rgb, size=(around, around, 1), mode="nearest")
    brightest -= rgb  # never negative
    lines: NDArray[np.uint8] = _INKED[brightest.max(axis=2)]
    return lines


def _by_pen(rgb: NDArray[np.uint8], style: str) -> NDArray[np.uint8]:
    import torch  # as preparing a dataset starts without it

    from colorizer.pens import PENS

    if style not in PENS:
        raise ValueError(f"Expected a style out of {', '.join(PENS)}, got {style!r}.")
    height, width = rgb.shape[:2]
    scale = math.sqrt(_MOST_PIXELS / (height * width))
    if scale < 1:
        small = (max(1, int(width * scale)), max(1, int(height * scale)))
        rgb = np.asarray(Image.fromarray(rgb).resize(small, Image.Resampling.HAMMING))
    colors = torch.from_numpy(rgb.transpose(2, 0, 1)[None] / np.float32(255))
    lines: NDArray[np.uint8] = (255 * PENS[style](colors)).round().to(torch.uint8)[0, 0].numpy()
    if scale < 1:
        lines = np.asarray(Image.fromarray(lines).resize((width, height), Image.Resampling.BICUBIC))
    return lines
