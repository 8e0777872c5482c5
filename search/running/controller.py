"""Ray Tune's controller, but for one thing: a trial whose process fails while it is taken over is tried again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ray.tune import tune as tune_module
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial


class Controller(TuneController):
    """Tries a trial again also where the process that it was to take over from another fails before it begins.

    Ray Tune ends such a trial for good, however often it may be tried: it hears of the death of the process twice, once
    of the process and once of its task, and takes the second, when the trial waits for its next attempt, for final.
    It also goes on believing that the trial is being taken over, and would never start it.
    """

    _told: Exception | None = None

    def _process_trial_failure(self, trial: Trial, exception: Exception) -> None:
        if exception is self._told:
            self._told = None
            return
        if trial in self._resetting_trials:
            self._resetting_trials.remove(trial)
            if trial.status == Trial.RUNNING:  # made so as its process has died; its task will be told of next
                self._told = exception
            else:  # its task alone has failed, and none but RUNNING trials are tried again
                self._set_trial_status(trial, Trial.RUNNING)
                self._unstage_trial_with_resources(trial)
        super()._process_trial_failure(trial, exception)


@contextmanager
def retrying() -> Iterator[None]:
    """While it lasts, runs of Ray Tune, which has no slot for one, are led by a `Controller`."""
    usual = tune_module.TuneController
    tune_module.TuneController = Controller
    try:
        yield
    finally:
        tune_module.TuneController = usual
