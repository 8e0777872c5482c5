"""Line drawings from colours in several styles, for whole batches at once.

A model that has seen one pen alone learns that pen. All of them leave flat areas of any colour as paper: a line tells
where colours change, and nothing of which they are. What a pen calls near is a share of the shorter side, so that the
line of a drawing does not depend on the resolution it was saved at.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from colorizer.line_art import GAIN, PAPER_NOISE, reach_of

GIVEN = "given"  # the drawing's own lines

# XDoG: the sigma of the finer blur in sides and the least in pixels, the ratio of both, how much the difference of
# the two counts, from where on there is ink and how soon it is black.
_FINE, _LEAST, _COARSER, _SHARPNESS, _INKED_FROM, _SOONNESS = 1 / 200, 0.4, 1.6, 14.0, -0.08, 1.2
# Threshold: the sigma of the mean around in sides, and by how much a pixel is darker than it to be inked.
_AROUND, _DARKER = 1 / 60, 0.06
_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601


def dilation(colors: Tensor) -> Tensor:
    """A pixel is inked as far as it is darker than the brightest near it: what `line_art.lines_from_colors` draws.

    Args:
        colors: (B, 3, H, W) in [0, 1].

    Returns:
        (B, 1, H, W) in [0, 1], 1 where there is paper.
    """
    reach = reach_of(colors.shape[2], colors.shape[3])
    # What lies outside is never the brightest. One axis after the other, which costs less than squares.
    brightest = F.max_pool2d(colors, (2 * reach + 1, 1), 1, (reach, 0))
    brightest = F.max_pool2d(brightest, (1, 2 * reach + 1), 1, (0, reach))
    darker = (brightest - colors).amax(dim=1, keepdim=True)
    return 1 - (GAIN * darker - PAPER_NOISE).clamp(0, 1)


def xdog(colors: Tensor) -> Tensor:
    """Soft lines where a pixel is darker than what lies around: a difference of Gaussians, bent by tanh.

    Winnemöller et al., "XDoG: an eXtended difference-of-Gaussians compendium" (2012), without the brightness itself,
    which fills dark areas there and would tell of colours. Args and Returns as for `dilation`.
    """
    luma = _luma(colors)
    sigma = max(_LEAST, _FINE * min(colors.shape[2:]))
    difference = _SHARPNESS * (_blurred(luma, sigma) - _blurred(luma, _COARSER * sigma))
    return 1 + torch.tanh(_SOONNESS * (difference - _INKED_FROM).clamp(max=0))


def threshold(colors: Tensor) -> Tensor:
    """Hard lines, black or nothing, where a pixel is darker than the mean around it. Args and Returns as `dilation`."""
    luma = _luma(colors)
    around = _blurred(luma, max(1.0, _AROUND * min(colors.shape[2:])))
    return (luma > around - _DARKER).to(colors.dtype)


PENS: dict[str, Callable[[Tensor], Tensor]] = {"dilation": dilation, "xdog": xdog, "threshold": threshold}


def check_styles(styles: str) -> None:
    """Raise ValueError unless these are names of pens, or "given", with commas between."""
    for style in _names(styles):
        if style not in (GIVEN, *PENS):
            known = ", ".join((GIVEN, *PENS))
            raise ValueError(f"Expected line_styles out of {known}, with commas between, got {style!r} in {styles!r}.")


def drawn(lines: Tensor, colors: Tensor, styles: str, rng: torch.Generator) -> Tensor:
    """The lines of a batch, each drawing's in a style of its own, drawn evenly from `styles`.

    Args:
        lines: (B, 1, H, W) in [0, 1], those of "given".
        colors: (B, 3, H, W) in [0, 1].
        styles: see `check_styles`; one that is named twice comes twice as often.
        rng: of the CPU, wherever the drawings are.
    """
    names = _names(styles)
    choice = torch.randint(len(names), (len(lines),), generator=rng)
    result = lines.clone()
    for number, name in enumerate(names):
        rows = torch.nonzero(choice == number).flatten()
        if name != GIVEN and len(rows):
            rows = rows.to(lines.device)
            result[rows] = PENS[name](colors[rows])
    return result


def _names(styles: str) -> list[str]:
    return [name.strip() for name in styles.split(",")]


def _luma(colors: Tensor) -> Tensor:
    weights = colors.new_tensor(_LUMA).view(1, 3, 1, 1)
    return (colors * weights).sum(dim=1, keepdim=True)  # (B, 1, H, W)


def _blurred(picture: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur of (B, 1, H, W); beyond its edges a picture goes on as it ends."""
    reach = math.ceil(3 * sigma)
    places = torch.arange(-reach, reach + 1, dtype=picture.dtype, device=picture.device)
    kernel = torch.exp(-0.5 * (places / sigma).square())
    kernel = (kernel / kernel.sum()).view(1, 1, -1)  # (1, 1, 2 * reach + 1)
    wide = F.pad(picture, (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(F.conv2d(wide, kernel[..., None]), kernel[..., None, :])
