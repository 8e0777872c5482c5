"""What the limits of `prepare` take of a collection, and which copies of its drawings are found by their hashes.

    python benchmarks/filters.py COLOR_DIR LINE_DIR [--quick] [--json FILE]

A copy is found where its hash is as near to the original's as `prepare` asks of drawings that it takes for alike.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from harness import Row, drawings_arguments, finish
from PIL import Image, ImageChops

from colorizer.images import read_rgb
from colorizer.pairing import Pair, pair_drawings
from colorizer.prepare import Prepared, prepare
from colorizer.preparing.limits import Limits, Unfit
from colorizer.preparing.look import look_at

GREY = 1.0  # below this colourfulness a drawing counts as grey
JPEG_QUALITY = 60


def main() -> None:
    options = drawings_arguments(__doc__)
    defaults = Limits()
    as_set, coloured, distinct = (
        made(options.colors, options.lines, limits)
        for limits in (defaults, replace(defaults, colourfulness=GREY), replace(defaults, drop_near=True))
    )
    rejected = {reason: tally.count for reason, tally in as_set.rejected.items()}
    summary = {
        "drawings": sum(as_set.counts.values()) + sum(rejected.values()),
        "too_intricate": rejected.pop(Unfit.INTRICATE, 0),
        "otherwise_left_out": sum(rejected.values()),
        "alike": as_set.alike,
        "near_duplicates": distinct.rejected[Unfit.NEAR_COPY].count,
        "grey": coloured.rejected[Unfit.WITHOUT_COLOUR].count,
        "grey_below": GREY,
        "jpeg_quality": JPEG_QUALITY,
    }
    pairs = pair_drawings(options.colors, options.lines).pairs
    summary["side"] = float(np.median([max(read_rgb(pair.line).size) for pair in pairs[:100]]))
    some = pairs[:: 10 if options.quick else 1]
    rows = [recall(name, copy, some, defaults.likeness) for name, copy in COPIES.items()]
    finish(options, rows, summary | {f"found_{row['copies']}": row["found"] for row in rows})


def made(colors: Path, lines: Path, limits: Limits) -> Prepared:
    with tempfile.TemporaryDirectory() as scratch:
        return prepare(colors, Path(scratch) / "dataset", lines, limits=limits)


def smaller(picture: Image.Image) -> Image.Image:
    return picture.resize((picture.width * 2 // 3, picture.height * 2 // 3), Image.Resampling.BICUBIC)


def compressed(picture: Image.Image) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=JPEG_QUALITY)
    return Image.open(file)


def shifted(picture: Image.Image) -> Image.Image:
    """One pixel to the right; the border of a drawing is paper."""
    return ImageChops.offset(picture, 1, 0)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "resized": smaller,
    "compressed": compressed,
    "shifted": shifted,
}


def recall(name: str, copy: Callable[[Image.Image], Image.Image], pairs: list[Pair], bits: int) -> Row:
    """The share of drawings whose copy is found, and how many bits the hashes of copies differ in."""
    apart = []
    for pair in pairs:
        line, color = read_rgb(pair.line).convert("L"), read_rgb(pair.color)
        ours, theirs = look_at(line, color), look_at(copy(line), copy(color))
        apart.append(int(np.bitwise_count(ours.likeness ^ theirs.likeness).sum()))
    found = np.array(apart) <= bits
    return {
        "copies": name,
        "drawings": len(found),
        "found": float(found.mean()),
        "bits_median": float(np.median(apart)),
        "bits_worst": max(apart),
    }


if __name__ == "__main__":
    main()
