"""What stands side by side in a comparison of runs: outcomes, winning configurations, choices of the definitions."""

import math
from typing import Any

import pandas as pd

from search.report.tables.compare import Comparison
from search.report.tables.costs import costs
from search.report.tables.ensemble import gains, shipped_gain, single_on_test
from search.report.tables.snapshot import NothingToShow
from search.report.wording import label

_CHOICES = {
    "metric": "Metric",
    "mode": "Direction",
    "score": "Score of a trial",
    "method": "Method",
    "scheduler": "Scheduler",
    "trials": "Trials asked for",
    "iterations": "Iterations of a full trial",
    "seed": "Seed",
    "trainable": "Trainable",
    "resources": "Resources a trial",
    "file": "Definition",
    "arguments": "Options",
    "git_commit": "Commit",
}


def outcomes(several: Comparison) -> pd.DataFrame:
    """A row a run, the best first: run, group, status, score, trial, mean, spread, seeds, tested, gain, trials,
    finished, stopped, failed, trial_seconds, device, device_seconds, wall_seconds, started, commit.

    `score` chose the winner; `tested` is what the best single model reaches on the test split and `gain` what the
    ensemble in use adds there, both NaN where they were not measured.
    """
    return pd.DataFrame([_outcome(several, run) for run in several.ranked()])


def winners(several: Comparison) -> pd.DataFrame:
    """The winning configuration of each run: parameter, differs, then a column for each run with its value as text.

    Parameters that differ come first. A parameter that a winner does not have is None. Raises `NothingToShow` where
    no run has a winner.
    """
    rows: dict[str, dict[str, str | None]] = {}
    for name, run in zip(several.labels, several.runs, strict=True):
        if run.best is not None:
            known = {parameter.name: parameter for parameter in run.parameters}
            for parameter, value in run.config(run.best).items():
                rows.setdefault(parameter, {})[name] = known[parameter].label(value)
    if not rows:
        raise NothingToShow("No run has a winning configuration yet.")
    having = [name for name, run in zip(several.labels, several.runs, strict=True) if run.best is not None]
    return _side_by_side("parameter", rows, having)


def choices(several: Comparison) -> pd.DataFrame:
    """What the definitions of the runs say: choice, differs, then a column for each run with its text, None for a gap.

    Choices that differ come first; the range of a parameter is a choice too.
    """
    rows: dict[str, dict[str, str | None]] = {}
    for name, run in zip(several.labels, several.runs, strict=True):
        for key, title in _CHOICES.items():
            value = run.definition.get(key)
            if value not in (None, "", []):
                rows.setdefault(title, {})[name] = _text(value)
        for parameter, spec in (run.definition.get("space") or {}).items():
            rows.setdefault(f"Range of {parameter}", {})[name] = _range(spec)
    return _side_by_side("choice", rows, list(several.labels))


def _side_by_side(first: str, rows: dict[str, dict[str, str | None]], names: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(
        [
            {first: row, "differs": len({cells.get(name) for name in names}) > 1}
            | {f"run.{name}": cells.get(name) for name in names}
            for row, cells in rows.items()
        ],
        dtype=object,  # what a run does not have is None
    )
    return table.sort_values("differs", ascending=False, kind="stable", ignore_index=True)


def _outcome(several: Comparison, index: int) -> dict[str, Any]:
    run = several.runs[index]
    best = None if run.best is None else run.trial(run.best)
    spent, scores = costs(run), gains(run)
    gain, tested = shipped_gain(scores), single_on_test(scores, run.goal.metric)
    again = run.winner
    return {
        "run": several.labels[index],
        "group": several.groups[index],
        "status": str(run.definition.get("status", "finished")),
        "score": math.nan if best is None else float(best["score"]),
        "trial": None if best is None else int(best["number"]),
        "mean": math.nan if again is None else again.mean,
        "spread": math.nan if again is None else again.spread,
        "seeds": 0 if again is None else len(again.scores),
        "tested": math.nan if tested is None else tested,
        "gain": math.nan if gain is None or gain.is_single else gain.value,
        "trials": spent.trials,
        "finished": spent.finished,
        "stopped": spent.stopped,
        "failed": spent.failed,
        "trial_seconds": spent.trial_seconds,
        "device": spent.device,
        "device_seconds": spent.device_seconds,
        "wall_seconds": spent.wall_seconds,
        "started": run.definition.get("started"),
        "commit": run.definition.get("git_commit"),
    }


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{amount} {name}" for name, amount in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value))
    return str(value)


def _range(spec: Any) -> str:
    """What a definition lets a parameter be."""
    if not isinstance(spec, dict) or spec.get("type") == "constant":
        return f"always {label(spec.get('value') if isinstance(spec, dict) else spec, 60)}"
    if "values" in spec:
        return f"one of {', '.join(label(choice) for choice in spec['values'])}"
    low, high, kind = spec.get("low"), spec.get("high"), str(spec.get("type"))
    if low is None or high is None:
        return kind
    marks = [f", {word}" for part, word in (("log", "logarithmic"), ("int", "whole")) if part in kind]
    return f"{label(low)} to {label(high)}{''.join(marks)}"
