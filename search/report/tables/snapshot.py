"""One moment of a run, read once, so that every figure of a report shows the same. Nothing is written."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
import pandas as pd

from search.finalists import Finalist, finalists
from search.report.tables.baselines import baselines_of, without_baselines
from search.report.tables.parameters import Parameter, config_of, read_parameters, with_dict_choices
from search.report.wording import metric_name, metric_unit

STATUSES = ("finished", "stopped", "failed", "running", "interrupted")
MOST_LOGS = 200  # crashed trials whose logs are read


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
    "resources.cpu": math.nan,
    "resources.gpu": 0.0,
    "checkpoint": None,
    "error": None,
    "ended_by": None,
    "started": pd.NaT,
    "ended": pd.NaT,
    "suggested_by": None,
    "out_of_memory": False,
}


class RunReader(Protocol):
    """What a report asks of a run; `search.Results` is one."""

    @property
    def definition(self) -> dict[str, Any]: ...
    @property
    def status(self) -> str: ...
    def table(self) -> pd.DataFrame: ...
    def measurements(self) -> pd.DataFrame: ...
    def log(self, number: int) -> str | None: ...
    def ensemble(self) -> dict[str, Any] | None: ...
    def ensemble_scores(self) -> pd.DataFrame | None: ...
    def ensemble_pictures(self) -> pd.DataFrame | None: ...
    def ensemble_correlation(self) -> pd.DataFrame | None: ...
    def ensemble_sizes(self) -> pd.DataFrame | None: ...
    def ensemble_gallery(self) -> pd.DataFrame | None: ...


class NothingToShow(Exception):
    """There is nothing to see here yet; the message is a sentence that says why."""


@dataclass(frozen=True)
class EnsembleFiles:
    """What an ensemble has left of itself in a run; None where it was not made."""

    description: dict[str, Any] | None = None
    scores: pd.DataFrame | None = None
    pictures: pd.DataFrame | None = None
    correlation: pd.DataFrame | None = None
    sizes: pd.DataFrame | None = None
    gallery: pd.DataFrame | None = None


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
    reported, the ends of the `logs` of trials that crashed by their numbers, what each of the `baselines` scores in the
    metric of the search, which the measurements do not hold.

    A trial that ran out of memory counts as failed; the column `out_of_memory` of `trials` tells it from others.
    """

    definition: dict[str, Any]
    goal: Goal
    parameters: tuple[Parameter, ...]
    trials: pd.DataFrame
    measurements: pd.DataFrame
    best: int | None  # the row of the best trial, None while no trial has a score that counts
    winner: Finalist | None = None  # where finalists were trained again with fresh seeds: the one with the best mean
    blend: EnsembleFiles = EnsembleFiles()
    logs: Mapping[int, str] = field(default_factory=dict)
    baselines: Mapping[str, float] = field(default_factory=dict)

    @property
    def varying(self) -> list[Parameter]:
        return [p for p in self.parameters if p.varies]

    def trial(self, row: int) -> dict[str, Any]:
        """One row of `trials`, by column."""
        return records(self.trials.loc[[row]])[0]

    def config(self, row: int) -> dict[str, Any]:
        """The configuration of the trial in a row of `trials`."""
        return config_of(self.parameters, self.trial(row))

    @property
    def reached(self) -> float:
        """What the winner is compared by: its mean over fresh seeds where it has one, else its score; NaN before."""
        if self.winner is not None:
            return self.winner.mean
        return math.nan if self.best is None else float(self.trial(self.best)["score"])

    def unbeaten(self) -> dict[str, float]:
        """The baselines that the winner is no better than, the best first."""
        sign = self.goal.sign
        ranked = sorted(self.baselines.items(), key=lambda told: -told[1] * sign)
        return {name: value for name, value in ranked if self.reached * sign <= value * sign}

    def counted(self) -> pd.DataFrame:
        """Trials with a score that did not fail, best first; of equal ones the earlier is first."""
        rows = self.trials[(self.trials["status"] != "failed") & self.trials["score"].notna()]
        return rows.sort_values(["score", "number"], ascending=[not self.goal.maximize, True])

    def curve(self, row: int) -> pd.DataFrame:
        """iteration and value (the search's metric, finite) of one trial."""
        return curve_of(self.measurements, str(self.trials.at[row, "trial_id"]), self.goal.metric)


