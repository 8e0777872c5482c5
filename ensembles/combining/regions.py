"""The areas of a line drawing that its lines enclose."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_closing, distance_transform_edt, label

_PAPER = 0.0  # brightness above which a pixel is paper; lines of one pixel, scaled down, are seldom black
_AROUND = np.ones((3, 3), dtype=np.bool_)


def regions(lines: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """The number of the area that each pixel belongs to, from 0: (H, W).

    Areas are what remains connected, along rows and columns, between the lines. Gaps in a line of up to two pixels are
    closed first, or colours would leak through them. Pixels of a line belong to the area nearest to them, so that none
    is left to itself. A drawing without paper is one area.

    Args:
        lines: (H, W) in [-1, 1], paper bright, lines dark.
    """
    ink = np.asarray(lines) <= _PAPER
    closed = ink | binary_closing(ink, structure=_AROUND)
    numbers, found = label(~closed)  # (H, W), 0 on lines
    if not found:
        return np.zeros(ink.shape, dtype=np.intp)
    nearest = distance_transform_edt(closed, return_distances=False, return_indices=True)  # (2, H, W)
    return np.asarray(numbers[tuple(nearest)] - 1, dtype=np.intp)
