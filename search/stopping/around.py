"""What wrappers of Ray Tune schedulers are made of: one that passes everything on, and a view of the controller."""

from __future__ import annotations

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler


class Around(TrialScheduler):
    """A scheduler that passes everything on to another."""

    def __init__(self, inner: TrialScheduler | None = None) -> None:
        super().__init__()
        self.inner = inner or FIFOScheduler()

    @property
    def metric(self) -> str | None:
        """The metric of the inner scheduler, as Ray Tune reads it."""
        metric: str | None = self.inner.metric
        return metric

    @property
    def supports_buffered_results(self) -> bool:
        """Whether the inner scheduler can be told of several results at once."""
        return bool(self.inner.supports_buffered_results)

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Pass on."""
        return bool(self.inner.set_search_properties(metric, mode, **spec))

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Pass on."""
        self.inner.on_trial_add(tune_controller, trial)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Pass on."""
        self.inner.on_trial_error(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Pass on."""
        return str(self.inner.on_trial_result(tune_controller, trial, result))

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Pass on."""
        self.inner.on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Pass on."""
        self.inner.on_trial_remove(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Pass on."""
        return self.inner.choose_trial_to_run(tune_controller)

    def debug_string(self) -> str:
        """What the inner scheduler says of itself."""
        return str(self.inner.debug_string())


class View:
    """Ray Tune's controller as a scheduler is to see it: some names mean something else."""

    def __init__(self, tune_controller: Any, **instead: Any) -> None:
        self.__dict__.update(instead)
        self._tune_controller = tune_controller

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tune_controller, name)
