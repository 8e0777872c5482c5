"""What a whole run may cost: seconds, GPU-hours, dollars. A Ray Tune `Stopper` that counts from the reports."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from ray.tune import Stopper
from ray.tune.result import RESULT_DUPLICATE, TIME_THIS_ITER_S

from search.errors import SearchError
from search.method import is_finite_number

_HOUR = 3600.0


class Budget(Stopper):
    """Ends the run once a limit is reached; the limits that are left out do not count.

    `seconds` are those on the clock, from the first question on. GPU-hours are the time between a trial's reports,
    as the trials say it, times the GPUs that a trial occupies; dollars are GPU-hours times their price. Time before a
    trial's first step and after its last report is not in them.

    Past the limit each trial under way ends with its next report. Alone in a `tune.Tuner`, Ray Tune ends all of them
    in the same moment, and what they saved before is what remains.

    Args:
        seconds: of the whole run.
        gpu_hours: of all trials together.
        dollars: of all trials together, at `price_per_gpu_hour`.
        price_per_gpu_hour: what a whole GPU costs for an hour.
        gpus_per_trial: what a trial occupies, such as 0.5; a Search says it by itself.
        clock: seconds that only go up.

    Raises:
        SearchError: no limit, one that is not above zero, or dollars without a price.
    """

    def __init__(
        self,
        *,
        seconds: float | None = None,
        gpu_hours: float | None = None,
        dollars: float | None = None,
        price_per_gpu_hour: float | None = None,
        gpus_per_trial: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        limits = {"seconds": seconds, "gpu_hours": gpu_hours, "dollars": dollars}
        if all(limit is None for limit in limits.values()):
            raise SearchError("Expected a limit for the budget, got none. Give seconds=, gpu_hours= or dollars=.")
        given = limits | {"price_per_gpu_hour": price_per_gpu_hour, "gpus_per_trial": gpus_per_trial}
        for name, value in given.items():
            if value is not None and not (is_finite_number(value) and value > 0):
                raise SearchError(f"Expected {name} above zero, got {value!r}. Leave {name}= out for no such limit.")
        if dollars is not None and price_per_gpu_hour is None:
            raise SearchError(
                f"Expected price_per_gpu_hour beside dollars, got dollars={dollars} alone."
                " Give what a whole GPU costs for an hour."
            )
        self.seconds, self.gpu_hours, self.dollars = seconds, gpu_hours, dollars
        self.price_per_gpu_hour, self.gpus_per_trial = price_per_gpu_hour, gpus_per_trial
        self._clock = clock
        self._began: float | None = None
        self._seconds_before = 0.0
        self._gpu_seconds = 0.0
        self._trials: set[str] = set()

    def for_gpus(self, gpus: float) -> Self:
        """A fresh copy, nothing spent, for trials that occupy so many GPUs unless it was told another number.

        Raises:
            SearchError: a budget of GPU time for trials without a GPU.
        """
        fresh = copy.deepcopy(self)
        fresh.restore({})
        if fresh.gpus_per_trial is None and (fresh.gpu_hours or fresh.dollars):
            if not gpus > 0:
                limit = f"{self.gpu_hours:g} GPU-hours" if self.gpu_hours else f"{self.dollars:g} dollars"
                raise SearchError(
                    f"Expected trials that occupy a GPU for a budget of {limit}, got {gpus:g} GPUs a trial."
                    ' Give Search(resources={"gpu": 1}), or a budget of seconds.'
                )
            fresh.gpus_per_trial = float(gpus)
        return fresh

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Count a report; whether the trial ends with it because the budget is spent."""
        self._begin()
        # The second notice of a last report holds the same seconds again.
        if RESULT_DUPLICATE not in result:
            self._trials.add(trial_id)
            if self.gpu_hours or self.dollars:
                self._gpu_seconds += float(result[TIME_THIS_ITER_S]) * self._gpus()
        return self.reason is not None

    def stop_all(self) -> bool:
        """Whether the budget is spent."""
        self._begin()
        return self.reason is not None

    def spent(self) -> dict[str, Any]:
        """What was spent so far, as JSON data for `restore`."""
        return {"seconds": self._seconds(), "gpu_seconds": self._gpu_seconds, "trials": sorted(self._trials)}

    def restore(self, spent: Mapping[str, Any]) -> None:
        """Go on from what was spent in an earlier life, in place of anything counted so far."""
        self._began = None
        self._seconds_before = float(spent.get("seconds", 0.0))
        self._gpu_seconds = float(spent.get("gpu_seconds", 0.0))
        self._trials = set(spent.get("trials", ()))

    @property
    def reason(self) -> str | None:
        """Which limit was reached, and at how much; None before."""
        hours = self._gpu_seconds / _HOUR
        spent = {
            "seconds": (self.seconds, self._seconds()),
            "GPU-hours": (self.gpu_hours, hours),
            "dollars": (self.dollars, hours * (self.price_per_gpu_hour or 0.0)),
        }
        for unit, (limit, amount) in spent.items():
            if limit is not None and amount >= limit:
                trials = len(self._trials)
                return (
                    f"Budget of {limit:g} {unit} is spent: {_at_least_as(amount, limit)} {unit}"
                    f" in {trials} trial{'' if trials == 1 else 's'}."
                )
        return None

    def __getstate__(self) -> dict[str, Any]:
        """Without the moment it began: another process reads another clock."""
        return self.__dict__ | {"_began": None, "_seconds_before": self._seconds()}

    def _begin(self) -> None:
        if self._began is None:
            self._began = self._clock()

    def _seconds(self) -> float:
        return self._seconds_before + (0.0 if self._began is None else self._clock() - self._began)

    def _gpus(self) -> float:
        if self.gpus_per_trial is None:
            raise SearchError(
                "Expected the budget to know how many GPUs a trial occupies, got none."
                " Give Budget(gpus_per_trial=...) in a plain tune.Tuner; a Search says it by itself."
            )
        return self.gpus_per_trial


def _at_least_as(amount: float, limit: float) -> str:
    """An amount in two decimals, or in as many as it takes to show that it is past its limit."""
    shown = f"{amount:.2f}"
    return shown if amount == 0 or float(shown) >= limit else f"{amount:.6g}"
