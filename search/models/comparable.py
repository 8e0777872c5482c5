"""What a trial that was stopped would have come to: its score carried on to the full length.

A loss after 3 reports does not compare with one after 27. What later reports gained in the trials that went on is
taken step by step, from one length at which trials ended to the next, and added. Pure functions of reports.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Score = Literal["best", "last"]


@dataclass(frozen=True)
class Losses:
    """What a trial counted for after each of its reports, less being better.

    Attributes:
        iterations: of the reports, ascending; not empty.
        values: the best or the last so far, as the search says.
    """

    iterations: tuple[int, ...]
    values: tuple[float, ...]

    @classmethod
    def of(cls, reports: Mapping[int, float], score: Score, sign: float) -> Losses:
        """Reports as losses; `sign` is -1 where more is better."""
        iterations = tuple(sorted(reports))
        values = np.array([sign * reports[i] for i in iterations])
        counted = np.minimum.accumulate(values) if score == "best" else values
        return cls(iterations, tuple(map(float, counted)))

    @property
    def length(self) -> int:
        """The last report's iteration."""
        return self.iterations[-1]

    @property
    def end(self) -> float:
        """What the trial counted for at its last report."""
        return self.values[-1]

    def at(self, iteration: int) -> float:
        """What the trial counted for at an iteration from its first report on."""
        return self.values[bisect_right(self.iterations, iteration) - 1]


@dataclass(frozen=True)
class Projection:
    """What is to be added to a loss at each of some lengths to compare it with one at the full length.

    Attributes:
        lengths: ascending, up to the full length.
        gains: the typical change from each length on to the full one; 0 where nobody went on.
        spreads: how much trials differ in it (a standard deviation).
    """

    lengths: tuple[int, ...]
    gains: tuple[float, ...]
    spreads: tuple[float, ...]

    @classmethod
    def learn(cls, trials: Sequence[Losses], full: int) -> Projection:
        """Learn from trials, whatever their lengths.

        Args:
            trials: finished ones, stopped ones, those under way.
            full: the length to which losses are carried, no less than the longest trial.
        """
        lengths = sorted({trial.length for trial in trials} | {full})
        gain, variance = 0.0, 0.0
        gains, spreads = [0.0], [0.0]
        for shorter, longer in reversed(list(itertools.pairwise(lengths))):
            steps = [
                trial.at(longer) - trial.at(shorter)
                for trial in trials
                if trial.iterations[0] <= shorter and longer <= trial.length
            ]
            if steps:
                gain += float(np.median(steps))
                variance += float(np.var(steps))
            gains.append(gain)
            spreads.append(variance**0.5)
        return cls(tuple(lengths), tuple(gains[::-1]), tuple(spreads[::-1]))

    def carry(self, lengths: np.ndarray, losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What trials of these lengths, with these losses at their ends, would have come to, and how unsure that is.

        Returns:
            Losses at the full length, and the standard deviations of what was added to them; (N,) each.
        """
        index = np.maximum(np.searchsorted(self.lengths, lengths, side="right") - 1, 0)
        return losses + np.array(self.gains)[index], np.array(self.spreads)[index]

    def carry_one(self, trial: Losses) -> tuple[float, float]:
        """`carry` for one trial."""
        loss, spread = self.carry(np.array([trial.length]), np.array([trial.end]))
        return float(loss[0]), float(spread[0])
