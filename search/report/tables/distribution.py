"""How the scores are distributed: the share of trials that came to each score. No figures here."""

import math

import numpy as np
import pandas as pd

from search.report.tables.snapshot import NothingToShow, Snapshot
from search.report.tables.thinning import evenly

MOST_POINTS = 200
MOST_LINES = 5


def distribution(snap: Snapshot) -> pd.DataFrame:
    """group, score, share: for each group of trials, the share that scored at least as good, best score first.

    That is the empirical distribution function, of scores turned so that low is good. Groups are the stages where there
    are several, else what suggested the trials where that differs, else all trials; of more than five the smallest are
    one, "others". Failed trials and those that trained a finalist again do not count. Stopped ones count with the score
    they had by then. A group of more than 200 trials keeps its ends and evenly spaced others.

    `attrs`: "trials" by group, "stopped" how many were, "close" a distance from the best, and "came_close" how
    many trials came as close. Raises `NothingToShow`.
    """
    rows = snap.trials[(snap.trials["status"] != "failed") & snap.trials["score"].notna()]
    rows = rows[rows["reason"] != "retest"]
    if len(rows) < 3:
        raise NothingToShow("A distribution needs three trials with a score.")
    if rows["score"].nunique() < 2:
        raise NothingToShow("All scores are equal, so there is no distribution to draw.")
    groups = _groups(rows)
    parts = [_shares(str(name), rows.loc[groups == name, "score"], snap.goal.sign) for name in groups.unique()]
    table = pd.concat(parts, ignore_index=True)
    loss = rows["score"] * -snap.goal.sign
    close = _round((loss.median() - loss.min()) / 5)
    table.attrs = {
        "trials": {str(name): int(size) for name, size in groups.value_counts(sort=False).items()},
        "stopped": int((rows["status"] == "stopped").sum()),
        "close": close,
        "came_close": int((loss <= loss.min() + close).sum()),
    }
    return table


def _groups(rows: pd.DataFrame) -> pd.Series:
    for column in ("stage", "suggested_by"):
        names = rows[column].fillna("no stage" if column == "stage" else "not noted").replace("", "not noted")
        if names.nunique() > 1:
            largest = names.value_counts().index
            keep = largest if len(largest) <= MOST_LINES else largest[: MOST_LINES - 1]
            return names.where(names.isin(keep), "others")
    return pd.Series("all trials", rows.index)


def _shares(name: str, scores: pd.Series, sign: int) -> pd.DataFrame:
    ordered = np.sort(scores.to_numpy(float) * -sign) * -sign  # the best first
    share = np.arange(1, len(ordered) + 1) / len(ordered)
    kept = evenly(len(ordered), MOST_POINTS)
    return pd.DataFrame({"group": name, "score": ordered[kept], "share": share[kept]})


def _round(distance: float) -> float:
    """One digit, as one would say it."""
    return float(f"{distance:.0e}") if distance > 0 and math.isfinite(distance) else 0.0
