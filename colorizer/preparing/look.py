"""What is kept of a drawing's pixels once they are decoded: a small square, a few numbers, a hash. Judges nothing."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from colorizer.images import DARK, to_square

SIDE = 64

_PAPER = 224  # what is darker than that in the line or in a colour channel is drawn
_PATTERN = 32  # the hash sees the square at this size, and of its spectrum a corner of 8 x 8
_GRAIN = 0.25  # of the spectrum: what is smaller is noise of rounding, and no bit may hang on it
_COSINES = np.cos(np.pi / _PATTERN * (np.arange(_PATTERN) + 0.5) * np.arange(8)[:, None]) * np.sqrt(2 / _PATTERN)
_COSINES[0] /= np.sqrt(2)
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


class Look(NamedTuple):
    """A drawing as a network meets it, and measures of it.

    Attributes:
        square: (4, 64, 64) uint8; the line drawing and red, green, blue, laid into a white square as `to_square` does.
        ink: mean darkness of the line drawing as it came, 0 white paper, 1 black.
        density: share of its pixels that are darker than mid-grey.
        contrast: the largest difference between two values of one colour channel of the square, 0 to 255.
        colourfulness: of the square, by Hasler and Süsstrunk (2003), as `colorizer.metrics` measures it: 0 for grey, 15
            is called slightly colourful.
        subject: share of the picture that is inside the box around everything drawn.
        likeness: (16,) uint8, 128 bits that differ in few places between drawings that look alike.
    """

    square: NDArray[np.uint8]
    ink: float
    density: float
    contrast: int
    colourfulness: float
    subject: float
    likeness: NDArray[np.uint8]


def look_at(line: Image.Image, color: Image.Image) -> Look:
    """Looks at a line drawing (mode "L") and its colours (mode "RGB"), which may be of other resolutions."""
    drawn = np.asarray(line)
    square = np.empty((4, SIDE, SIDE), dtype=np.uint8)
    square[0] = np.asarray(to_square(line, SIDE))
    square[1:] = np.asarray(to_square(color, SIDE)).transpose(2, 0, 1)
    colors = square[1:].reshape(3, -1)
    return Look(
        square=square,
        ink=1 - float(drawn.mean()) / 255,
        density=float((drawn < DARK).mean()),
        contrast=int(np.ptp(colors, axis=1).max()),
        colourfulness=_colourfulness(colors),
        subject=_subject(square, color.width / color.height),
        likeness=np.concatenate([perceptual_hash(square[0]), perceptual_hash(np.tensordot(_LUMA, square[1:], 1))]),
    )


def _colourfulness(colors: NDArray[np.uint8]) -> float:
    red, green, blue = colors.astype(np.float32)
    opponents = np.stack([red - green, (red + green) / 2 - blue])
    return float(np.hypot(*opponents.std(axis=1)) + 0.3 * np.hypot(*opponents.mean(axis=1)))


def _subject(square: NDArray[np.uint8], aspect: float) -> float:
    drawn = square.min(axis=0) < _PAPER
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    if not len(rows):
        return 0.0
    box = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    return min(1.0, float(box) / (SIDE**2 * min(aspect, 1 / aspect)))


def perceptual_hash(values: NDArray[Any]) -> NDArray[np.uint8]:
    """64 bits, (8,): which of the lowest frequencies are stronger than their median (pHash; Zauner 2010).

    Small changes of a picture move few coefficients across the median. Much of a symmetric drawing's spectrum is zero;
    rounding puts that on one side.

    Args:
        values: (64, 64), one channel of a square, from 0 to 255.
    """
    factor = SIDE // _PATTERN
    small = values.reshape(_PATTERN, factor, _PATTERN, factor).mean(axis=(1, 3), dtype=np.float64)
    spectrum = np.rint(_COSINES @ small @ _COSINES.T / _GRAIN).ravel()  # (64,)
    return np.packbits(spectrum > np.median(spectrum[1:]))
