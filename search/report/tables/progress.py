"""How the search went: the best so far, and how trials learned."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from search.report.tables.snapshot import NothingToShow, Snapshot
from search.report.tables.thinning import evenly, first_and_evenly, thin


def history(snap: Snapshot, most: int = 1500) -> pd.DataFrame:
    """number, status, score, best_so_far, is_best, error: a row a trial, in order of number.

    Of more than `most` trials those that were the best so far stay, and the others are taken evenly by number.
    `attrs["trials"]` is the number of trials, `attrs["shown"]` how many of them are here. Raises `NothingToShow`
    below two scores.
    """
    scored = int(snap.trials["score"].notna().sum())
    if scored < 2:
        why = "there is no score yet" if not scored else "there is only one score yet"
        raise NothingToShow(f"A history needs two trials with a score; {why}.")
    table = snap.trials[["number", "status", "score", "error"]].copy()
    counts = table["score"].where(table["status"] != "failed") * snap.goal.sign
    table["best_so_far"] = counts.cummax().ffill() * snap.goal.sign
    table["is_best"] = table.index == snap.best
    of = len(table)
    if of > most:
        record = (table["best_so_far"] != table["best_so_far"].shift()) & table["best_so_far"].notna()
        even = np.isin(np.arange(of), evenly(of, most))
        table = table[record | table["is_best"] | even]
    table = table.reset_index(drop=True)
    table.attrs = {"trials": of, "shown": len(table)}
    return table


def learning_curves(snap: Snapshot, most: int = 120, points: int = 60) -> pd.DataFrame:
    """number, group ("best" or the trial's status), iteration, value: long, sorted by trial and iteration.

    Of more than `most` trials the twenty best stay and the others are taken evenly by rank; a curve of more than
    `points` reports keeps its ends and the extremes of each stretch. `attrs["trials"]` is the number of trials with
    a curve, `attrs["shown"]` how many of them are here. Raises `NothingToShow` where no trial has reported twice.
    """
    measured = reported(snap)
    if not len(measured):
        raise NothingToShow(f"No trial has reported a finite {snap.goal.name} yet.")
    if np.bincount(measured["row"]).max() < 2:
        raise NothingToShow("Every trial reported once, so there are no curves to draw.")
    chosen = ranked = by_rank(snap, measured["row"].unique())
    if len(ranked) > most:
        chosen = ranked[first_and_evenly(len(ranked), most, 20)]
        if snap.best in ranked:  # of finalists the best mean wins, not the best score
            chosen = np.union1d(chosen, [snap.best])
    table = thinned(measured[np.isin(measured["row"], chosen)], points)
    rows = snap.trials.loc[table["row"], ["number", "status"]]
    table.insert(0, "number", rows["number"].to_numpy())
    table.insert(1, "group", np.where(table["row"] == snap.best, "best", rows["status"]))
    table = table.drop(columns="row")
    table.attrs = {"trials": len(ranked), "shown": len(chosen)}
    return table


def reported(snap: Snapshot) -> pd.DataFrame:
    """row (of `snap.trials`), iteration, value: every finite report of the search's metric, sorted by row."""
    metric = snap.goal.metric
    if metric not in snap.measurements or not len(snap.trials):
        return pd.DataFrame({"row": np.array([], int), "iteration": [], "value": []})
    # Texts are looked up once a trial, not once a report.
    codes, ids = pd.factorize(snap.measurements["trial_id"])
    known = {trial_id: row for row, trial_id in enumerate(snap.trials["trial_id"])}
    rows = np.array([known.get(trial_id, -1) for trial_id in ids], dtype=int)[codes]
    table = pd.DataFrame(
        {
            "row": rows,
            "iteration": snap.measurements["iteration"].to_numpy(),
            "value": snap.measurements[metric].to_numpy(float),
        }
    )
    table = table[(table["row"] >= 0) & table["value"].notna()]
    return table.sort_values("row", kind="stable", ignore_index=True)


def by_rank(snap: Snapshot, rows: np.ndarray) -> np.ndarray:
    """Those rows of `snap.trials`, the best score first and those without one last."""
    scores = snap.trials.loc[rows, "score"] * -snap.goal.sign
    return scores.sort_values(na_position="last", kind="stable").index.to_numpy()


def thinned(curves: pd.DataFrame, points: int) -> pd.DataFrame:
    """Curves of `reported`, each of at most about `points` values."""
    return curves.iloc[thin(curves["value"].to_numpy(float), points, curves["row"].to_numpy())].reset_index(drop=True)


def view_range(values: Sequence[float] | pd.Series, maximize: bool) -> tuple[float, float] | None:
    """The range of scores worth drawing: all of them, unless a few hopeless ones would flatten the rest.

    None where there is no finite value. Scores worse than the lower quartile by 2.5 times the spread above it are
    cut.
    """
    signed = np.asarray(values, dtype=float) * (1 if maximize else -1)
    signed = signed[np.isfinite(signed)]
    if not len(signed):
        return None
    top, quartile, low = float(signed.max()), float(np.quantile(signed, 0.25)), float(signed.min())
    cut = quartile - 2.5 * (top - quartile)
    if cut > low and top > quartile:
        low = float(signed[signed >= cut].min())
    pad = 0.06 * (top - low) or 0.02 * abs(top) or 1.0
    ends = low - pad, top + pad
    return ends if maximize else (-ends[1], -ends[0])
