"""The same drawings over the trials and over the iterations of the best one -> rows of pictures."""

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from search.report.tables.ensemble import Example, image_bytes
from search.report.tables.snapshot import Snapshot, records

_COLUMNS = {"strip", "trial_id", "iteration", "example", "score", "image"}


@dataclass(frozen=True)
class Stop:
    """A checkpoint of a strip.

    Attributes:
        number: of its trial; None where that is not of this run.
        score: by which the search knows it, on validation; NaN where that is unknown.
    """

    trial_id: str
    number: int | None
    iteration: int
    score: float


@dataclass(frozen=True)
class Row:
    """One drawing: a picture and its score on test for each stop, and what it should be."""

    name: str
    images: tuple[bytes, ...]
    scores: tuple[float, ...]
    truth: bytes


@dataclass(frozen=True)
class Strip:
    """Checkpoints from left to right, and the drawings that all of them colour."""

    stops: tuple[Stop, ...]
    rows: tuple[Row, ...]


def strip(snap: Snapshot, kind: str, examples: list[Example]) -> Strip | None:
    """The strip "trials", best first, or "iterations", earliest first. None with fewer than two checkpoints.

    `examples` hold the truth of each drawing, by its name.
    """
    gallery = snap.blend.gallery
    if gallery is None or not set(gallery.columns) >= _COLUMNS:
        return None
    found = records(gallery[gallery["strip"] == kind].dropna(subset=["trial_id", "iteration", "example"]))
    keys = list(dict.fromkeys((str(row["trial_id"]), int(row["iteration"])) for row in found))
    if len(keys) < 2:
        return None
    cells = {(str(row["trial_id"]), int(row["iteration"]), str(row["example"])): row for row in found}
    truths = {example.name: example.images.get("truth", b"") for example in examples}
    rows = []
    for name in dict.fromkeys(str(row["example"]) for row in found):
        across = [cells.get((*key, name), {}) for key in keys]
        images = tuple(image_bytes(cell.get("image")) for cell in across)
        scores = tuple(_number(cell.get("score")) for cell in across)
        rows.append(Row(name, images, scores, truths.get(name, b"")))
    return Strip(tuple(_stops(snap, kind, keys)), tuple(rows))


def _stops(snap: Snapshot, kind: str, keys: list[tuple[str, int]]) -> list[Stop]:
    wanted = snap.trials[snap.trials["trial_id"].isin([trial_id for trial_id, _ in keys])]
    known = {str(row["trial_id"]): (index, row) for index, row in zip(wanted.index, records(wanted), strict=True)}
    stops = []
    for trial_id, iteration in keys:
        index, row = known.get(trial_id, (None, {}))
        score = _number(row.get("score"))
        if kind == "iterations" and index is not None:
            curve = snap.curve(index).set_index("iteration")["value"]
            score = _number(curve.get(iteration))
        stops.append(Stop(trial_id, int(row["number"]) if row else None, iteration, score))
    return stops


def _number(value: Any) -> float:
    return math.nan if value is None or pd.isna(value) else float(value)
