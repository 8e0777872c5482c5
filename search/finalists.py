"""Configurations that were trained again with fresh seeds, ranked by what they came to."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from search.params import Params


@dataclass(frozen=True)
class Finalist:
    """A configuration and its scores, one a fresh seed. `spread` is their standard deviation (n - 1), NaN for one."""

    configuration: int
    config: Params
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean score."""
        return float(np.mean(self.scores))

    @property
    def spread(self) -> float:
        """The standard deviation over seeds."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else math.nan


def finalists(trials: pd.DataFrame, maximize: bool) -> list[Finalist]:
    """The finalists of a run, best mean first.

    Trials that made a configuration a finalist do not count: they were chosen for their luck too.

    Args:
        trials: a row a trial, as in trials.parquet.
        maximize: whether higher scores are better.
    """
    if "reason" not in trials:
        return []
    again = trials[(trials["reason"] == "retest") & (trials["status"] == "finished") & trials["score"].notna()]
    found = [
        Finalist(
            configuration=int(str(number)),
            config={name: v for name, v in json.loads(rows["config"].iloc[0]).items() if name != "seed"},
            scores=tuple(rows["score"].astype(float)),
        )
        for number, rows in again.groupby("configuration", sort=True)
    ]
    return sorted(found, key=lambda finalist: finalist.mean, reverse=maximize)
