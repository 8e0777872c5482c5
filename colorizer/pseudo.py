"""Unlabelled line art becomes training data: a model colours it, and what it is surest of is added, marked.

Lee, "Pseudo-Label: the simple and efficient semi-supervised learning method" (2013), with the sure ones alone as in Xie
et al., "Self-training with Noisy Student" (2020). Val and test stay what they were: line art that is in one of them, or
looks like it, is left out, as its colours would give the answers away.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from colorizer.dataset import SPLITS, WORKERS, Dataset
from colorizer.extending import ROWS, extend
from colorizer.images import DARK, MIN_SIDE, UnreadableImage, encode_png, inner_size, read_rgb, to_square
from colorizer.pairing import Pair, Tally, licences, pair_drawings
from colorizer.preparing.limits import Limits
from colorizer.preparing.look import SIDE, perceptual_hash
from colorizer.sampling import to_floats, to_pixels

Floats = NDArray[np.float32]
Colouring = Callable[[Floats], tuple[Floats, Floats]]
"""Lines (B, 1, S, S) to colours (B, 3, S, S) and squared doubt (B, 1, S, S), all of values in [-1, 1]."""
Progress = Callable[[int, int], None]

TWICE, BLANK, NARROW = "second of identical line art", "blank", "too narrow at the model's size"
NEAR = "looks like line art in val or test"

_AT_ONCE = 64  # drawings
_NEAR_BITS = Limits().likeness // 2  # of the 64 bits that `prepare` takes of the line drawing, and 64 of the colours


class PseudoError(ValueError):
    """Line art that cannot be added to a dataset; the message says why and what to do."""


@dataclass(frozen=True)
class Added:
    """What was added to a dataset.

    Attributes:
        kept: line drawings that were added.
        coloured: line drawings that could have been.
        counts: drawings per split of the new dataset.
        doubts: (coloured,) ascending, root mean squares in units of [-1, 1]; the first `kept` are those of what was
            added.
        left_out: reason -> line drawings that were not coloured.
    """

    kept: int
    coloured: int
    counts: dict[str, int]
    doubts: NDArray[np.float64]
    left_out: dict[str, Tally]


def disagreement(members: Sequence[Floats]) -> Floats:
    """Squared doubt (B, 1, S, S) of an ensemble whose members predict these (B, 3, S, S): their variance."""
    mean = sum(members[1:], start=members[0]) / len(members)
    squares = [(member - mean) ** 2 for member in members]
    return np.asarray(sum(squares[1:], start=squares[0]) / len(members), np.float32).mean(axis=1, keepdims=True)


def mirrored(predict: Callable[[Floats], Floats], lines: Floats) -> Floats:
    """Squared doubt (B, 1, S, S) of a model: how far it says something else of mirrored drawings (B, 1, S, S)."""
    there = predict(lines)
    back = predict(np.ascontiguousarray(lines[..., ::-1]))[..., ::-1]
    return np.asarray((there - back) ** 2, np.float32).mean(axis=1, keepdims=True)


def add_pseudo(
    dataset: Dataset,
    lines: Path,
    folder: Path,
    colouring: Colouring,
    size: int,
    *,
    keep: float = 0.5,
    notes: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Added:
    """Write a copy of a dataset with line art that a model has coloured added to its training split.

    Stored are the line art as it is, the colours at the model's size. The doubt about a drawing is the root of the mean
    of the squared doubt inside the rectangle that holds its ink: blank paper, of which every model is sure, would put
    small drawings first. What was left out is counted by reason. Of a drawing only its name and a few numbers stay in
    memory.

    Args:
        dataset: the other.
        lines: folder of line drawings, and its subfolders.
        folder: an empty one; whoever gives it makes it appear when all is in it.
        colouring: the model.
        size: side in pixels of the drawings it was trained on.
        keep: share of the coloured drawings that is added, in (0, 1]: those that it doubts least, 1 at least.
        notes: JSON values to be kept in the description beside what was added, such as the model's name.
        progress: called with (line drawings done, line drawings in all).

    Raises:
        PseudoError: there is nothing to add, `keep` is no share, or the model gives no numbers.
        DatasetError: the dataset cannot be read.
        OSError: a folder cannot be read or written.
    """
    if not 0 < keep <= 1:
        raise PseudoError(f"Expected 0 < keep <= 1, got keep={keep:g}. It is the share to add: 0.5 is half.")
    if not lines.is_dir():
        raise PseudoError(f"Expected a folder of line drawings at {lines}, found none.")
    found = pair_drawings(lines, None)
    scratch = folder / "coloured.parquet"
    left_out = dict(found.rejected)
    doubts = _colour_all(found.pairs, _Known.of(dataset, size), scratch, colouring, size, left_out, progress)
    if not len(doubts):
        why = "; ".join(f"{reason}: {tally}" for reason, tally in left_out.items()) or "no images"
        raise PseudoError(f"Expected line drawings in {lines} that can be added, found none ({why}).")
    order = np.argsort(doubts, kind="stable")
    kept = max(1, round(keep * len(doubts)))
    sure = doubts[order]
    about = {
        "drawings": kept,
        "of": len(doubts),
        "doubt": [float(sure[0]), float(sure[kept - 1])],
        "size": size,
        "left_out": {reason: [tally.count, tally.examples] for reason, tally in left_out.items()},
        **(notes or {}),
    }
    counts = extend(dataset, folder, scratch, np.sort(order[:kept]), about, licences([lines]))
    scratch.unlink()
    return Added(kept, len(doubts), counts, sure, left_out)


class _Line(NamedTuple):
    """A line drawing as it came, in the square that the model sees (S, S) uint8, and that square's digest and hash."""

    name: str
    image: Image.Image
    square: NDArray[np.uint8]
    digest: bytes
    hash: np.uint64


