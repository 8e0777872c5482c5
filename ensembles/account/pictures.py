"""Pictures of some test examples: the input, the best single model, the ensemble, and the truth."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from ensembles.combining.gram import Floats
from ensembles.predictor import Array, Predictor

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
EVEN, WORST = "evenly spaced", "worst"  # why an example is shown
_SCHEMA = pa.schema(
    [
        ("example", pa.string()),
        ("kind", pa.string()),
        ("reason", pa.string()),
        ("score", pa.float64()),
        ("image", IMAGE),
    ]
)


def choose_examples(scores: Floats, even: int = 6, worst: int = 4) -> dict[int, str]:
    """Positions of examples to show, and why, in order: `even` spread evenly, then the `worst` lowest.

    `scores` (N,), higher is better. An example is shown once; where N is small there are fewer.
    """
    count = len(scores)
    spread = np.unique(np.linspace(0, count - 1, min(even, count)).round().astype(int))
    chosen = {int(position): EVEN for position in spread}
    for position in np.argsort(scores, kind="stable")[:worst]:
        chosen.setdefault(int(position), WORST)
    return chosen


def draw_examples(judge: Predictor, best: Predictor, ensemble: Predictor, chosen: dict[int, str]) -> dict[int, Any]:
    """Read the test split once more and draw what was chosen: position -> (name, {kind: PNG})."""
    drawn: dict[int, Any] = {}
    start = 0
    for batch in judge.batches("test"):
        end = start + len(batch.names)
        inside = [position - start for position in chosen if start <= position < end]
        if inside:
            inputs = np.asarray(batch.inputs)[inside]
            shown = {
                "line": inputs,
                "best_single": best(inputs),
                "ensemble": ensemble(inputs),
                "truth": np.asarray(batch.targets)[inside],
            }
            for row, position in enumerate(inside):
                images = {kind: png(judge.picture(values[row])) for kind, values in shown.items()}
                drawn[start + position] = batch.names[position], images
        start = end
    return drawn


def write_pictures(path: Path, drawn: dict[int, Any], chosen: dict[int, str], scores: Mapping[str, Floats]) -> None:
    """A row a picture, image as {bytes, path}; `score` is that of the picture, null for inputs and targets.

    `scores` holds those of the whole split, (N,), by kind of picture.
    """
    rows = [
        {
            "example": name,
            "kind": kind,
            "reason": reason,
            "score": float(scores[kind][position]) if kind in scores else None,
            "image": {"bytes": png, "path": f"{position:06d}_{kind}.png"},
        }
        for position, reason in chosen.items()
        for name, images in [drawn[position]]
        for kind, png in images.items()
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), path)


def png(pixels: Array) -> bytes:
    """A picture (H, W, 3) of uint8 as a PNG."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"Expected a picture (H, W, 3) of uint8, got {pixels.shape} of {pixels.dtype}.")
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, format="PNG")
    return stream.getvalue()
