"""When a trial has gone on long enough: Ray Tune `Stopper`s around the rules of `rules.py`.

The budget of a whole run is in `budget.py`, several stoppers together in `stoppers.py`, and what compares trials with
each other in `schedulers.py`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np
from ray.tune import Stopper
from ray.tune.result import TRAINING_ITERATION
from ray.tune.utils import flatten_dict

from search.errors import SearchError
from search.method import is_finite_number
from search.stopping.rules import Mode, Multiple, Plateau, at_least


def full_length(config: Mapping[str, Any], default: int | None) -> int | None:
    """The reports of a full trial: its own length if a search method gave it one, else that of all; None for no end."""
    return config.get(TRAINING_ITERATION, default)


class Length(Stopper):
    """Each trial to its own length: `config["training_iteration"]` where it has one.

    Args:
        iterations: reports of every other trial; None lets those end by themselves.

    Raises:
        SearchError: a length below 1.
    """

    def __init__(self, iterations: int | None = None) -> None:
        self.iterations = None if iterations is None else at_least("iterations", iterations, 1)

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether the trial has run its length."""
        full = full_length(result.get("config", {}), self.iterations)
        return full is not None and result[TRAINING_ITERATION] >= full

    def stop_all(self) -> bool:
        """Never."""
        return False


