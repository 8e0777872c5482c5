"""What a method wants tried, what it was told of it, and what a configuration came to. Values; nothing acts here."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from search.params import Params


@dataclass(frozen=True)
class Suggestion:
    """What a method wants tried next, and why. Everything in it is JSON.

    Attributes:
        values: by the name of an axis, as `Space.config` takes them.
        constants: settings beside the space, by flat name; they take precedence over the constants of the space.
        stage: the part of the method that the trial belongs to, such as "coarse", "refine 1" or a stage's name.
        cell: the cell of a grid.
        reason: why this point, in a few words: "coarse", "edge lr_g+", "refine 1", "repeat", "retest", "model".
        replica_of: the trial id of the first trial with this very configuration; None for a new configuration.
        iterations: the full length of this trial, in reports; None for that of the search.
        whole: never to be stopped early, because its score is to be averaged with others.
        notes: what the method itself wants to find again after a restore.
    """

    values: Params
    constants: Params = field(default_factory=dict)
    stage: str | None = None
    cell: str | None = None
    reason: str | None = None
    replica_of: str | None = None
    iterations: int | None = None
    whole: bool = False
    notes: Params = field(default_factory=dict)


@dataclass
class Told:
    """What a method was told of one trial. `value` is the best or the last report, as the search says."""

    trial_id: str
    number: int
    suggestion: Suggestion
    state: Literal["RUNNING", "COMPLETE", "PRUNED", "FAIL"] = "RUNNING"
    value: float | None = None
    reports: dict[int, float] = field(default_factory=dict)

    @property
    def configuration(self) -> str:
        """The trial id that stands for the configuration: replicas share it."""
        return self.suggestion.replica_of or self.trial_id


@dataclass(frozen=True)
class Standing:
    """One configuration and the values that its finished trials reached, one a seed."""

    configuration: str
    suggestion: Suggestion
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return float(np.mean(self.values))

    @property
    def spread(self) -> float:
        """The standard deviation over seeds (n - 1); NaN for one seed."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else math.nan
