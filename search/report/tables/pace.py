"""How soon the best was found: by the clock, and by what was spent. No figures here."""

import numpy as np
import pandas as pd

from search.report.tables.snapshot import NothingToShow, Snapshot, moment, seconds_since_1970
from search.report.tables.thinning import evenly

MOST_STEPS = 400


def best_over_time(snap: Snapshot) -> pd.DataFrame:
    """seconds, value, number, iteration: each report that was better than all before it, and where the run stands now.

    `seconds` are those that the run was under way: what lies between two sessions does not count. Reports count as they
    came in, long before a trial ended, unless trials are judged by their last report. Those of failed trials do not.
    Of more than 400 steps the first, the last and evenly spaced others stay.

    `attrs`: "unit" is "seconds". Raises `NothingToShow`.
    """
    reports = _reports(snap)
    table = _steps(reports.assign(seconds=_under_way(snap, reports["at"])), snap)
    table.attrs = {"unit": "seconds"}
    return table


def best_over_hours(snap: Snapshot) -> pd.DataFrame:
    """Like `best_over_time`, against what all trials together, failed ones too, had taken until then.

    `attrs`: "unit" is "GPU" where trials had any, else "CPU", or "trial" where nobody noted either: `seconds` are
    those of one of it. Raises `NothingToShow`.
    """
    reports = _reports(snap)
    if "seconds" not in reports or not reports["seconds"].notna().any():
        raise NothingToShow("The reports of this run do not say how long each trial had taken.")
    unit, width = _resource(reports)
    # A trial that starts anew counts its seconds from zero again.
    taken = reports.groupby("trial_id")["seconds"].diff().fillna(reports["seconds"]).clip(lower=0).fillna(0.0)
    table = _steps(reports.assign(seconds=(taken * width).cumsum()), snap)
    table.attrs = {"unit": unit}
    return table


def _reports(snap: Snapshot) -> pd.DataFrame:
    """The reports of all trials in the order they came in; value is NaN where one does not count."""
    metric, measured = snap.goal.metric, snap.measurements
    if metric not in measured or not measured[metric].notna().any():
        raise NothingToShow(f"No trial has reported a finite {snap.goal.name} yet.")
    if "time" not in measured:
        raise NothingToShow("The reports of this run do not say when they came.")
    kept = [c for c in ("trial_id", "iteration", "seconds", "time", metric) if c in measured]
    known = ["trial_id", "number", "status", "resources.gpu", *({"resources.cpu"} & set(snap.trials.columns))]
    reports = measured[kept].merge(snap.trials[known].drop_duplicates("trial_id"), on="trial_id", how="inner")
    reports["at"] = seconds_since_1970(reports["time"])
    reports = reports[reports["at"].notna()].sort_values("at", kind="stable", ignore_index=True)
    if "seconds" in reports:
        reports["seconds"] = pd.to_numeric(reports["seconds"], errors="coerce").astype(float)
    counts = reports["status"] != "failed"
    if snap.definition.get("score") == "last":
        counts &= ~reports.duplicated("trial_id", keep="last") & ~reports["status"].isin(["running", "interrupted"])
    reports = reports.assign(value=reports[metric].where(counts))
    if reports["value"].notna().sum() < 2:
        raise NothingToShow("The pace of a search needs two reports that count.")
    return reports


def _under_way(snap: Snapshot, at: pd.Series) -> pd.Series:
    """Seconds that the run had been under way at each of these sorted moments."""
    sessions = snap.definition.get("sessions") or [snap.definition]
    begun = sorted(b.timestamp() for session in sessions if (b := moment(session.get("started"))) is not None)
    starts = np.array([start for start in begun if start > at.iloc[0]])
    first = max((start for start in begun if start <= at.iloc[0]), default=float(at.iloc[0]))
    # Nothing was under way between the last report before a session (or its end, where noted) and the session's start.
    ends = [e.timestamp() for session in sessions if (e := moment(session.get("ended"))) is not None]
    pauses = []
    for start in starts:
        before = [*at[at < start].tail(1), *(end for end in ends if end <= start)]
        pauses.append(start - max(before))
    passed = np.r_[0.0, np.cumsum(pauses)][np.searchsorted(starts, at, side="right")]
    return at - first - passed


def _resource(reports: pd.DataFrame) -> tuple[str, pd.Series | float]:
    for unit, column in (("GPU", "resources.gpu"), ("CPU", "resources.cpu")):
        width = pd.to_numeric(reports.get(column, pd.Series(0.0, reports.index)), errors="coerce").fillna(0.0)
        if (width > 0).any():
            return unit, width
    return "trial", 1.0


def _steps(reports: pd.DataFrame, snap: Snapshot) -> pd.DataFrame:
    signed = reports["value"] * snap.goal.sign
    best = signed.cummax()
    better = signed > best.shift(fill_value=-np.inf).ffill()
    steps = reports[better.to_numpy()]
    steps = steps.iloc[evenly(len(steps), MOST_STEPS)]
    now = steps.iloc[[-1]].assign(seconds=reports["seconds"].iloc[-1])
    found = pd.concat([steps, now], ignore_index=True)
    return found[["seconds", "value", "number", *(["iteration"] if "iteration" in found else [])]]
