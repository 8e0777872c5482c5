"""Colours that cost nothing: trivial predictors, and what they score. A model that is worth its training beats them."""

import json
import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from colorizer import metrics
from colorizer.dataset import Dataset, Drawings, cache_folder, locked
from colorizer.sampling import to_floats

LINE_COPIED, MEAN_IMAGE = "line_copied", "mean_image"
WORDS = {LINE_COPIED: "the line copied", MEAN_IMAGE: "the mean colour image"}
"""How a baseline is called in a sentence."""
PREFIX = "baseline"

_AT_ONCE = 64  # drawings
_CACHE_VERSION = 1  # to be raised whenever a baseline or a measure changes

Floats = NDArray[np.float32]


def predictors(train: Drawings) -> dict[str, Callable[[Floats], Floats]]:
    """The baselines by name, each lines (B, 1, S, S) to colours (B, 3, S, S), float32 in [-1, 1].

    - "line_copied": the drawing left as it is, its grey as red, green and blue.
    - "mean_image": the mean colour of each place over the training drawings, whatever the lines are: of all constant
      pictures the one with the least squared error there.

    Args:
        train: the training split at the size that is to be predicted; read once, a bounded number at a time.

    Raises:
        ValueError: there is no drawing to take the mean of.
    """
    mean = mean_image(train)  # (3, S, S)

    def line_copied(lines: Floats) -> Floats:
        return np.repeat(lines[:, :1], 3, axis=1)

    def constant(lines: Floats) -> Floats:
        return np.broadcast_to(mean, (len(lines), *mean.shape))

    return {LINE_COPIED: line_copied, MEAN_IMAGE: constant}


def mean_image(drawings: Drawings) -> Floats:
    """The mean colour of each place, (3, S, S) float32 in [-1, 1].

    Raises:
        ValueError: there is no drawing.
    """
    if not len(drawings):
        raise ValueError("Expected 1 drawing or more to take the mean of, got 0. Prepare a dataset with more.")
    total = np.zeros(drawings.colors.shape[1:], np.int64)
    for start in range(0, len(drawings), _AT_ONCE):
        total += drawings.colors[start : start + _AT_ONCE].sum(axis=0, dtype=np.int64)
    return np.asarray(total / len(drawings) / 127.5 - 1, np.float32)


def score(train: Drawings, drawings: Drawings) -> dict[str, dict[str, float]]:
    """What each baseline scores on `drawings`: its name to what `metrics.summarize` returns.

    Raises:
        ValueError: one of the splits holds no drawing.
    """
    if not len(drawings):
        raise ValueError("Expected 1 drawing or more to score, got 0.")
    found = {}
    for name, predict in predictors(train).items():
        parts = []
        for start in range(0, len(drawings), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            predicted = np.ascontiguousarray(predict(to_floats(drawings.lines[some])))
            colors = torch.from_numpy(to_floats(drawings.colors[some]))
            parts.append(metrics.score_images(torch.from_numpy(predicted), colors))
        found[name] = metrics.summarize({key: torch.cat([part[key] for part in parts]) for key in parts[0]})
    return found


def of_split(dataset: Dataset, split: str, size: int) -> dict[str, dict[str, float]]:
    """What `score` says of a split of a dataset.

    It is computed once for a dataset, a split and a size on a machine, and kept beside the decoded drawings;
    processes that ask at the same time wait for the one that computes.

    Raises:
        DatasetError: the drawings cannot be read.
        ValueError: a split is empty.
    """
    file = cache_folder() / f"{dataset.digest[:32]}-baselines-{split}-{size}-v{_CACHE_VERSION}.json"
    if (kept := _read(file)) is not None:
        return kept
    train, drawings = dataset.split("train", size), dataset.split(split, size)
    with ExitStack() as stack:
        with suppress(OSError):  # where nothing can be kept, each trial computes them for itself
            stack.enter_context(locked(file.with_suffix(".lock")))
        if (kept := _read(file)) is not None:  # another process may have computed them meanwhile
            return kept
        scores = score(train, drawings)
        half = file.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            half.write_text(json.dumps(scores), encoding="utf-8")
            half.replace(file)
    return scores


def reported(dataset: Dataset, split: str, size: int) -> dict[str, float]:
    """The scores `of_split` by flat names, as a trial reports them: "baseline/NAME/METRIC" to a number."""
    scores = of_split(dataset, split, size)
    return {f"{PREFIX}/{name}/{key}": value for name, told in scores.items() for key, value in told.items()}


def _read(file: Path) -> dict[str, dict[str, float]] | None:
    """What was kept, or None where there is nothing, or something else."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        whole = kept.keys() == WORDS.keys() and all(
            isinstance(value, float) for told in kept.values() for value in told.values()
        )
    except (OSError, ValueError, AttributeError):
        return None
    return kept if whole else None