class Patience(Stopper):
    """Ends a trial whose smoothed metric has made no gain of at least `delta` for `reports` reports.

    Smoothed is the running median of the last `smooth` reports. A spike shorter than half of that leaves no trace, in
    either direction: no bump ends a trial, and no lucky report becomes a mark that the trial then never reaches. Gains
    are measured from the last level that counted as one, so many small ones add up. Reports in which the metric is
    missing or not finite are passed over.

    Args:
        reports: how many reports without a gain end a trial.
        delta: what counts as a gain; 0 for any.
        metric: the reported value to watch; in a Search, by default, the metric of the search.
        mode: "min" or "max", together with `metric`.
        smooth: how many reports the median is taken over; 1 for none.
        grace: reports that every trial may make before it can be ended.

    Raises:
        SearchError: a number out of its range, a mode that is neither, or a metric without a mode.
    """

    def __init__(
        self,
        reports: int,
        *,
        delta: float = 0.0,
        metric: str | None = None,
        mode: Mode | None = None,
        smooth: int = 5,
        grace: int = 0,
    ) -> None:
        self.reports = at_least("reports", reports, 1)
        self.smooth = at_least("smooth", smooth, 1)
        self.grace = at_least("grace", grace, 0)
        if not (is_finite_number(delta) and delta >= 0):
            raise SearchError(f"Expected 0 <= delta, finite, got delta={delta!r}. Name the smallest gain that counts.")
        if mode not in (None, "min", "max") or (metric is None) != (mode is None):
            raise SearchError(
                'Expected metric= and mode= together, mode being "min" or "max",'
                f" got metric={metric!r}, mode={mode!r}. Give both, or leave both to the Search."
            )
        self.delta, self.metric, self.mode = delta, metric, mode
        self.reasons: dict[str, str] = {}
        self._curves: dict[str, Plateau] = {}
        self._reports = _Reports()

    def for_metric(self, metric: str, mode: Mode) -> Self:
        """A fresh copy that watches this metric unless it was given one of its own."""
        fresh = copy.deepcopy(self)
        fresh.reasons, fresh._curves, fresh._reports = {}, {}, _Reports()
        if fresh.metric is None:
            fresh.metric, fresh.mode = metric, mode
        return fresh

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether the trial ends with this report."""
        if self.metric is None or self.mode is None:
            raise _unbound(self)
        value, iteration = flatten_dict(result).get(self.metric), result[TRAINING_ITERATION]
        if not is_finite_number(value) or not self._reports.is_new(trial_id, iteration):
            return False
        if trial_id not in self._curves:
            self._curves[trial_id] = Plateau(self.reports, self.delta, self.smooth, self.mode)
        curve = self._curves[trial_id]
        if not curve.reached(float(value)) or iteration < self.grace:
            return False
        gain = f"gain of {self.delta:g}" if self.delta else "gain"
        self.reasons[trial_id] = f"no {gain} in {self.metric!r} for {curve.without_gain} reports, from {curve.best:.5g}"
        return True

    def stop_all(self) -> bool:
        """Never."""
        return False


class Diverged(Stopper):
    """Ends a trial whose loss is NaN or infinite, at once, or stays past a multiple of its best.

    The multiple is for losses that stay positive: once one was reported at zero or below (a Wasserstein loss, say), and
    for a metric of mode "max", only NaN and infinity end a trial. The losses of a GAN's two networks rise and fall with
    each other: watch those with `factor=None`.

    Args:
        metric: the reported value or values to watch; in a Search, by default, the metric of the search.
        factor: of the best so far; None to look for NaN and infinity alone.
        reports: how many in a row past the multiple end a trial: one is a spike.
        grace: reports in which the multiple is not asked about.
        mode: "max" if more of `metric` is better.

    Raises:
        SearchError: a factor that is not above 1, a count out of its range, no name to watch, or an unknown mode.
    """

    def __init__(
        self,
        metric: str | Iterable[str] | None = None,
        *,
        factor: float | None = 10.0,
        reports: int = 2,
        grace: int = 0,
        mode: Mode = "min",
    ) -> None:
        if factor is not None and not (is_finite_number(factor) and factor > 1):
            raise SearchError(
                f"Expected a factor above 1, got {factor!r}. 10 is a good start; None looks for NaN and infinity alone."
            )
        self.factor = factor
        self.reports = at_least("reports", reports, 1)
        self.grace = at_least("grace", grace, 0)
        self.metrics = (metric,) if isinstance(metric, str) else None if metric is None else tuple(metric)
        if self.metrics is not None and not (self.metrics and all(self.metrics)):
            raise SearchError(
                f"Expected the names of reported values to watch, got {metric!r}."
                " Leave metric= out for that of the search."
            )
        if mode not in ("min", "max"):
            raise SearchError(f'Expected mode to be "min" or "max", got {mode!r}. Correct mode=.')
        self.mode: Mode = mode
        self.reasons: dict[str, str] = {}
        self.failures: dict[str, str] = {}
        self._losses: dict[tuple[str, str], Multiple] = {}
        self._reports = _Reports()

    def for_metric(self, metric: str, mode: Mode) -> Self:
        """A fresh copy that watches this metric unless it was given some of its own."""
        fresh = copy.deepcopy(self)
        fresh.reasons, fresh.failures, fresh._losses, fresh._reports = {}, {}, {}, _Reports()
        if fresh.metrics is None:
            fresh.metrics, fresh.mode = (metric,), mode
        return fresh

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether the trial ends with this report; `reasons` says why, `failures` where it was no number."""
        if self.metrics is None:
            raise _unbound(self)
        report, iteration = flatten_dict(result), result[TRAINING_ITERATION]
        watched = {name: float(report[name]) for name in self.metrics if _is_number(report.get(name))}
        for name, value in watched.items():
            if not math.isfinite(value):
                self.reasons[trial_id] = self.failures[trial_id] = f"{name!r} was {value} at iteration {iteration}"
                return True
        if self.factor is None or self.mode == "max" or not self._reports.is_new(trial_id, iteration):
            return False
        # Every loss is told, also when one of them is enough.
        past = [name for name, value in watched.items() if self._loss(trial_id, name).passed(value)]
        if not past or iteration < self.grace:
            return False
        name = past[0]
        self.reasons[trial_id] = (
            f"{name!r} was {watched[name]:.5g} at iteration {iteration},"
            f" past {self.factor:g} times its best, {self._loss(trial_id, name).best:.5g}"
        )
        return True

    def stop_all(self) -> bool:
        """Never."""
        return False

    def _loss(self, trial_id: str, name: str) -> Multiple:
        assert self.factor is not None
        return self._losses.setdefault((trial_id, name), Multiple(self.factor, self.reports))


class _Reports:
    """Tells reports from those that a trial makes again, after a crash, from its checkpoint on."""

    def __init__(self) -> None:
        self._latest: dict[str, int] = {}

    def is_new(self, trial_id: str, iteration: int) -> bool:
        if iteration <= self._latest.get(trial_id, 0):
            return False
        self._latest[trial_id] = iteration
        return True


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _unbound(stopper: Stopper) -> SearchError:
    name = type(stopper).__name__
    return SearchError(
        f"Expected {name} to know which value to watch, got none."
        f' Give {name}(metric="...", mode="min") in a plain tune.Tuner; a Search says it by itself.'
    )
