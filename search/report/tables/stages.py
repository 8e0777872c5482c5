"""The stages of a run side by side: what each tried, what it found, what it took."""

from typing import Any

import numpy as np
import pandas as pd

from search.report.tables.snapshot import NothingToShow, Snapshot, records
from search.report.tables.stopping import full_lengths
from search.report.tables.thinning import first_and_evenly

MOST_STAGES = 24


def stages(snap: Snapshot, most: int = 150) -> pd.DataFrame:
    """A row a trial with a score, by stage and from its best on: stage, number, status, score, is_best, is_stage_best.

    Of a stage with more than `most` trials the best thirty stay and the others are taken evenly by rank.
    `attrs["stages"]` says of each stage, in the order in which they began: stage, trials, scored, stopped, failed,
    seconds, length (0 where trials differ or it is not known), best, low, middle, high (quartiles of the scores) and
    shown. `attrs["left_out"]` stages beyond the first 24 are not here. Raises `NothingToShow`.
    """
    trials = snap.trials[snap.trials["stage"].notna()]
    names = list(dict.fromkeys(trials["stage"]))
    if not names:
        raise NothingToShow("This search had no stages: Stages([...]) or JitteredGrid(refine=[...]) make some.")
    if len(names) == 1:
        raise NothingToShow(f"Every trial belongs to one stage, {names[0]}; there is none to set beside it.")
    summaries, parts = [], []
    lengths = pd.Series(full_lengths(snap), index=snap.trials.index)
    for name in names[:MOST_STAGES]:
        here = trials[trials["stage"] == name]
        counted = here[(here["status"] != "failed") & here["score"].notna()]
        counted = counted.assign(rank=counted["score"] * -snap.goal.sign).sort_values("rank", kind="stable")
        shown = counted.iloc[first_and_evenly(len(counted), most, 30)]
        summaries.append(_summary(str(name), here, counted, lengths[here.index]) | {"shown": len(shown)})
        part = shown[["stage", "number", "status", "score"]]
        parts.append(part.assign(is_best=shown.index == snap.best, is_stage_best=np.arange(len(shown)) == 0))
    table = pd.concat(parts, ignore_index=True)
    if not len(table):
        raise NothingToShow("No trial of any stage has a score yet.")
    table.attrs = {"stages": summaries, "left_out": max(0, len(names) - MOST_STAGES)}
    return table


def _summary(name: str, here: pd.DataFrame, counted: pd.DataFrame, lengths: pd.Series) -> dict[str, Any]:
    low, middle, high = counted["score"].quantile([0.25, 0.5, 0.75]) if len(counted) else [np.nan] * 3
    return {
        "stage": name,
        "trials": len(here),
        "scored": len(counted),
        "stopped": int((here["status"] == "stopped").sum()),
        "failed": int((here["status"] == "failed").sum()),
        "seconds": float(here["seconds"].sum()),
        "length": int(lengths.iloc[0]) if lengths.nunique() == 1 else 0,
        "best": float(records(counted)[0]["score"]) if len(counted) else np.nan,
        "low": float(low),
        "middle": float(middle),
        "high": float(high),
    }
