"""Several runs side by side: which of them may be compared, and how each went."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from search.errors import RunError
from search.report.tables.snapshot import Goal, NothingToShow, RunReader, Snapshot, snapshot
from search.report.tables.thinning import evenly, thin
from search.report.wording import time_unit

# What makes two runs repetitions of one search, their seeds aside.
_REPEATED = (
    "metric", "mode", "score", "trials", "iterations", "method", "scheduler", "trainable", "resources", "space", "file",
)  # fmt: skip
_MOST_STEPS = 400


@dataclass(frozen=True)
class Comparison:
    """Runs of one metric, each read once.

    Attributes:
        labels: a name for each run, no two alike.
        groups: for each run the group it belongs to; runs of one group differ in nothing but their seed.
        group_labels: a name for each group.
    """

    runs: tuple[Snapshot, ...]
    labels: tuple[str, ...]
    groups: tuple[int, ...]
    group_labels: tuple[str, ...]

    @property
    def goal(self) -> Goal:
        return self.runs[0].goal

    def members(self, group: int) -> list[int]:
        """Which runs are in a group."""
        return [run for run, of in enumerate(self.groups) if of == group]

    def ranked(self) -> list[int]:
        """The runs by the score of their winner, best first; those without a winner last."""
        return sorted(range(len(self.runs)), key=lambda run: -_signed_score(self.runs[run]))


def comparison(results: Sequence[RunReader]) -> Comparison:
    """Read several runs once.

    Raises:
        RunError: they are scored by different metrics, or in different directions.
    """
    runs = tuple(map(snapshot, results))
    labels = _told_apart([str(run.definition.get("name") or "search") for run in runs])
    other = next((run for run in range(len(runs)) if runs[run].goal != runs[0].goal), None)
    if other is not None:
        first, second = (f"{_told(runs[run].goal)} in {labels[run]!r}" for run in (0, other))
        raise RunError(
            f"Expected runs of one metric and one direction to compare, got {first} and {second}."
            " Write a report for each of them."
        )
    keys = [_repeated(run.definition) for run in runs]
    order = list(dict.fromkeys(keys))
    groups = tuple(order.index(key) for key in keys)
    named = [_shared_name([label for label, of in zip(labels, groups, strict=True) if of == g]) for g in set(groups)]
    return Comparison(runs, labels, groups, _told_apart(named))


def best_by_trials(several: Comparison) -> pd.DataFrame:
    """The best score so far after so many trials: see `_best_table`."""
    return _best_table(several, [np.arange(1, len(run.trials) + 1, dtype=float) for run in several.runs], "trials")


def best_by_cost(several: Comparison) -> pd.DataFrame:
    """The best score so far after so much time of trials, that of those side by side added up: see `_best_table`.

    It is time of GPUs where every run used them: `attrs["unit"]` says which, and whether in hours.
    """
    gpus = uses_gpus(several.runs)
    ordered = [_by_end(run.trials) for run in several.runs]
    seconds = [_seconds(trials, gpus).cumsum().to_numpy(float) for trials in ordered]
    if not all(len(spent) and spent[-1] > 0 for spent in seconds):
        raise NothingToShow("Not every run has told yet what its trials took.")
    unit, size = _unit(max(float(spent[-1]) for spent in seconds), gpus)
    return _best_table(several, [spent / size for spent in seconds], unit, ordered)


def distributions(several: Comparison) -> pd.DataFrame:
    """series, group, score, share: which share of a run's trials with a score came to at least that, best first.

    Of a long distribution at most 400 steps stay. `attrs["median"]` holds the median of each run, `attrs["groups"]`
    the names of the groups. Raises `NothingToShow` where no run has two scores.
    """
    parts, medians = [], {}
    for label, group, run in zip(several.labels, several.groups, several.runs, strict=True):
        scores = run.counted()["score"].to_numpy(float)
        if len(scores) < 2:
            continue
        share = np.arange(1, len(scores) + 1) / len(scores)
        keep = evenly(len(scores), _MOST_STEPS)
        parts.append(pd.DataFrame({"series": label, "group": group, "score": scores[keep], "share": share[keep]}))
        medians[label] = float(np.median(scores))
    if not parts:
        raise NothingToShow("No run has two trials with a score yet.")
    table = pd.concat(parts, ignore_index=True)
    table.attrs = {"median": medians, "groups": several.group_labels}
    return table


def spent(several: Comparison) -> pd.DataFrame:
    """series, group, status, amount: what the trials of each run took, by how they ended.

    It is time of GPUs where every run used them: `attrs["unit"]` says which, and whether in hours. Raises
    `NothingToShow` where no trial took any.
    """
    gpus = uses_gpus(several.runs)
    parts = []
    for label, group, run in zip(several.labels, several.groups, several.runs, strict=True):
        took = _seconds(run.trials, gpus).groupby(run.trials["status"]).sum()
        parts.append(pd.DataFrame({"series": label, "group": group, "status": took.index, "amount": took.to_numpy()}))
    table = pd.concat(parts, ignore_index=True)
    if not table["amount"].sum() > 0:
        raise NothingToShow("No run has told yet what its trials took.")
    unit, size = _unit(float(table.groupby("series")["amount"].sum().max()), gpus)
    table["amount"] /= size
    table.attrs = {"unit": unit}
    return table


def _unit(seconds: float, gpus: bool) -> tuple[str, float]:
    """In what so much time of trials is told, and how many seconds that has: hours, unless there are hardly any."""
    name, size = time_unit(min(seconds, 86400.0))
    return f"GPU-{name}" if gpus else f"{name} of trials", size


def uses_gpus(runs: Sequence[Snapshot]) -> bool:
    """Whether trials of every run held GPUs, so that GPU-hours compare them."""
    return all(bool((run.trials["resources.gpu"].fillna(0.0) > 0).any()) for run in runs)


def _best_table(
    several: Comparison,
    at: Sequence[np.ndarray],
    unit: str,
    ordered: Sequence[pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """series, group, kind, at, best, low, high: a row where the best changes, and one at the end.

    `kind` is "run", or "band" for the median, least and largest of a group of runs as far as all of them went.
    `attrs["shared"]` is what every run spent at least, `attrs["best_at_shared"]` what each had found by then.
    """
    curves = {}
    for index, (run, label) in enumerate(zip(several.runs, several.labels, strict=True)):
        best = _best_so_far(run.trials if ordered is None else ordered[index], run.goal.sign)
        known = np.isfinite(best)
        if known.any():
            curves[label] = (at[index][known], best[known])
    if not curves:
        raise NothingToShow("No run has a score yet.")
    parts = []
    for label, group in zip(several.labels, several.groups, strict=True):
        if label in curves:
            x, y = curves[label]
            parts.append(_steps(label, group, "run", x, y, y, y))
    for group, label in enumerate(several.group_labels):
        members = [curves[several.labels[run]] for run in several.members(group) if several.labels[run] in curves]
        if len(members) > 1:
            parts.append(_steps(label, group, "band", *_band(members)))
    table = pd.concat(parts, ignore_index=True)
    shared = min(float(x[-1]) for x, _ in curves.values())
    reached = {label: float(y[x <= shared][-1]) for label, (x, y) in curves.items() if (x <= shared).any()}
    table.attrs = {"unit": unit, "shared": shared, "best_at_shared": reached}
    return table


def _best_so_far(trials: pd.DataFrame, sign: int) -> np.ndarray:
    scores = trials["score"].where(trials["status"] != "failed") * sign
    return (scores.cummax().ffill() * sign).to_numpy(float)


def _band(curves: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, ...]:
    """Where every curve has begun and none has ended: at, median, least, largest."""
    first, last = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    at = np.unique(np.concatenate([x for x, _ in curves]))
    at = at[(at >= first) & (at <= last)]
    values = np.array([y[np.searchsorted(x, at, side="right") - 1] for x, y in curves])  # (runs, places)
    return at, np.median(values, axis=0), values.min(axis=0), values.max(axis=0)


def _steps(label: str, group: int, kind: str, at: np.ndarray, best: np.ndarray, low: Any, high: Any) -> pd.DataFrame:
    columns = {"series": label, "group": group, "kind": kind, "at": at, "best": best, "low": low, "high": high}
    table = pd.DataFrame(columns)
    drawn = table[["best", "low", "high"]]
    changes = (drawn != drawn.shift()).any(axis=1)
    changes.iloc[-1:] = True
    table = table[changes]
    return table.iloc[thin(table["best"].to_numpy(float), _MOST_STEPS)]


def _by_end(trials: pd.DataFrame) -> pd.DataFrame:
    """In the order in which they ended; those that have not, or do not say so, by number after them."""
    ended = pd.to_datetime(trials["ended"], utc=True, errors="coerce")
    return trials.assign(ended=ended).sort_values(["ended", "number"], na_position="last", kind="stable")


def _seconds(trials: pd.DataFrame, gpus: bool) -> pd.Series:
    seconds = trials["seconds"].fillna(0.0)
    return seconds * trials["resources.gpu"].fillna(0.0) if gpus else seconds


def _signed_score(run: Snapshot) -> float:
    return -np.inf if run.best is None else float(run.trial(run.best)["score"]) * run.goal.sign


def _told(goal: Goal) -> str:
    return f"{goal.metric} ({'higher' if goal.maximize else 'lower'} is better)"


def _repeated(definition: dict[str, Any]) -> str:
    arguments = _without_seed(definition.get("arguments") or [])
    return json.dumps([*(definition.get(name) for name in _REPEATED), arguments], sort_keys=True, default=str)


def _without_seed(arguments: Sequence[str]) -> list[str]:
    at = [i for i, text in enumerate(arguments) if text == "--seed"]
    dropped = {*at, *(i + 1 for i in at)}
    return [text for i, text in enumerate(arguments) if i not in dropped and not text.startswith("--seed=")]


def _told_apart(names: Sequence[str]) -> tuple[str, ...]:
    """The names, a number behind each one that was there before."""
    told: list[str] = []
    for name in names:
        number, label = 1, name
        while label in told:
            number += 1
            label = f"{name} ({number})"
        told.append(label)
    return tuple(told)


def _shared_name(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    first, last = min(names), max(names)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return f"{first[:same].rstrip('-_. (0123456789') or names[0]}, {len(names)} runs"