class _Known(NamedTuple):
    """Line art of a dataset at one size.

    Attributes:
        digests: of all of it -> the split that it is in, or why a second one is left out.
        hashes: (K,) uint64, of that in val and test.
        folder: that names of no drawing begin with.
    """

    digests: dict[bytes, str]
    hashes: NDArray[np.uint64]
    folder: str

    @classmethod
    def of(cls, dataset: Dataset, size: int) -> "_Known":
        digests: dict[bytes, str] = {}
        hashes: list[np.uint64] = []
        folders: set[str] = set()
        for split in SPLITS:  # what is in val or test must not count as a training drawing, so train comes first
            drawings = dataset.split(split, size)
            folders.update(name.partition("/")[0] for name in drawings.names)
            for (square,) in drawings.lines:
                digests[_digest(square)] = split
                if split != "train":
                    hashes.append(_hash(square))
        named = chain(("pseudo",), (f"pseudo-{number}" for number in count(2)))
        return cls(digests, np.array(hashes, np.uint64), next(name for name in named if name not in folders))


def _digest(square: NDArray[np.uint8]) -> bytes:
    return hashlib.sha256(square.tobytes()).digest()


def _hash(square: NDArray[np.uint8]) -> np.uint64:
    bits: NDArray[np.uint64] = perceptual_hash(np.asarray(to_square(Image.fromarray(square), SIDE))).view(np.uint64)
    return bits[0]


def _colour_all(
    pairs: Sequence[Pair],
    known: _Known,
    scratch: Path,
    colouring: Colouring,
    size: int,
    left_out: dict[str, Tally],
    progress: Progress | None,
) -> NDArray[np.float64]:
    """Colour what can be added into a scratch file; the doubt about each of its rows."""
    doubts = [np.empty(0)]
    with ThreadPoolExecutor(WORKERS) as workers, pq.ParquetWriter(scratch, ROWS, compression="none") as writer:
        for start in range(0, len(pairs), _AT_ONCE):
            part = pairs[start : start + _AT_ONCE]
            some: list[_Line] = []
            for pair, line in zip(part, workers.map(_read, part, [size] * len(part)), strict=True):
                reason = line if isinstance(line, str) else _reason(line, known, size)
                if reason:
                    left_out[reason] = left_out.get(reason, Tally()).plus(pair.name)
                elif isinstance(line, _Line):
                    known.digests[line.digest] = TWICE
                    some.append(line)
            if some:
                rows, doubt = _coloured(some, known.folder, colouring, size)
                writer.write_table(pa.Table.from_pylist(rows, schema=ROWS))
                doubts.append(doubt)
            if progress is not None:
                progress(start + len(part), len(pairs))
    return np.concatenate(doubts)


def _read(pair: Pair, size: int) -> _Line | str:
    """The line drawing, or why it cannot be read."""
    try:
        image = read_rgb(pair.color).convert("L")
    except UnreadableImage as error:
        return str(error.reason)
    square = np.asarray(to_square(image, size))
    return _Line(pair.name, image, square, _digest(square), _hash(square))


def _reason(line: _Line, known: _Known, size: int) -> str:
    """Why a line drawing cannot be added; "" where it can."""
    if not (line.square < DARK).any():
        return BLANK
    if min(inner_size(line.image.size, size)) < MIN_SIDE:
        return NARROW
    if split := known.digests.get(line.digest, ""):
        return f"identical line art in {split}" if split in SPLITS else split
    return NEAR if (np.bitwise_count(known.hashes ^ line.hash) <= _NEAR_BITS).any() else ""


def _coloured(
    some: Sequence[_Line], folder: str, colouring: Colouring, size: int
) -> tuple[list[dict[str, Any]], NDArray[Any]]:
    squares = np.stack([line.square for line in some])[:, None]  # (B, 1, S, S)
    colors, doubt = colouring(to_floats(squares))
    if not (np.isfinite(colors).all() and np.isfinite(doubt).all()):
        raise PseudoError(f"Expected colours that are numbers for {some[0].name}, ..., got NaN. Take another model.")
    inside = np.broadcast_to(_around_ink(squares), doubt.shape)
    per_drawing = np.sqrt(np.mean(doubt, axis=(1, 2, 3), where=inside, dtype=np.float64))
    rows = []
    for line, pixels in zip(some, to_pixels(colors), strict=True):
        width, height = inner_size(line.image.size, size)
        left, top = (size - width) // 2, (size - height) // 2
        color = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
        color = color.crop((left, top, left + width, top + height))
        named = {"name": f"{folder}/{line.name}", "width": width, "height": height}
        rows.append({**named, "line": encode_png(line.image), "color": encode_png(color)})
    return rows, per_drawing


def _around_ink(squares: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(B, 1, S, S), the rectangle that holds all that is dark in a drawing (B, 1, S, S)."""
    dark = squares < DARK
    inside = np.ones_like(dark)
    for axis, other in ((2, 3), (3, 2)):
        there = dark.any(axis=other, keepdims=True)
        before = np.maximum.accumulate(there, axis=axis)
        after = np.flip(np.maximum.accumulate(np.flip(there, axis), axis=axis), axis)
        inside &= before & after
    return inside
