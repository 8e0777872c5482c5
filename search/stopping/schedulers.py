"""Ray Tune schedulers: successive halving for trials of several lengths, and wrappers around any other scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.result import TRAINING_ITERATION
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, PopulationBasedTraining, TrialScheduler

from search.errors import SearchError
from search.stopping.around import Around, View
from search.stopping.rules import at_least
from search.stopping.trials import full_length

# Rungs for trials whose length nobody said: more than any has.
_ENDLESS = 10**9


def asha(iterations: int | None = None, *, grace: int | None = None, reduction: int = 3) -> Asha:
    """Asynchronous successive halving (Li et al., MLSys 2020), Ray Tune's own, with defaults that suit GAN trials.

    At iterations `grace`, `grace * reduction`, ... a trial goes on only if it is in the best 1/`reduction` of those
    of its length that have come so far.

    The two networks of a GAN need a while to find their balance, and until then the metric says little about where
    they end: so the first cut is at a ninth of the length and the second at a third, rather than at the first report.

    Args:
        iterations: reports of a full trial; by default those of the search, or of `stop={"training_iteration": n}` in
            a plain `tune.Tuner`. A length that a search method gave a trial comes first.
        grace: reports that every trial makes before it can be stopped; by default a ninth of its length, or 1 where
            the length is unknown.
        reduction: how many come to a rung for one that goes beyond it.

    Raises:
        SearchError: a grace period outside 1..iterations, or a reduction below 2.
    """
    return Asha(iterations, grace=grace, reduction=reduction)


class Asha(FIFOScheduler):
    """One of Ray Tune's `ASHAScheduler`s for each length that trials have: only equal lengths are compared.

    Args:
        iterations: as in `asha`.
        grace: as in `asha`.
        reduction: as in `asha`.

    Raises:
        SearchError: as in `asha`.
    """

    def __init__(self, iterations: int | None = None, *, grace: int | None = None, reduction: int = 3) -> None:
        super().__init__()
        if iterations is not None:
            at_least("iterations", iterations, 1)
        if grace is not None:
            at_least("grace", grace, 1)
        if grace is not None and iterations is not None and grace > iterations:
            raise SearchError(
                f"Expected 1 <= grace <= iterations, got grace={grace}, iterations={iterations}."
                " Judge trials before their end, or leave the scheduler out."
            )
        if not isinstance(reduction, int | float) or isinstance(reduction, bool) or not reduction >= 2:
            raise SearchError(f"Expected a reduction factor of at least 2, got {reduction!r}. 3 is a good start.")
        self.iterations, self.grace, self.reduction = iterations, grace, reduction
        self._metric: str | None = None
        self._mode: str | None = None
        self._of_length: dict[int | None, ASHAScheduler] = {}

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Take the metric from Ray Tune, and the length of trials if nobody gave one."""
        if self._metric and metric:
            return False
        self._metric, self._mode = metric, mode
        stop = spec.get("stop")
        if self.iterations is None and isinstance(stop, Mapping):
            self.iterations = stop.get(TRAINING_ITERATION)
        return True

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Give the trial to the scheduler of its length."""
        self._scheduler(trial).on_trial_add(tune_controller, trial)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Pass on."""
        self._scheduler(trial).on_trial_error(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Whether the trial goes on."""
        return str(self._scheduler(trial).on_trial_result(tune_controller, trial, result))

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Pass on."""
        self._scheduler(trial).on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Pass on."""
        self._scheduler(trial).on_trial_remove(tune_controller, trial)

    def debug_string(self) -> str:
        """The rungs of each length."""
        lines = [
            f"Trials of {length or 'unknown'} iterations: {scheduler.debug_string()}"
            for length, scheduler in self._of_length.items()
        ]
        return "\n".join(lines or ["Using AsyncHyperBand: no trials yet"])

    def replay(self, reports: Iterable[tuple[str, Mapping[str, Any], int, float]]) -> None:
        """Take up what trials of an earlier session reported, as if they had just done so.

        Args:
            reports: trial id, configuration, iteration and metric, in the order of events.
        """
        trials: dict[str, Any] = {}
        for trial_id, config, iteration, value in reports:
            if trial_id not in trials:
                trials[trial_id] = SimpleNamespace(trial_id=trial_id, config=config)
                self.on_trial_add(None, trials[trial_id])
            result = {TRAINING_ITERATION: iteration, self._metric: value}
            self.on_trial_result(None, trials[trial_id], result)

    def _scheduler(self, trial: Trial) -> ASHAScheduler:
        length = full_length(trial.config, self.iterations)
        if length not in self._of_length:
            grace = self.grace or max(1, (length or 0) // 9)
            self._of_length[length] = ASHAScheduler(
                metric=self._metric,
                mode=self._mode,
                max_t=length or _ENDLESS,
                grace_period=min(grace, length or grace),
                reduction_factor=self.reduction,
            )
        return self._of_length[length]


class Sparing(Around):
    """Another scheduler, which never hears of some trials: those run their full length.

    For replicas whose scores are to be averaged: a mean over the seeds that were not stopped would be too good.

    Args:
        inner: decides about all other trials.
        spared: whether a trial is none of its business, by trial id; asked once, when the trial is added.
    """

    def __init__(self, inner: TrialScheduler, spared: Callable[[str], bool]) -> None:
        super().__init__(inner)
        self._is_spared = spared
        self._spared: set[str] = set()

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Find out whether the trial is spared; if not, pass it on."""
        if self._is_spared(trial.trial_id):
            self._spared.add(trial.trial_id)
        else:
            super().on_trial_add(self._view(tune_controller), trial)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Pass on unless the trial is spared."""
        if trial.trial_id not in self._spared:
            super().on_trial_error(self._view(tune_controller), trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Go on if the trial is spared, else what the inner scheduler decides."""
        if trial.trial_id in self._spared:
            return str(TrialScheduler.CONTINUE)
        return super().on_trial_result(self._view(tune_controller), trial, result)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Pass on unless the trial is spared."""
        if trial.trial_id not in self._spared:
            super().on_trial_complete(self._view(tune_controller), trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Pass on unless the trial is spared."""
        if trial.trial_id not in self._spared:
            super().on_trial_remove(self._view(tune_controller), trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The choice of the inner scheduler, or else the first spared trial that waits."""
        chosen = super().choose_trial_to_run(self._view(tune_controller))
        waiting = (
            trial
            for trial in tune_controller.get_trials()
            if trial.trial_id in self._spared and trial.status in (Trial.PENDING, Trial.PAUSED)
        )
        return chosen or next(waiting, None)

    def _view(self, tune_controller: Any) -> Any:
        """The controller without the spared trials: some schedulers look at all there are."""
        if not self._spared:
            return tune_controller
        return View(
            tune_controller,
            get_trials=lambda: [t for t in tune_controller.get_trials() if t.trial_id not in self._spared],
            get_live_trials=lambda: {t for t in tune_controller.get_live_trials() if t.trial_id not in self._spared},
        )


class Closing(Around):
    """Another scheduler, until the run is to end: from then on nothing starts, and what waits keeps waiting.

    What is under way is left alone: a stopper ends it at its next report, where it is checkpointed. Trials that wait
    are told to nobody as ended; the run ends when a stopper's `stop_all` says so.

    Args:
        inner: decides until then.
        closed: whether the run is to end; asked before anything is started.
    """

    def __init__(self, inner: TrialScheduler | None, closed: Callable[[], bool]) -> None:
        super().__init__(inner)
        self._is_closed = closed
        self._going: list[Trial] = []

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Pass on."""
        self._going.append(trial)
        super().on_trial_add(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The choice of the inner scheduler; none once the run is to end."""
        # It is asked at every event, and would look through all trials of the run for one that waits.
        self._going = [trial for trial in self._going if not trial.is_finished()]
        if not self._is_closed():
            return super().choose_trial_to_run(View(tune_controller, get_trials=lambda: self._going))
        tune_controller.search_alg.set_finished()
        for trial in self._going:
            if trial.status == Trial.PENDING:
                # Ray Tune's table of results needs a folder for each trial, also for those that never began.
                trial.init_local_path()
                # Pending trials are started whatever a scheduler chooses. The first line takes back a request for an
                # actor, the second is for trials without one.
                tune_controller.pause_trial(trial, should_checkpoint=False)
                tune_controller._set_trial_status(trial, Trial.PAUSED)
        return None


class Population(Around):
    """Population based training whose first population comes from a search method.

    Ray Tune's own refuses to run beside a searcher, because it changes configurations that the searcher thinks are
    as it said. So the method should be one that does not learn from scores, such as `Random()`.

    Args:
        inner: Ray Tune's `PopulationBasedTraining`, or `PB2`.
    """

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Pass on, without a word of where the trial comes from."""
        super().on_trial_add(View(tune_controller, search_alg=None), trial)


def for_search(
    scheduler: TrialScheduler | None,
    *,
    iterations: int | None,
    spared: Callable[[str], bool],
    closed: Callable[[], bool],
) -> TrialScheduler:
    """The scheduler of a search as one run needs it, told what the run has to say to it.

    Args:
        scheduler: what the search was given, a copy for this run alone; None to run all trials in their order.
        iterations: reports of a full trial, for an `Asha` that does not know.
        spared: as in `Sparing`.
        closed: as in `Closing`.
    """
    if scheduler is None:
        return Closing(None, closed)
    if isinstance(scheduler, Asha) and scheduler.iterations is None:
        scheduler.iterations = iterations
    if isinstance(scheduler, PopulationBasedTraining):
        scheduler = Population(scheduler)
    return Closing(Sparing(scheduler, spared), closed)
