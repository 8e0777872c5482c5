"""Results -> the small table behind each figure. No Plotly here, and nothing is written.

A `Snapshot` reads a run once, so that every figure of a report shows the same moment of a run that may still go on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
import pandas as pd

from search.finalists import Finalist, finalists
from search.report.parameters import Parameter, config_of, read_parameters, with_dict_choices
from search.report.wording import metric_name, metric_unit

STATUSES = ("finished", "stopped", "failed", "running", "interrupted")
TRIAL_COLUMNS: dict[str, Any] = {
    "trial_id": "",
    "number": 0,
    "status": "running",
    "stage": None,
    "cell": None,
    "reason": None,
    "configuration": None,
    "score": math.nan,
    "iterations": 0,
    "seconds": math.nan,
    "node": None,
    "resources.gpu": 0.0,
    "checkpoint": None,
    "error": None,
    "ended_by": None,
    "started": pd.NaT,
    "ended": pd.NaT,
    "suggested_by": None,
}


class RunReader(Protocol):
    """What a report asks of a run; `search.Results` is one."""

    @property
    def definition(self) -> dict[str, Any]: ...
    def table(self) -> pd.DataFrame: ...
    def measurements(self) -> pd.DataFrame: ...
    def ensemble(self) -> dict[str, Any] | None: ...
    def ensemble_scores(self) -> pd.DataFrame | None: ...
    def ensemble_pictures(self) -> pd.DataFrame | None: ...
    def ensemble_correlation(self) -> pd.DataFrame | None: ...


@dataclass(frozen=True)
class Goal:
    """What a search makes large or small."""

    metric: str
    maximize: bool

    @property
    def name(self) -> str:
        return metric_name(self.metric)

    @property
    def unit(self) -> str:
        return metric_unit(self.metric)

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is: a score times its sign is always better when larger."""
        return 1 if self.maximize else -1


@dataclass(frozen=True)
class Snapshot:
    """One moment of a run: `trials` sorted by number with finite or NaN scores, `measurements` as they were
    reported."""

    definition: dict[str, Any]
    goal: Goal
    parameters: tuple[Parameter, ...]
    trials: pd.DataFrame
    measurements: pd.DataFrame
    best: int | None  # the row of the best trial, None while no trial has a score that counts
    winner: Finalist | None = None  # where finalists were trained again with fresh seeds: the one with the best mean

    @property
    def varying(self) -> list[Parameter]:
        return [p for p in self.parameters if p.varies]

    def trial(self, row: int) -> dict[str, Any]:
        """One row of `trials`, by column."""
        return records(self.trials.loc[[row]])[0]

    def config(self, row: int) -> dict[str, Any]:
        """The configuration of the trial in a row of `trials`."""
        return config_of(self.parameters, self.trial(row))

    def counted(self) -> pd.DataFrame:
        """Trials with a score that did not fail, best first; of equal ones the earlier is first."""
        rows = self.trials[(self.trials["status"] != "failed") & self.trials["score"].notna()]
        return rows.sort_values(["score", "number"], ascending=[not self.goal.maximize, True])

    def curve(self, row: int) -> pd.DataFrame:
        """iteration and value (the search's metric, finite) of one trial."""
        return _curve(self.measurements, str(self.trials.at[row, "trial_id"]), self.goal.metric)


@dataclass(frozen=True)
class Costs:
    """What a run cost. Hours of trials add up over trials that ran side by side."""

    trials: int
    finished: int
    stopped: int
    failed: int
    running: int
    interrupted: int
    wall_seconds: float
    trial_seconds: float
    gpu_seconds: float
    iterations_run: int
    iterations_saved: int
    seconds_saved: float


def snapshot(results: RunReader) -> Snapshot:
    """Read a run once. Infinite and NaN scores become gaps; a run without trials gives empty tables."""
    definition = results.definition
    goal = Goal(str(definition.get("metric", "score")), definition.get("mode", "max") != "min")
    trials = _clean_trials(results.table())
    trials = with_dict_choices(definition.get("space") or {}, trials)
    parameters = tuple(read_parameters(definition.get("space") or {}, trials))
    measured = results.measurements()
    if goal.metric in measured:
        values = pd.to_numeric(measured[goal.metric], errors="coerce").astype(float)
        measured = measured.assign(**{goal.metric: values.where(np.isfinite(values))})
    found = Snapshot(definition, goal, parameters, trials, measured, None)
    counted = found.counted()
    winner = next(iter(finalists(trials, goal.maximize)), None)
    if winner is not None:
        counted = counted[(counted["configuration"] == winner.configuration) & (counted["reason"] == "retest")]
    best = int(counted.index[0]) if len(counted) else None
    return Snapshot(definition, goal, parameters, trials, measured, best, winner)


def costs(snap: Snapshot) -> Costs:
    """What was spent, and what early stopping did not spend."""
    trials = snap.trials
    by_status = {status: int((trials["status"] == status).sum()) for status in STATUSES}
    seconds = trials["seconds"].fillna(0.0)
    stopped = trials[trials["status"] == "stopped"]
    full = snap.definition.get("iterations") or trials["iterations"].max()
    full = int(full) if full and math.isfinite(full) else 0
    saved = (full - stopped["iterations"]).clip(lower=0)
    pace = stopped["seconds"] / stopped["iterations"].where(stopped["iterations"] > 0)
    return Costs(
        trials=len(trials),
        **by_status,
        wall_seconds=_wall_seconds(snap),
        trial_seconds=float(seconds.sum()),
        gpu_seconds=float((seconds * trials["resources.gpu"].fillna(0.0)).sum()),
        iterations_run=int(trials["iterations"].sum()),
        iterations_saved=int(saved.sum()),
        seconds_saved=float((saved * pace).sum()),
    )


