"""What the number of members brings: the mean and the best weights over the best 1, 2, 3, … of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ensembles.account.evaluate import bootstrap_gain
from ensembles.account.passes import Entry, TestScores
from ensembles.combining.combiner import Combiner, Subset
from ensembles.combining.weighting import Limited, Mean, SimplexLog
from ensembles.members.crew import BASE
from ensembles.predictor import Predictor

if TYPE_CHECKING:
    from ensembles.contest import Contest

_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


def size_entries(contest: Contest) -> list[Entry]:
    """Entries for the curve alone, that are not in the contest; named METHOD@SIZE."""
    base = contest.crew.positions(BASE)
    view = contest.seen.of(base)
    seats = len(contest.crew.seats)
    entries = []
    for size in sorted({*(s for s in _SIZES if s < len(base)), len(base)}):
        first = np.arange(size)
        rules: dict[str, Combiner] = {
            "mean": Subset(Mean().fit(view.of(first)), first, len(base)),
            "simplex_log": Limited(SimplexLog(), size).fit(view),
        }
        entries += [Entry(f"{name}@{size}", Subset(rule, base, seats), []) for name, rule in rules.items()]
    return entries


def size_table(entries: list[Entry], test: TestScores, judge: Predictor, seed: int) -> pd.DataFrame:
    """A row an entry: method, members (how many may be used), METRIC on test, gain over one, gain_low, gain_high."""
    metric = judge.gain_metric
    single = test.scores[entries[0].name][metric]
    rows = []
    for entry in entries:
        method, size = entry.name.split("@")
        values = test.scores[entry.name][metric]
        gain = bootstrap_gain(single, values, seed=seed, groups=test.groups)
        row = {"method": method, "members": int(size), metric: float(np.mean(values)), "gain": gain.mean}
        rows.append(row | {"gain_low": gain.low, "gain_high": gain.high})
    return pd.DataFrame(rows)
