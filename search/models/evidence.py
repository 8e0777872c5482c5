"""What a model is shown of the trials so far: losses that compare, and no more trials than it can weigh in time."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from optuna.distributions import BaseDistribution

from search.models.comparable import Losses, Projection
from search.models.cube import Cube
from search.models.study import Observation
from search.params import Params

# Projections are learned from so many trials at most, those with the most reports.
_LEARNED_FROM = 200


@dataclass(frozen=True)
class Seen:
    """A trial as evidence: where it was, and its losses; None if it failed or has not reported yet."""

    params: Params
    distributions: Mapping[str, BaseDistribution]
    losses: Losses | None


class Evidence:
    """Collects the trials that have ended; those under way come with each question.

    Args:
        cube: every parameter that a trial may have.
        cap: how many ended trials a model is shown at most.
    """

    def __init__(self, cube: Cube, cap: int) -> None:
        self.cube = cube
        self.cap = cap
        self._ended: list[Seen] = []
        # Beside each of them, so that thousands cost no more than an array: point, length and loss.
        self._points: list[np.ndarray] = []
        self._lengths: list[int] = []
        self._losses: list[float] = []

    def __len__(self) -> int:
        return len(self._ended)

    def add(self, seen: Seen) -> None:
        """A trial has ended."""
        self._ended.append(seen)
        self._points.append(self.cube.point(seen.params))
        self._lengths.append(seen.losses.length if seen.losses else 0)
        self._losses.append(seen.losses.end if seen.losses else np.nan)

    def projection(self, running: Sequence[Seen], full: int | None) -> Projection:
        """How losses are carried to the full length, or to that of the longest trial where it is longer."""
        known = [seen.losses for seen in (*self._ended, *running) if seen.losses]
        longest = max((losses.length for losses in known), default=1)
        chosen = heapq.nlargest(_LEARNED_FROM, known, key=lambda losses: losses.length)
        return Projection.learn(chosen, max(full or 1, longest))

    def observations(self, running: Sequence[Seen], full: int | None) -> list[Observation]:
        """The trials under way, and the ended ones or, beyond the cap, the best of them and those nearest to these.

        A failed trial counts as the worst of the others.
        """
        projection = self.projection(running, full)
        losses, spreads = projection.carry(np.array(self._lengths), np.array(self._losses))
        failed = np.isnan(losses)
        shown: list[Observation] = []
        if not failed.all():
            losses = np.where(failed, losses[~failed].max(), losses)
            spreads = np.where(failed, 0.0, spreads)
            for i in self._chosen(losses):
                seen = self._ended[i]
                shown.append(Observation(seen.params, seen.distributions, float(losses[i]), float(spreads[i])))
        for seen in running:
            loss, spread = projection.carry_one(seen.losses) if seen.losses else (None, 0.0)
            shown.append(Observation(seen.params, seen.distributions, loss, spread, running=True))
        return shown

    def loss(self, seen: Seen, running: Sequence[Seen], full: int | None) -> float | None:
        """What one trial would have come to at the full length; None if it failed."""
        if seen.losses is None:
            return None
        return self.projection(running, full).carry_one(seen.losses)[0]

    def _chosen(self, losses: np.ndarray) -> list[int]:
        """The numbers of ended trials to show: half of the cap by value, the rest by nearness to the best tenth."""
        if len(losses) <= self.cap:
            return list(range(len(losses)))
        by_value = np.argsort(losses, kind="stable")
        best, others = by_value[: self.cap // 2], by_value[self.cap // 2 :]
        points = np.array(self._points)
        centers = points[best[: max(self.cap // 10, 1)]]
        squares = (points[others] ** 2).sum(1)[:, None] + (centers**2).sum(1) - 2 * points[others] @ centers.T
        near = others[np.argsort(squares.min(1), kind="stable")[: self.cap - len(best)]]
        return sorted(int(i) for i in (*best, *near))
