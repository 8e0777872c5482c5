"""How the search went: the best so far, and how trials learned."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from search.report.tables.snapshot import NothingToShow, Snapshot


def history(snap: Snapshot) -> pd.DataFrame:
    """number, status, score, best_so_far, is_best, error: a row a trial, in order of number.

    Raises `NothingToShow` below two scores.
    """
    scored = int(snap.trials["score"].notna().sum())
    if scored < 2:
        why = "there is no score yet" if not scored else "there is only one score yet"
        raise NothingToShow(f"A history needs two trials with a score; {why}.")
    table = snap.trials[["number", "status", "score", "error"]].copy()
    counts = table["score"].where(table["status"] != "failed") * snap.goal.sign
    table["best_so_far"] = counts.cummax().ffill() * snap.goal.sign
    table["is_best"] = table.index == snap.best
    return table.reset_index(drop=True)


def learning_curves(snap: Snapshot, most: int = 120, points: int = 60) -> pd.DataFrame:
    """number, group ("best" or the trial's status), iteration, value: long, sorted by trial and iteration.

    Of more than `most` trials the twenty best stay and the others are taken evenly by rank; a curve of more than
    `points` reports keeps its ends and the extremes of each stretch. `attrs["trials"]` is the number of trials with
    a curve, `attrs["shown"]` how many of them are here. Raises `NothingToShow` where no trial has reported twice.
    """
    columns = ["number", "group", "iteration", "value"]
    metric = snap.goal.metric
    reported = metric in snap.measurements
    measured = snap.measurements.dropna(subset=[metric]) if reported else snap.measurements.iloc[:0]
    if not len(measured):
        raise NothingToShow(f"No trial has reported a finite {snap.goal.name} yet.")
    if measured["trial_id"].value_counts().max() < 2:
        raise NothingToShow("Every trial reported once, so there are no curves to draw.")
    trials = snap.trials[snap.trials["trial_id"].isin(measured["trial_id"])]
    ranked = trials.assign(rank=trials["score"] * -snap.goal.sign).sort_values("rank", na_position="last").index
    chosen = list(ranked)
    if len(chosen) > most:
        rest = np.linspace(20, len(chosen) - 1, most - 20).astype(int)
        chosen = chosen[:20] + [chosen[i] for i in rest]
    curves = {str(key): part for key, part in measured.groupby("trial_id", sort=False)}
    parts = []
    for row in sorted(chosen):
        curve = curves[str(trials.at[row, "trial_id"])]
        keep = thin(curve[metric].to_numpy(float), points)
        group = "best" if row == snap.best else trials.at[row, "status"]
        part = {
            "iteration": curve["iteration"].to_numpy()[keep],
            "value": curve[metric].to_numpy(float)[keep],
        }
        parts.append(pd.DataFrame({"number": trials.at[row, "number"], "group": group, **part}))
    table = pd.concat(parts, ignore_index=True)[columns]
    table.attrs = {"trials": len(trials), "shown": len(chosen)}
    return table


def thin(values: np.ndarray, points: int) -> np.ndarray:
    """Indices of at most about `points` values that keep the ends and, of each stretch, the least and the largest."""
    if len(values) <= points:
        return np.arange(len(values))
    kept = {0, len(values) - 1}
    for stretch in np.array_split(np.arange(len(values)), max(1, points // 2 - 1)):
        kept |= {int(stretch[values[stretch].argmin()]), int(stretch[values[stretch].argmax()])}
    return np.array(sorted(kept))


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