def snapshot(results: RunReader) -> Snapshot:
    """Read a run once. Infinite and NaN scores become gaps; a run without trials gives empty tables."""
    # A driver that was killed could not write that the run does not go on.
    definition = results.definition | {"status": results.status}
    goal = Goal(str(definition.get("metric", "score")), definition.get("mode", "max") != "min")
    trials = _clean_trials(results.table())
    trials = with_dict_choices(definition.get("space") or {}, trials)
    parameters = tuple(read_parameters(definition.get("space") or {}, trials))
    measured = results.measurements()
    if goal.metric in measured:
        values = pd.to_numeric(measured[goal.metric], errors="coerce").astype(float)
        measured = measured.assign(**{goal.metric: values.where(np.isfinite(values))})
    own = without_baselines(measured)
    blend = EnsembleFiles(
        results.ensemble(),
        results.ensemble_scores(),
        results.ensemble_pictures(),
        results.ensemble_correlation(),
        results.ensemble_sizes(),
        results.ensemble_gallery(),
    )
    found = Snapshot(definition, goal, parameters, trials, own, None)
    counted = found.counted()
    winner = next(iter(finalists(trials, goal.maximize)), None)
    if winner is not None:
        counted = counted[(counted["configuration"] == winner.configuration) & (counted["reason"] == "retest")]
    best = int(counted.index[0]) if len(counted) else None
    beside = baselines_of(measured, goal.metric, None if best is None else str(trials.at[best, "trial_id"]))
    logs = _logs(results, trials)
    return replace(found, best=best, winner=winner, blend=blend, logs=logs, baselines=beside)


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


def seconds_since_1970(moments: pd.Series) -> pd.Series:
    """Points in time, as timestamps or as ISO 8601, in seconds; NaN where one is none."""
    written = "ISO8601" if moments.dtype == object else None
    found = pd.to_datetime(moments, utc=True, errors="coerce", format=written)
    return (found - pd.Timestamp(0, tz="UTC")).dt.total_seconds()


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as plain dicts by column name."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _logs(results: RunReader, trials: pd.DataFrame) -> dict[int, str]:
    """The ends of the logs of trials that crashed; where there are many, of as many different crashes as there are."""
    failed = trials[trials["status"] == "failed"]
    # The same crash at another step, or of another trial, is the same crash.
    kinds = failed["error"].fillna("").str.replace(r"\d+", "#", regex=True)
    again = failed.groupby(kinds).cumcount().sort_values(kind="stable")
    numbers = failed.loc[again.index[:MOST_LOGS], "number"]
    found = {int(number): results.log(int(number)) for number in numbers}
    return {number: text for number, text in found.items() if text}


def _clean_trials(table: pd.DataFrame) -> pd.DataFrame:
    trials = table.copy()
    for column, missing in TRIAL_COLUMNS.items():
        if column not in trials:
            trials[column] = missing
    if not len(trials):
        return trials
    for column in ("score", "seconds", "resources.cpu", "resources.gpu"):
        numbers = pd.to_numeric(trials[column], errors="coerce").astype(float)
        trials[column] = numbers.replace([np.inf, -np.inf], np.nan)
    trials["iterations"] = pd.to_numeric(trials["iterations"], errors="coerce").fillna(0).astype(int)
    trials["status"] = trials["status"].fillna("running").astype(str)
    trials["number"] = pd.to_numeric(trials["number"], errors="coerce").fillna(0).astype(int)
    trials["out_of_memory"] = trials["status"] == "out of memory"
    trials["status"] = trials["status"].replace("out of memory", "failed")
    for column in ("stage", "cell", "reason", "node", "checkpoint", "error", "ended_by", "suggested_by"):
        texts = [text if isinstance(text, str) else None for text in trials[column]]
        trials[column] = pd.Series(texts, index=trials.index, dtype=object)  # a gap is None, never NaN
    return trials.sort_values("number", kind="stable", ignore_index=True)


def curve_of(measured: pd.DataFrame, trial_id: str, metric: str) -> pd.DataFrame:
    if metric not in measured:
        return pd.DataFrame({"iteration": [], "value": []})
    rows = measured.loc[measured["trial_id"] == trial_id, ["iteration", metric]].dropna()
    return rows.rename(columns={metric: "value"}).reset_index(drop=True)
