"""Rules about numbers alone: whether a curve has come to its end, whether a count is one. No clock, no file, no Ray."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

from search.errors import SearchError

Mode = Literal["min", "max"]


@dataclass
class Plateau:
    """The rule of `Patience` for one curve, fed value by value."""

    reports: int
    delta: float
    smooth: int
    mode: Mode
    best: float | None = None
    without_gain: int = 0
    _recent: deque[float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._recent = deque(maxlen=self.smooth)

    def reached(self, value: float) -> bool:
        """Whether, with this value, the curve has made no gain for so many reports."""
        self._recent.append(value)
        # The median of fewer could be one lucky report, which nothing after it might ever beat.
        if len(self._recent) < self.smooth:
            return False
        level = median(self._recent)
        gain = math.inf if self.best is None else (level - self.best) * (1 if self.mode == "max" else -1)
        if gain > 0 and gain >= self.delta:
            self.best, self.without_gain = level, 0
        else:
            self.without_gain += 1
        return self.without_gain >= self.reports


@dataclass
class Multiple:
    """The rule of `Diverged` about one loss that is finite, fed value by value."""

    factor: float
    reports: int
    best: float = math.inf
    beyond: int = 0

    def passed(self, value: float) -> bool:
        """Whether the loss has been past `factor` times its best so far for so many reports in a row."""
        # Once a loss was zero or negative its best stays so, and a multiple of that says nothing.
        self.beyond = self.beyond + 1 if 0 < self.factor * self.best < value else 0
        self.best = min(self.best, value)
        return self.beyond >= self.reports


def at_least(name: str, value: Any, least: int) -> int:
    """The value, if it is a whole number from `least`.

    Raises:
        SearchError: it is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise SearchError(f"Expected {name} to be a whole number from {least}, got {value!r}. Correct {name}=.")
    return value
