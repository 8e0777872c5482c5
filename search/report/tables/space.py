"""Where in the space the good trials lie."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from search.report.tables.parameters import Parameter
from search.report.tables.snapshot import NothingToShow, Snapshot
from search.report.tables.thinning import first_and_evenly

MOST_AXES = 12


def placed(snap: Snapshot, parameters: Sequence[Parameter], most: int = 400) -> pd.DataFrame:
    """Trials with a score on the axes of some parameters, poorest first, so that the best is drawn on top.

    Columns: number, status, score, is_best, and per parameter `at.<name>` (0 to 1, NaN for a gap) and
    `label.<name>`. Of more than `most` trials the better half of that number stays and the others are taken evenly
    by rank.
    """
    rows = snap.trials[snap.trials["score"].notna()]
    rows = rows.assign(rank=rows["score"] * snap.goal.sign).sort_values("rank", ascending=False, kind="stable")
    rows = rows.iloc[first_and_evenly(len(rows), most, most // 2)[::-1]]
    columns: dict[str, Any] = {c: rows[c].to_numpy() for c in ("number", "status", "score")}
    columns["is_best"] = rows.index == snap.best
    for parameter in parameters:
        values = [parameter.read(c) for c in rows.get("config." + parameter.name, [None] * len(rows))]
        columns["at." + parameter.name] = np.array([parameter.position(v) for v in values], dtype=float)
        columns["label." + parameter.name] = [parameter.label(v) for v in values]
    return pd.DataFrame(columns)


def comparable(snap: Snapshot) -> None:
    """Raise `NothingToShow` where the scores say nothing of any parameter."""
    scores = snap.trials["score"].dropna()
    if not snap.varying:
        raise NothingToShow("Nothing to see here: no parameter varies.")
    if len(scores) < 3:
        raise NothingToShow("Nothing to see here yet: three trials with a score are needed.")
    if scores.nunique() < 2:
        raise NothingToShow("All scores are equal, so no parameter made a difference.")


def alike(snap: Snapshot) -> pd.DataFrame:
    """The trials whose scores compare with each other: finished, and of the length that most trials have.

    Stages may train for longer or shorter; of those the length with the most finished trials stays. Trials that repeat
    a finalist say nothing new of the space and are left out.
    """
    trials = snap.trials
    done = trials[(trials["status"] == "finished") & trials["score"].notna() & (trials["reason"] != "retest")]
    if not len(done):
        return done
    length = done.groupby(done["stage"].fillna(""))["iterations"].transform("max")
    counts = length.value_counts()
    return done[length == counts[counts == counts.max()].index.max()]


def parallel(snap: Snapshot) -> pd.DataFrame:
    """`placed` on the axes of the first parameters that vary. Raises `NothingToShow`."""
    varying = snap.varying
    if len(varying) < 2:
        which = f"only {varying[0].name} does" if varying else "none does"
        raise NothingToShow(f"Parallel coordinates need two parameters that vary; {which}.")
    if snap.trials["score"].notna().sum() < 2:
        raise NothingToShow("Parallel coordinates need two trials with a score.")
    return placed(snap, varying[:MOST_AXES])
