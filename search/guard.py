"""Which reports may be believed, and whether the run makes sense at all: a Ray Tune `Stopper`.

It sees each report before the scheduler does. A trial whose metric is missing or not a finite number ends there, as
failed; if not even the first report of the run holds the metric, the whole run ends, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from ray.tune import Stopper
from ray.tune.result import AUTO_RESULT_KEYS, DONE, RESULT_DUPLICATE, TRAINING_ITERATION, TRIAL_ID
from ray.tune.utils import flatten_dict

from search.samplers import is_finite_number

# What Ray Tune adds to every report by itself.
AUTOMATIC = frozenset(AUTO_RESULT_KEYS) | {
    TRIAL_ID,
    DONE,
    RESULT_DUPLICATE,
    "experiment_tag",
    "should_checkpoint",
}


class Guard(Stopper):
    """Stops a trial at its full length, or at a report without a usable metric; stops a run that can have no score.

    Args:
        metric: the reported value that decides.
        iterations: reports of a full trial; None if trials end by themselves.
        stop: a stopper of the user's, asked about reports that are in order.
    """

    def __init__(self, metric: str, iterations: int | None, stop: Stopper | None = None) -> None:
        self.metric = metric
        self.iterations = iterations
        self.stop = stop
        self.failures: dict[str, str] = {}
        self.complete: set[str] = set()
        self.verdict: str | None = None
        self._metric_seen = False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether the trial ends with this report."""
        report = flatten_dict(result)
        ended = bool(report.get(DONE)) or RESULT_DUPLICATE in report
        failure = None if RESULT_DUPLICATE in report else self._failure(report)
        if failure:
            self.failures[trial_id] = failure
            _withhold(result, self.metric)
            return True
        iteration = report.get(TRAINING_ITERATION, 0)
        if ended or (self.iterations is not None and iteration >= self.iterations):
            self.complete.add(trial_id)
            return True
        return self.stop is not None and self.stop(trial_id, result)

    def stop_all(self) -> bool:
        """Whether the run ends: it can have no score, or the user's stopper says so."""
        return self.verdict is not None or (self.stop is not None and self.stop.stop_all())

    def _failure(self, report: Mapping[str, Any]) -> str | None:
        value = report.get(self.metric)
        if self.metric in report:
            self._metric_seen = True
        if is_finite_number(value):
            return None
        iteration = report.get(TRAINING_ITERATION, 0)
        if self.metric in report:
            return f"the metric {self.metric!r} was {value!r} at iteration {iteration}"
        names = sorted(n for n in report if n not in AUTOMATIC and not n.startswith("config/"))
        failure = f"the metric {self.metric!r} was missing from the report at iteration {iteration}"
        if not self._metric_seen:
            near = get_close_matches(self.metric, names, n=1)
            next_step = f"Did you mean metric={near[0]!r}?" if near else "Set metric= to one of these."
            self.verdict = (
                f"Expected trials to report the metric {self.metric!r}, but the first report holds"
                f" {', '.join(names) or 'nothing'}. {next_step}"
            )
        return failure


def _withhold(result: dict[str, Any], metric: str) -> None:
    """Take a useless metric out of a report, so that no scheduler ranks trials by it."""
    *parents, leaf = metric.split("/")
    level: Any = result
    for parent in parents:
        level = level.get(parent) if isinstance(level, dict) else None
    for holder, name in ((level, leaf), (result, metric)):
        if isinstance(holder, dict):
            holder.pop(name, None)
