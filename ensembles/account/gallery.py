"""The same examples as several checkpoints predict them: over the trials, and over the iterations of one trial."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ensembles.account.pictures import IMAGE, png
from ensembles.combining.gram import check_predictions
from ensembles.predictor import Array, Predictor, load_predictor

TRIALS, ITERATIONS = "trials", "iterations"
_SCHEMA = pa.schema(
    [
        ("strip", pa.string()),
        ("trial_id", pa.string()),
        ("iteration", pa.int64()),
        ("example", pa.string()),
        ("score", pa.float64()),
        ("image", IMAGE),
    ]
)


@dataclass(frozen=True)
class Exhibit:
    """A checkpoint whose predictions are to be seen.

    Attributes:
        strip: what it is one of: "trials" or "iterations".
        fetch: its folder, which need only be there for the time of the context.
    """

    strip: str
    trial_id: str
    iteration: int
    fetch: Callable[[], AbstractContextManager[Path]]


@dataclass(frozen=True, eq=False)
class _Example:
    name: str
    input: Array  # (1, ...)
    target: Array  # (1, ...)


def draw_gallery(
    judge: Predictor,
    exhibits: Sequence[Exhibit],
    positions: Collection[int],
    data: str | Path | None = None,
    *,
    most: int = 3,
    say: Callable[[str], None] = lambda text: None,
) -> list[dict[str, Any]]:
    """A row a picture: strip, trial_id, iteration, example, score, image; in the order of the exhibits.

    Of the examples of the test split at `positions`, those `most` with the strongest colours are shown, in their order:
    a drawing that is white looks alike in every trial. The score of a picture is the gain metric. Checkpoints are
    loaded one at a time, and one that cannot be loaded or cannot predict is left out.
    """
    if not exhibits:
        return []
    examples = _read(judge, positions)
    colours = [-_colour(judge.picture(example.target[0])) for example in examples]
    examples = [examples[index] for index in sorted(np.argsort(colours, kind="stable")[:most])]
    rows = []
    for exhibit in exhibits:
        say(f"pictures of {exhibit.trial_id} at iteration {exhibit.iteration}")
        try:
            with exhibit.fetch() as folder:
                predictor = load_predictor(folder, data)
                rows += [_row(exhibit, judge, predictor, example) for example in examples]
        except Exception:  # anyone's code; where such a checkpoint is a member, the build says what is wrong with it
            continue
    return rows


def write_gallery(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """The rows as Parquet."""
    pq.write_table(pa.Table.from_pylist([*rows], schema=_SCHEMA), path)


def _row(exhibit: Exhibit, judge: Predictor, predictor: Predictor, example: _Example) -> dict[str, Any]:
    values = check_predictions(0, np.asarray(predictor(example.input)), example.target.shape)
    return {
        "strip": exhibit.strip,
        "trial_id": exhibit.trial_id,
        "iteration": exhibit.iteration,
        "example": example.name,
        "score": float(judge.scores(values, example.target)[judge.gain_metric][0]),
        "image": {"bytes": png(judge.picture(values[0])), "path": None},
    }


def _read(judge: Predictor, positions: Collection[int]) -> list[_Example]:
    """The examples at these positions of the test split, in its order."""
    found: list[_Example] = []
    start = 0
    for batch in judge.batches("test"):
        if start > max(positions, default=-1):
            break
        inputs, targets = np.asarray(batch.inputs), np.asarray(batch.targets)
        for row, name in enumerate(batch.names):
            if start + row in positions:
                found.append(_Example(name, inputs[row : row + 1], targets[row : row + 1]))
        start += len(batch.names)
    return found


def _colour(pixels: Array) -> float:
    """How far from grey a picture (H, W, 3) is: the mean distance between its strongest and weakest channel."""
    return float(np.ptp(pixels.astype(np.int16), axis=2).mean())
