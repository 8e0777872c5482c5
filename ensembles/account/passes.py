"""The passes over the data that score ways to combine: on validation without what they were fitted to, and on test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ensembles.capabilities import Baselines
from ensembles.combining.combiner import Combiner
from ensembles.members.crew import Crew, counted
from ensembles.predictor import Array, Predictor, Scores


@dataclass(frozen=True, eq=False)
class Entry:
    """One way to combine, in the running.

    Attributes:
        name: of the method, and of what it combines where that is not the checkpoints themselves.
        rule: over all seats of the crew, fitted to the whole of the validation split.
        by_fold: for each fold the rule fitted without it; none where the split holds a single group.
    """

    name: str
    rule: Combiner
    by_fold: Sequence[Combiner]


@dataclass(frozen=True, eq=False)
class TestScores:
    scores: Mapping[str, Scores]  # entry -> score -> (N,)
    groups: Array  # (N,)
    baselines: Mapping[str, Scores]  # of the trivial predictors that the judge knows, by name


def validate(
    crew: Crew, entries: Sequence[Entry], fold: npt.NDArray[np.intp], say: Callable[[str], None]
) -> dict[str, Scores]:
    """The scores (N,) of each entry on each validation example, under the rule that was not fitted to its fold.

    Raises `BadPredictions` for a member that fails.
    """
    parts: dict[str, list[Scores]] = {entry.name: [] for entry in entries}
    for count, batch in counted(crew.judge, "val"):
        say(f"validation split again, {count} examples")
        predicted = crew.predict(batch)
        here = fold[count - len(batch.names) : count]
        by_fold = {number: (here == number, predicted.rows(here == number)) for number in np.unique(here)}
        for entry in entries:
            combined = np.empty_like(predicted.values[0])
            for number, (inside, some) in by_fold.items():
                combined[inside] = entry.by_fold[number](some)
            parts[entry.name].append(_checked(crew.judge, combined, batch.targets))
    return _joined(parts)


def score(crew: Crew, entries: Sequence[Entry], say: Callable[[str], None]) -> TestScores:
    """Score each entry on each example of the test split; `BadPredictions` for a member that fails."""
    trivial = crew.judge.baselines() if isinstance(crew.judge, Baselines) else {}
    parts: dict[str, list[Scores]] = {entry.name: [] for entry in entries}
    beside: dict[str, list[Scores]] = {name: [] for name in trivial}
    groups: list[Array] = []
    for count, batch in counted(crew.judge, "test"):
        say(f"test split, {count} examples")
        predicted = crew.predict(batch)
        for entry in entries:
            parts[entry.name].append(_checked(crew.judge, entry.rule(predicted), batch.targets))
        for name, predict in trivial.items():
            beside[name].append(_checked(crew.judge, predict(np.asarray(batch.inputs)), batch.targets))
        groups.append(np.asarray(batch.groups))
    return TestScores(_joined(parts), np.concatenate(groups), _joined(beside))


def _joined(parts: Mapping[str, Sequence[Scores]]) -> dict[str, Scores]:
    return {
        name: {key: np.concatenate([part[key] for part in several]) for key in several[0]}
        for name, several in parts.items()
    }


def _checked(judge: Predictor, predictions: Array, targets: Array) -> Scores:
    scores = judge.scores(predictions, targets)
    for key in ("mse", judge.gain_metric):
        if key not in scores:
            raise ValueError(f"Expected scores to hold {key!r}, got {sorted(scores)}.")
    for key, values in scores.items():
        if np.shape(values) != (len(targets),):
            raise ValueError(
                f"Expected a score {key!r} for each of {len(targets)} examples, got shape {np.shape(values)}."
            )
    return scores
