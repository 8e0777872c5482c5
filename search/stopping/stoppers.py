"""What a search was given as `stop`: several stoppers as one, each knowing what it watches."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Self

from ray.tune import Stopper
from ray.tune.stopper import CombinedStopper

from search.errors import SearchError
from search.stopping.budget import Budget
from search.stopping.rules import Mode
from search.stopping.trials import Diverged, Patience


class Stoppers(Stopper):
    """Several stoppers, each asked about every report: unlike a `CombinedStopper`, which asks until the first yes.

    Args:
        stoppers: any of Ray Tune's.
    """

    def __init__(self, stoppers: Iterable[Stopper] = ()) -> None:
        self.stoppers = tuple(stoppers)

    @classmethod
    def of(cls, stop: Stopper | Iterable[Stopper] | None, metric: str, mode: Mode, gpus: float = 0.0) -> Self:
        """What a search was given as `stop`, as copies that know its metric and what a trial occupies.

        Args:
            stop: none, one, several, or a `CombinedStopper`.
            metric: for `Patience` and `Diverged` without one.
            mode: of the metric.
            gpus: what a trial occupies, for a `Budget`.

        Raises:
            SearchError: something that is no stopper, or a budget of GPU time for trials without a GPU.
        """
        return cls(_for_search(stopper, metric, mode, gpus) for stopper in _flat(stop))

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether any ends the trial."""
        answers = [stopper(trial_id, result) for stopper in self.stoppers]
        return any(answers)

    def stop_all(self) -> bool:
        """Whether any ends the run."""
        answers = [stopper.stop_all() for stopper in self.stoppers]
        return any(answers)

    @property
    def budget(self) -> Budget | None:
        """The first budget among them."""
        return next((stopper for stopper in self.stoppers if isinstance(stopper, Budget)), None)

    @property
    def reason(self) -> str | None:
        """Why the run ends, once one of them says that it does."""
        ended = [stopper for stopper in self.stoppers if stopper.stop_all()]
        reasons = (stopper.reason for stopper in ended if isinstance(stopper, Budget))
        others = f"{type(ended[0]).__name__} ended the run." if ended else None
        return next((reason for reason in reasons if reason), others)

    def reason_for(self, trial_id: str) -> str | None:
        """Why a trial was ended, where one of ours ended it."""
        reasons = (s.reasons.get(trial_id) for s in self.stoppers if isinstance(s, Patience | Diverged))
        return next((reason for reason in reasons if reason), None)

    @property
    def failures(self) -> dict[str, str]:
        """Trials whose losses were no numbers, and where, by trial id."""
        return {t: why for s in self.stoppers if isinstance(s, Diverged) for t, why in s.failures.items()}


def _flat(stop: Stopper | Iterable[Stopper] | None) -> list[Stopper]:
    if stop is None:
        return []
    if isinstance(stop, CombinedStopper):
        return [one for inner in stop._stoppers for one in _flat(inner)]
    if isinstance(stop, Stoppers):
        return [one for inner in stop.stoppers for one in _flat(inner)]
    if isinstance(stop, Stopper):
        return [stop]
    if not isinstance(stop, list | tuple):
        raise SearchError(
            f"Expected stop to be a Ray Tune Stopper such as Patience(5), or several in a list, got {stop!r}."
            " A plain number of reports is given as iterations=."
        )
    return [one for inner in stop for one in _flat(inner)]


def _for_search(stopper: Stopper, metric: str, mode: Mode, gpus: float) -> Stopper:
    if isinstance(stopper, Patience | Diverged):
        return stopper.for_metric(metric, mode)
    if isinstance(stopper, Budget):
        return stopper.for_gpus(gpus)
    return copy.deepcopy(stopper)
