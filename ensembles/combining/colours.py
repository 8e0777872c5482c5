"""Colours as people see them: sRGB in [-1, 1] to CIE L*a*b* and back, the squares of the ab plane that sRGB reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ensembles.combining.gram import Floats

BIN = 10.0  # side of a bin, in units of a and b
REACH = 11  # bins lie at -110, -100, ..., 110 on either axis: sRGB ends at 108
SIDE = 2 * REACH + 1

_COLOURS_AT_ONCE = 2**16  # with their votes some 40 MiB; fewer cost more calls than they save
_FACE = 128  # samples along an edge of the cube of sRGB colours; neighbours are less than 3 units of Lab apart
_HALVINGS = 12  # of an interval of chroma: what is left is below a twentieth of a unit
_NEARLY = 1e-4  # beyond what sRGB can show by this much is rounding


def to_lab(rgb: npt.NDArray[Any]) -> Floats:
    """CIE L*a*b* (D65, 2 degree observer), (..., 3, H, W) float64, of sRGB in [-1, 1]; what lies outside is clipped."""
    import torch
    from kornia.color import rgb_to_lab

    clipped = np.clip(np.asarray(rgb, dtype=np.float64), -1, 1)
    return np.asarray(rgb_to_lab(torch.from_numpy((clipped + 1) / 2)).numpy())


def to_rgb(lab: Floats) -> Floats:
    """sRGB in [-1, 1], (..., 3, H, W) float64, of CIE L*a*b*.

    A colour that sRGB cannot show loses chroma until it can, at its own lightness and hue: clipping its channels would
    change both.
    """
    pixels = np.moveaxis(lab, -3, -1)  # (..., H, W, 3)
    rgb = _unclipped(pixels)
    outside = _outside(rgb)
    if outside.any():
        rgb[outside] = _paler(pixels[outside])
    return np.ascontiguousarray(np.moveaxis(np.clip(rgb, 0, 1) * 2 - 1, -1, -3))


def _paler(lab: Floats) -> Floats:
    """sRGB of colours (M, 3) that it cannot show, each with as much of its chroma as it can, by bisection."""
    least, most = np.zeros((len(lab), 1)), np.ones((len(lab), 1))  # the grey can be shown, the colour cannot
    for _ in range(_HALVINGS):
        middle = (least + most) / 2
        outside = _outside(_unclipped(lab * np.concatenate([np.ones_like(middle), middle, middle], axis=1)))[:, None]
        least, most = np.where(outside, least, middle), np.where(outside, middle, most)
    return _unclipped(lab * np.concatenate([np.ones_like(least), least, least], axis=1))


def _unclipped(lab: Floats) -> Floats:
    """Colours (..., 3) to sRGB, in [0, 1] where sRGB can show them."""
    import torch
    from kornia.color import lab_to_rgb

    channels = torch.from_numpy(np.ascontiguousarray(lab.reshape(-1, 3).T)[:, None])  # (3, 1, M)
    return np.asarray(lab_to_rgb(channels, clip=False)[:, 0].numpy().T.reshape(lab.shape))


def _outside(rgb: Floats) -> npt.NDArray[np.bool_]:
    return np.asarray((rgb.min(axis=-1) < -_NEARLY) | (rgb.max(axis=-1) > 1 + _NEARLY))


@cache
def bins_in_gamut() -> npt.NDArray[np.bool_]:
    """(SIDE, SIDE), by a and b: whether a bin is the nearest of any sRGB colour. [REACH, REACH] is that of grey."""
    steps = np.linspace(-1, 1, _FACE)
    one, other = (axis.ravel() for axis in np.meshgrid(steps, steps))
    faces = []  # a line of equal a and b leaves the cube through its faces, so they show all that there is
    for channel in range(3):
        for end in (-1.0, 1.0):
            face = [one, other]
            face.insert(channel, np.full(one.shape, end))
            faces.append(face)
    rgb = np.concatenate(faces, axis=1)[:, None]  # (3, 1, 6 * _FACE ** 2)
    a, b = nearest_bins(to_lab(rgb)[1:, 0])
    reached = np.zeros((SIDE, SIDE), dtype=np.bool_)
    reached[a, b] = True
    return reached


def nearest_bins(ab: Floats) -> npt.NDArray[np.intp]:
    """The position, from 0 to SIDE - 1 on each axis, of the bin nearest to each colour: same shape as `ab`."""
    return np.clip(np.rint(ab / BIN), -REACH, REACH).astype(np.intp) + REACH


def blocks(shape: tuple[int, ...], pixels: int) -> Iterator[tuple[slice, slice]]:
    """Parts of pictures (B, C, H, W), as slices of examples and of rows, with about `pixels` pixels each at most."""
    examples, _, height, width = shape
    if height * width <= pixels:
        step = max(1, pixels // max(1, height * width))
        for start in range(0, examples, step):
            yield slice(start, start + step), slice(0, height)
        return
    step = max(1, pixels // width)
    for example in range(examples):
        for start in range(0, height, step):
            yield slice(example, example + 1), slice(start, start + step)


def in_lab(values: Sequence[npt.NDArray[Any]], rule: Callable[[Floats], Sequence[Floats]]) -> list[npt.NDArray[Any]]:
    """Apply a rule about single pixels to what k members predict, a bounded number of pixels at a time.

    Args:
        values: k arrays (B, 3, H, W), sRGB in [-1, 1].
        rule: colours of k members in Lab (k, P, 3) to one or several results (P, 3).

    Returns:
        The results as sRGB in [-1, 1]: each (B, 3, H, W), of the type of the first member's. Raises `ValueError` for
        values of other or of unequal shapes.
    """
    shape = np.shape(values[0])
    if len(shape) != 4 or shape[1] != 3 or any(np.shape(one) != shape for one in values):
        raise ValueError(f"Expected colours (B, 3, H, W) of one shape, got {[np.shape(one) for one in values]}.")
    results: list[npt.NDArray[Any]] = []
    for examples, rows in blocks(shape, max(1, _COLOURS_AT_ONCE // len(values))):
        lab = to_lab(np.stack([one[examples, :, rows] for one in values]))  # (k, b, 3, h, w)
        pixels = np.moveaxis(lab, 2, -1)  # (k, b, h, w, 3)
        for number, found in enumerate(rule(pixels.reshape(len(values), -1, 3))):
            if number == len(results):
                results.append(np.empty(shape, dtype=np.asarray(values[0]).dtype))
            results[number][examples, :, rows] = to_rgb(np.moveaxis(found.reshape(pixels.shape[1:]), -1, 1))
    return results
