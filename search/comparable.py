"""What a trial that was stopped would have come to: its score carried on to the full length.

A loss after 3 reports does not compare with one after 27. What later reports gained in the trials that went on is
taken step by step, from one length at which trials ended to the next, and added. Pure functions of reports.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
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
    def of(cls, reports: dict[int, float], score: Score, sign: float) -> Losses:
        """Reports as losses; `sign` is -1 where more is better."""
        iterations = tuple(sorted(reports))
        values = np.array([sign * reports[i] for i in iterations])
        counted = np.minimum.accumulate(values) if score == "best" else values
        return cls(iterations, tuple(map(float, counted)))

    @property
    def length(self) -> int:
        """The last report's iteration."""
        return self.iterations[-1]

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
            trials: the finished, the stopped and those under way.
            full: the length to which losses are carried.
        """
        lengths = sorted({min(trial.length, full) for trial in trials} | {full})
        gain, variance, unknown = 0.0, 0.0, True
        gains, spreads = [0.0], [0.0]
        for shorter, longer in reversed(list(zip(lengths, lengths[1:], strict=False))):
            steps = [
                trial.at(longer) - trial.at(shorter)
                for trial in trials
                if trial.length >= longer and trial.iterations[0] <= shorter
            ]
            if steps:
                gain += float(np.median(steps))
                variance += float(np.var(steps))
            gains.append(gain)
            spreads.append(variance**0.5)
        return cls(tuple(lengths), tuple(gains[::-1]), tuple(spreads[::-1]))

    def to_full(self, trial: Losses) -> tuple[float, float]:
        """The loss that a trial would have come to, and how unsure that is (a standard deviation)."""
        index = max(bisect_right(self.lengths, trial.length) - 1, 0)
        return trial.at(self.lengths[-1]) + self.gains[index], self.spreads[index]
