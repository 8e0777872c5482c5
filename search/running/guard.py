"""Which reports may be believed, when a trial is through, and whether the run goes on: a Ray Tune `Stopper`.

It sees each report before the scheduler does. A trial whose metric is missing or not a finite number ends there, as
failed; if not even the first report of the run holds the metric, the whole run ends, with the reason. Once the brake is
on, trials end at their next report, saved, to go on when the run is resumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial
from ray.tune.result import AUTO_RESULT_KEYS, DONE, RESULT_DUPLICATE, TRAINING_ITERATION, TRIAL_ID
from ray.tune.utils import flatten_dict

from search.method import is_finite_number
from search.stopping.stoppers import Stoppers
from search.stopping.trials import full_length

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
        iterations: reports of a full trial; None if trials end by themselves. `training_iteration` in a trial's
            configuration takes precedence.
        stop: the user's own, asked about reports that are in order.
    """

    def __init__(self, metric: str, iterations: int | None, stop: Stoppers | None = None) -> None:
        self.metric = metric
        self.iterations = iterations
        self.stop = stop or Stoppers()
        self.failures: dict[str, str] = {}
        self.complete: set[str] = set()
        self.braked: set[str] = set()
        self.verdict: str | None = None
        self.brake_reason: str | None = None
        self.halted = False
        self._metric_seen = False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether the trial ends with this report."""
        report = flatten_dict(result)
        ended = bool(report.get(DONE)) or RESULT_DUPLICATE in report
        failure = None if RESULT_DUPLICATE in report else self._failure(report)
        if failure:
            self.failures[trial_id] = failure
            _withhold(result, self.metric)
            self._charge(trial_id, result)
            return True
        full = full_length(result.get("config", {}), self.iterations)
        if ended or (full is not None and report.get(TRAINING_ITERATION, 0) >= full):
            self.complete.add(trial_id)
            # The user's stopper counts what every report has cost.
            self._stopped_by_user(trial_id, result)
            return True
        if self._stopped_by_user(trial_id, result):
            return True
        if self.is_braked():
            self.braked.add(trial_id)
            return True
        return False

    def stop_all(self) -> bool:
        """Whether the run ends now: it can have no score, or all that ran when the brake was put on is saved."""
        return self.verdict is not None or self.halted

    def is_braked(self) -> bool:
        """Whether nothing new is to start."""
        return self.brake_reason is not None

    def brake(self, reason: str) -> None:
        """Start nothing new, and let what runs come to its next report."""
        self.brake_reason = self.brake_reason or reason

    def _stopped_by_user(self, trial_id: str, result: dict[str, Any]) -> bool:
        stopped = self.stop(trial_id, result)
        if failure := self.stop.failures.get(trial_id):
            self.failures[trial_id] = failure
            self.complete.discard(trial_id)
            _withhold(result, self.metric)
            return True
        if not self.stop.stop_all():
            return stopped
        # The whole run ends: that is no verdict on this trial.
        self.brake(self.stop.reason or "A stopper ended the run.")
        return False

    def _charge(self, trial_id: str, result: dict[str, Any]) -> None:
        """A report that cannot be used has been paid for all the same."""
        if self.stop.budget is not None:
            self.stop.budget(trial_id, result)
            if self.stop.budget.reason:
                self.brake(self.stop.budget.reason)

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


class Halt(Callback):
    """Ends the run once every trial that ran when the brake was put on has come to a report and is saved.

    Args:
        guard: has the brake.
        saved: whether trials can be saved at all; where they cannot, nothing is worth waiting for.
    """

    def __init__(self, guard: Guard, saved: bool) -> None:
        self._guard, self._saved = guard, saved
        self._awaited: set[str] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Look whether everything is saved."""
        if self._guard.brake_reason is None or self._guard.halted:
            return
        running = {trial.trial_id for trial in trials if trial.status == Trial.RUNNING} if self._saved else set()
        if self._awaited is None:
            self._awaited = running
        self._awaited &= running
        self._guard.halted = not self._awaited


def _withhold(result: dict[str, Any], metric: str) -> None:
    """Take a useless metric out of a report, so that no scheduler ranks trials by it."""
    *parents, leaf = metric.split("/")
    level: Any = result
    for parent in parents:
        level = level.get(parent) if isinstance(level, dict) else None
    for holder, name in ((level, leaf), (result, metric)):
        if isinstance(holder, dict):
            holder.pop(name, None)
