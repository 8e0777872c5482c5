"""What a generator has learnt to look for, as pictures: its first filters, and what each level makes of a drawing."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from colorizer.generator import UNet
from colorizer.inference import Colorizer

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

_FILTERS_IN_A_ROW, _MOST_FILTERS = 16, 64
_MAPS_IN_A_ROW, _MOST_MAPS = 8, 16
_FILTER_SIDE, _MAP_SIDE = 20, 40  # pixels on the picture, about: pages keep pictures of up to 384 pixels as they are
_GAP = 2  # pixels between tiles
_BELOW, _ABOVE = np.array([42, 111, 181]), np.array([181, 88, 20])  # colours of the least and the largest weight


@dataclass(frozen=True, eq=False)
class Maps:
    """Some features of one level.

    Attributes:
        level: what made them, as in the names of its parameters: "down.0".
        channels: how many there are.
        shown: how many of them are on the picture: those that vary most over the drawing.
        size: height and width of a feature.
        picture: (H, W, 3); each feature from its own least (black) to its own largest value (white).
    """

    level: str
    channels: int
    shown: int
    size: tuple[int, int]
    picture: Pixels


def first_filters(generator: UNet) -> Pixels:
    """What the filters of the first layer multiply the lines with, (H, W, 3): blue below zero, white 0, orange above.

    Each filter is scaled to its own largest weight; of many, the 64 with the largest weights are shown.
    """
    layer = next(module for module in generator.down.modules() if isinstance(module, nn.Conv2d))
    weights = layer.weight.detach().float().cpu().numpy()[:, 0]  # (C, h, w); channel 0 sees the lines
    size = np.abs(weights).max(axis=(1, 2))
    strongest = np.sort(np.argsort(-size, kind="stable")[:_MOST_FILTERS])
    scaled = weights[strongest] / np.maximum(size[strongest], 1e-12)[:, None, None]
    part = np.abs(scaled)[..., None]
    ends = np.where(scaled[..., None] < 0, _BELOW, _ABOVE)
    return _sheet(255 * (1 - part) + ends * part, _FILTER_SIDE, _FILTERS_IN_A_ROW)


def feature_maps(colorizer: Colorizer, lines: Floats) -> list[Maps]:
    """What each level makes of a drawing (1, 1, H, W), the first one first; of several passes, the last one's."""
    seen: dict[str, Tensor] = {}
    with ExitStack() as undo:
        for name, module in _levels(colorizer.module):
            handle = module.register_forward_hook(partial(_note, seen, name))
            undo.callback(handle.remove)
        colorizer(lines)
    return [_maps(name, output) for name, output in seen.items()]


def _levels(generator: UNet) -> Iterator[tuple[str, nn.Module]]:
    for way, levels in (("down", generator.down), ("up", generator.up)):
        for number, level in enumerate(levels):
            yield f"{way}.{number}", level


def _note(seen: dict[str, Tensor], name: str, module: nn.Module, given: object, output: Tensor) -> None:
    seen[name] = output.detach()


def _maps(name: str, output: Tensor) -> Maps:
    values = output[0].float().cpu()  # (C, h, w)
    varied = torch.argsort(values.flatten(1).std(dim=1, correction=0), descending=True, stable=True)[:_MOST_MAPS]
    shown = values[varied.sort().values].numpy()
    low, high = (end(shown, axis=(1, 2), keepdims=True) for end in (np.min, np.max))
    gray = 255 * (shown - low) / np.maximum(high - low, 1e-12)
    tiles = np.repeat(gray[..., None], 3, axis=-1)
    picture = _sheet(tiles, _MAP_SIDE, _MAPS_IN_A_ROW)
    return Maps(name, len(values), len(shown), (values.shape[1], values.shape[2]), picture)


def _sheet(tiles: NDArray[np.floating], side: int, in_a_row: int) -> Pixels:
    """Tiles (N, h, w, 3) in [0, 255], each enlarged by whole factors to about `side` pixels, in rows on grey."""
    factor = max(1, round(side / max(tiles.shape[1:3])))
    large = tiles.round().astype(np.uint8).repeat(factor, axis=1).repeat(factor, axis=2)
    count, height, width, _ = large.shape
    columns = min(count, in_a_row)
    rows = -(-count // columns)
    sheet = np.full((rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3), 128, np.uint8)
    for number, tile in enumerate(large):
        top, left = (number // columns) * (height + _GAP), (number % columns) * (width + _GAP)
        sheet[top : top + height, left : left + width] = tile
    return sheet
