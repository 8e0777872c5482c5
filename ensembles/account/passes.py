"""The passes over the data, batch by batch: errors and scores on validation, scores on test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ensembles.combining.gram import BadPredictions, ErrorGram, Floats, blend, blend_each
from ensembles.members.crew import Crew
from ensembles.predictor import Array, Batch, Predictor, Scores


@dataclass(frozen=True, eq=False)
class TestScores:
    scores: Mapping[str, Scores]  # method -> score -> (N,)
    groups: Array  # (N,)


def observe(crew: Crew, say: Callable[[str], None]) -> tuple[ErrorGram, Array]:
    """The Gram matrices of the validation split and its groups (N,). Members that fail are set aside."""
    gram = ErrorGram(len(crew.predictors))
    groups: list[Array] = []
    for count, batch in _counted(crew.judge, "val"):
        say(f"validation split, {count} examples")
        while True:
            try:
                gram.add(crew.predict(batch.inputs, batch.targets.shape), batch.targets)
                break
            except BadPredictions as error:
                gram.drop(crew.exclude(error, "val"))
        groups.append(np.asarray(batch.groups))
    return gram, np.concatenate(groups)


def validate(crew: Crew, weights: Mapping[str, Floats], say: Callable[[str], None]) -> dict[str, float]:
    """The mean gain metric of each method on the validation split, with weights (N, k) of their own for each example.

    Raises `BadPredictions` for a member that fails.
    """
    found: dict[str, list[Array]] = {name: [] for name in weights}
    for count, batch in _counted(crew.judge, "val"):
        say(f"validation split again, {count} examples")
        predictions = crew.predict(batch.inputs, batch.targets.shape)
        part = slice(count - len(batch.names), count)
        for name, w in weights.items():
            blended = blend_each(predictions, w[part])
            scores = _checked(crew.judge.scores(blended, batch.targets), crew.judge, len(batch.names))
            found[name].append(scores[crew.judge.gain_metric])
    return {name: float(np.concatenate(parts).mean()) for name, parts in found.items()}


def score(crew: Crew, weights: Mapping[str, Floats], say: Callable[[str], None]) -> TestScores:
    """Score each method on each example of the test split; `BadPredictions` for a member that fails."""
    parts: dict[str, list[Scores]] = {name: [] for name in weights}
    groups: list[Array] = []
    for count, batch in _counted(crew.judge, "test"):
        say(f"test split, {count} examples")
        predictions = crew.predict(batch.inputs, batch.targets.shape)
        for name, w in weights.items():
            used = np.flatnonzero(w)
            blended = blend([predictions[member] for member in used], w[used])
            parts[name].append(_checked(crew.judge.scores(blended, batch.targets), crew.judge, len(batch.names)))
        groups.append(np.asarray(batch.groups))
    scores = {
        name: {key: np.concatenate([part[key] for part in several]) for key in several[0]}
        for name, several in parts.items()
    }
    return TestScores(scores, np.concatenate(groups))


def _counted(judge: Predictor, split: str) -> Iterator[tuple[int, Batch]]:
    count = 0
    for batch in judge.batches(split):
        size = len(batch.names)
        if not size == len(batch.inputs) == len(batch.targets) == len(batch.groups):
            raise ValueError(
                f"Expected as many names, inputs, targets and groups in a batch of the {split} split, got "
                f"{size}, {len(batch.inputs)}, {len(batch.targets)} and {len(batch.groups)}."
            )
        count += size
        yield count, batch
    if not count:
        raise ValueError(f"The {split} split holds no example; an ensemble needs at least one.")


def _checked(scores: Scores, judge: Predictor, examples: int) -> Scores:
    for key in ("mse", judge.gain_metric):
        if key not in scores:
            raise ValueError(f"Expected scores to hold {key!r}, got {sorted(scores)}.")
    for key, values in scores.items():
        if np.shape(values) != (examples,):
            raise ValueError(f"Expected a score {key!r} for each of {examples} examples, got shape {np.shape(values)}.")
    return scores
