"""Trials of earlier runs as evidence for a new one. Reads their Parquet and JSON; nothing of them is executed."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from typing import Any

from search.errors import RunError, SearchError
from search.method import is_finite_number
from search.models.comparable import Losses, Score
from search.models.evidence import Seen
from search.params import Params, flatten
from search.results import Results
from search.space import Space

_log = logging.getLogger(__name__)


def earlier_trials(
    run: str | os.PathLike[str], space: Space, *, metric: str, mode: str, score: Score, whole: bool = True
) -> list[Seen]:
    """The trials of a run that say something about a space.

    Those count that ran to their end or were stopped early, have every parameter of the space, inside its axis, and
    reported the metric.

    Args:
        run: the folder or address of a run.
        space: of the new run.
        metric: of the new run.
        mode: "min" or "max".
        score: what the new run counts, the "best" or the "last" report.
        whole: whether a trial needs every parameter of the space; without, it needs one.

    Raises:
        SearchError: there is no such run, it searched for something else, or no trial of it can be used.
    """
    try:
        results = Results(run)
        definition, trials, measurements = results.definition, results.table(), results.measurements()
    except RunError as missing:
        raise SearchError(f"Expected warm_start to name runs that can be read: {missing}") from missing
    theirs = definition.get("metric"), definition.get("mode")
    if theirs != (metric, mode):
        raise SearchError(
            f"Expected the run {os.fspath(run)!r} of warm_start to search for {(metric, mode)}, got {theirs}."
            " Leave it out, or search for the same metric."
        )
    reports: dict[str, dict[int, float]] = {}
    if metric in measurements:
        columns = (measurements[name].tolist() for name in ("trial_id", "iteration", metric))
        for trial_id, iteration, value in zip(*columns, strict=True):
            if is_finite_number(value):
                reports.setdefault(str(trial_id), {})[int(iteration)] = float(value)
    found: list[Seen] = []
    distributions = space.distributions()
    for row in trials.to_dict("records"):
        params = _params(row, space, whole)
        if params is not None and row.get("status") in ("finished", "stopped") and row["trial_id"] in reports:
            losses = Losses.of(reports[row["trial_id"]], score, 1.0 if mode == "min" else -1.0)
            found.append(Seen(params, {name: distributions[name] for name in params}, losses))
    if not found:
        raise SearchError(
            f"Expected trials in {os.fspath(run)!r} that ended with a {metric!r} and whose parameters cover"
            f" {sorted(axis.name for axis in space.axes)}, found none among {len(trials)}."
            " Leave the run out of warm_start, or search over what it searched."
        )
    if len(found) < len(trials):
        _log.info("%d of the %d trials of %s cannot be learned from here.", len(trials) - len(found), len(trials), run)
    return found


def _params(row: Mapping[Any, Any], space: Space, whole: bool) -> Params | None:
    """The trial's values as suggestions on our axes; None where one is missing or off its axis."""
    config = flatten(json.loads(row["config"])) if isinstance(row.get("config"), str) else {}
    present = [axis.name for axis in space.axes if axis.name in config]
    if not present or (whole and len(present) < len(space.axes)):
        return None
    try:
        return space.labels({name: config[name] for name in present})
    except SearchError:
        return None