def history(snap: Snapshot) -> pd.DataFrame:
    """number, status, score, best_so_far, is_best, error: a row a trial, in order of number."""
    table = snap.trials[["number", "status", "score", "error"]].copy()
    counts = table["score"].where(table["status"] != "failed") * snap.goal.sign
    table["best_so_far"] = counts.cummax().ffill() * snap.goal.sign
    table["is_best"] = table.index == snap.best
    return table.reset_index(drop=True)


def learning_curves(snap: Snapshot, most: int = 120, points: int = 60) -> pd.DataFrame:
    """number, group ("best" or the trial's status), iteration, value: long, sorted by trial and iteration.

    Of more than `most` trials the twenty best stay and the others are taken evenly by rank; a curve of more than
    `points` reports keeps its ends and the extremes of each stretch. `attrs["trials"]` is the number of trials with
    a curve, `attrs["shown"]` how many of them are here.
    """
    columns = ["number", "group", "iteration", "value"]
    metric = snap.goal.metric
    if metric not in snap.measurements:
        empty = pd.DataFrame(columns=columns)
        empty.attrs = {"trials": 0, "shown": 0}
        return empty
    measured = snap.measurements.dropna(subset=[metric])
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
    table = pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)
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


def placed(snap: Snapshot, parameters: Sequence[Parameter], most: int = 400) -> pd.DataFrame:
    """Trials with a score on the axes of some parameters, poorest first, so that the best is drawn on top.

    Columns: number, status, score, is_best, and per parameter `at.<name>` (0 to 1, NaN for a gap) and
    `label.<name>`. Of more than `most` trials the better half of that number stays and the others are taken evenly
    by rank.
    """
    rows = snap.trials[snap.trials["score"].notna()]
    rows = rows.assign(rank=rows["score"] * snap.goal.sign).sort_values("rank", ascending=False, kind="stable")
    if len(rows) > most:
        rest = np.linspace(most // 2, len(rows) - 1, most - most // 2).astype(int)
        rows = rows.iloc[[*range(most // 2), *rest]]
    rows = rows.iloc[::-1]
    columns: dict[str, Any] = {c: rows[c].to_numpy() for c in ("number", "status", "score")}
    columns["is_best"] = rows.index == snap.best
    for parameter in parameters:
        values = [parameter.read(c) for c in rows.get("config." + parameter.name, [None] * len(rows))]
        columns["at." + parameter.name] = np.array([parameter.position(v) for v in values], dtype=float)
        columns["label." + parameter.name] = [parameter.label(v) for v in values]
    return pd.DataFrame(columns)


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


def moment(value: Any) -> datetime | None:
    """A point in time as an aware datetime, from ISO 8601 or a timestamp; None where it is none. Naive ones are
    UTC."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return None
    if not isinstance(at, datetime) or pd.isna(at):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as plain dicts by column name."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _clean_trials(table: pd.DataFrame) -> pd.DataFrame:
    trials = table.copy()
    for column, missing in TRIAL_COLUMNS.items():
        if column not in trials:
            trials[column] = missing
    if not len(trials):
        return trials
    for column in ("score", "seconds", "resources.gpu"):
        numbers = pd.to_numeric(trials[column], errors="coerce").astype(float)
        trials[column] = numbers.replace([np.inf, -np.inf], np.nan)
    trials["iterations"] = pd.to_numeric(trials["iterations"], errors="coerce").fillna(0).astype(int)
    trials["status"] = trials["status"].fillna("running").astype(str)
    trials["number"] = pd.to_numeric(trials["number"], errors="coerce").fillna(0).astype(int)
    # Why a trial crashed is in its error; here it counts as one that failed.
    trials["status"] = trials["status"].replace("out of memory", "failed")
    for column in ("stage", "cell", "reason", "node", "checkpoint", "error", "ended_by", "suggested_by"):
        texts = [text if isinstance(text, str) else None for text in trials[column]]
        trials[column] = pd.Series(texts, index=trials.index, dtype=object)  # a gap is None, never NaN
    return trials.sort_values("number", kind="stable", ignore_index=True)


def _curve(measured: pd.DataFrame, trial_id: str, metric: str) -> pd.DataFrame:
    if metric not in measured:
        return pd.DataFrame({"iteration": [], "value": []})
    rows = measured.loc[measured["trial_id"] == trial_id, ["iteration", metric]].dropna()
    return rows.rename(columns={metric: "value"}).reset_index(drop=True)


def _wall_seconds(snap: Snapshot) -> float:
    sessions = snap.definition.get("sessions") or [snap.definition]
    earlier = [(moment(s["started"]), moment(s["ended"])) for s in sessions[:-1]]
    before = sum((ended - began).total_seconds() for began, ended in earlier if began and ended)
    started, ended = moment(sessions[-1].get("started")), moment(sessions[-1].get("ended"))
    if ended is None:
        seen = [moment(value) for value in snap.trials["ended"]]
        if "time" in snap.measurements and len(snap.measurements):
            seen.append(moment(snap.measurements["time"].max()))
        ended = max((at for at in seen if at is not None), default=None)
    span = (ended - started).total_seconds() if started and ended else math.nan
    return before + span if span >= 0 else math.nan
