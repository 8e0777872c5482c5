"""What a model is shown of the trials so far: losses that compare, and no more trials than it can weigh in time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from search.comparable import Losses, Projection
from search.cube import Cube
from search.space import Params
from search.study import Observation

# Projections are learned from so many trials at most, those with the most reports.
_LEARNED_FROM = 200


@dataclass(frozen=True)
class Seen:
    """A trial as evidence: where it was, and its losses; no losses if it failed or has not reported yet."""

    params: Params
    losses: Losses | None
    running: bool = False


class Evidence:
    """Collects the trials that have ended; those under way are given to each question.

    Args:
        cube: every parameter that a trial may have.
        cap: how many ended trials a model is shown at most.
    """

    def __init__(self, cube: Cube, cap: int) -> None:
        self.cube = cube
        self.cap = cap
        self._ended: list[Seen] = []
        self._points: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self._ended)

    def add(self, seen: Seen) -> None:
        """A trial has ended."""
        self._ended.append(seen)
        self._points.append(self.cube.point(seen.params))

    def projection(self, running: Iterable[Seen], full: int | None) -> Projection:
        """How losses are carried to the full length, or to the longest so far where that is longer or nothing else."""
        known = [seen.losses for seen in (*self._ended, *running) if seen.losses]
        longest = max((losses.length for losses in known), default=1)
        return Projection.learn(
            heapq.nlargest(_LEARNED_FROM, known, key=lambda losses: losses.length), max(full or 1, longest)
        )

    def observations(self, running: Sequence[Seen], full: int | None) -> list[Observation]:
        """The trials under way, and the ended ones or a part of them: the best, and those nearest to the best.

        A failed trial counts as the worst of the others.
        """
        projection = self.projection(running, full)
        carried = [projection.to_full(seen.losses) if seen.losses else None for seen in self._ended]
        worst = max((entry[0] for entry in carried if entry), default=None)
        under_way = [
            Observation(seen.params, self._spaces(seen), *(projection.to_full(seen.losses) if seen.losses else (None,)), running=True)
            for seen in running
        ]
        if worst is None:
            return under_way
        entries = [entry or (worst, 0.0) for entry in carried]
        losses = np.array([loss for loss, _ in entries])
        shown = range(len(entries)) if len(entries) <= self.cap else self._chosen(losses)
        ended = [
            Observation(self._ended[i].params, self._spaces(self._ended[i]), *entries[i])
            for i in shown
        ]
        return ended + under_way
