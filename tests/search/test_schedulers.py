"""Schedulers around Ray Tune's: asked directly, and each of Ray's on real Ray, bare and wrapped."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import cloudpickle, tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import (
    ASHAScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    TrialScheduler,
)

from search import Random, SearchError
from search.stopping.schedulers import Asha, Closing, Population, Sparing, asha, for_search


@pytest.fixture(autouse=True)
def no_loggers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray Tune's own loggers take most of the time of a short trial."""
    monkeypatch.setenv("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")


def trial(name: str, **config: Any) -> Trial:
    return Trial("trainable", trial_id=name, config=config, stub=True)


def ready(scheduler: TrialScheduler, mode: str = "min") -> TrialScheduler:
    assert scheduler.set_search_properties("loss", mode)
    return scheduler


def said(scheduler: TrialScheduler, one: Trial, iteration: int, loss: float) -> str:
    return str(scheduler.on_trial_result(None, one, {"training_iteration": iteration, "loss": loss}))


# asha


def test_only_the_best_third_goes_beyond_a_ninth_and_a_third_of_the_length() -> None:
    scheduler = ready(asha(27))
    stopped: dict[int, list[int]] = {}
    trials = [trial(str(n)) for n in range(12)]
    for n, one in enumerate(trials):
        scheduler.on_trial_add(None, one)
        for iteration in range(1, 27):
            # Each is worse than all before it.
            if said(scheduler, one, iteration, float(n)) == "STOP":
                stopped.setdefault(iteration, []).append(n)
                break
    assert stopped == {3: list(range(1, 12))}
    assert said(scheduler, trials[0], 27, 0.0) == "STOP"


def test_trials_of_different_lengths_are_not_compared() -> None:
    scheduler = ready(asha(9, grace=1))
    for n in range(3):
        good = trial(f"good {n}", training_iteration=3)
        scheduler.on_trial_add(None, good)
        assert said(scheduler, good, 1, 0.1) == "CONTINUE"
    first, second = trial("first"), trial("second")
    for one in (first, second):
        scheduler.on_trial_add(None, one)
    assert said(scheduler, first, 1, 5.0) == "CONTINUE"
    assert said(scheduler, second, 1, 6.0) == "STOP"
    assert "Trials of 3 iterations" in scheduler.debug_string()
    assert "Trials of 9 iterations" in scheduler.debug_string()


def test_a_grace_longer_than_a_short_trial_leaves_that_trial_alone() -> None:
    scheduler = ready(asha(20, grace=5))
    for n in range(4):
        one = trial(str(n), training_iteration=3)
        scheduler.on_trial_add(None, one)
        assert [said(scheduler, one, i, float(n)) for i in (1, 2)] == ["CONTINUE", "CONTINUE"]


def test_more_is_better_where_the_search_says_so() -> None:
    scheduler = ready(asha(9), "max")
    answers = []
    for n in (3.0, 2.0, 4.0):
        one = trial(str(n))
        scheduler.on_trial_add(None, one)
        answers.append(said(scheduler, one, 1, n))
    assert answers == ["CONTINUE", "STOP", "CONTINUE"]


def test_without_a_length_it_is_taken_from_a_plain_tuners_stop_and_else_trials_have_no_end() -> None:
    known, unknown = asha(), asha()
    known.set_search_properties("loss", "min", stop={"training_iteration": 18})
    unknown.set_search_properties("loss", "min", stop=None)
    one = trial("one")
    for scheduler in (known, unknown):
        scheduler.on_trial_add(None, one)
    assert [said(known, one, i, 1.0) for i in (2, 18)] == ["CONTINUE", "STOP"]
    assert [said(unknown, one, i, 1.0) for i in (1, 2, 1000)] == ["CONTINUE"] * 3


def test_a_metric_is_taken_once() -> None:
    assert not ready(asha(9)).set_search_properties("other", "min")


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: Sparing(s, lambda trial_id: False)])
def test_the_rungs_of_all_lengths_survive_pickling(wrap: Callable[[TrialScheduler], TrialScheduler]) -> None:
    scheduler = wrap(ready(asha(9, grace=1)))
    for n, length in enumerate((9, 9, 3, 3)):
        one = trial(str(n), training_iteration=length)
        scheduler.on_trial_add(None, one)
        said(scheduler, one, 1, float(n))
    copied = cloudpickle.loads(cloudpickle.dumps(scheduler))
    late = trial("late", training_iteration=3)
    copied.on_trial_add(None, late)
    assert said(copied, late, 1, 9.0) == "STOP"
    assert copied.debug_string().count("num_stopped") == 2


def test_rungs_filled_from_an_earlier_session_decide_as_if_it_had_gone_on() -> None:
    def events() -> list[tuple[str, dict[str, Any], int, float]]:
        lengths = [{}, {}, {"training_iteration": 3}, {}]
        return [(str(n), config, i, 1.0 + n) for i in (1, 2, 3) for n, config in enumerate(lengths)]

    lived, replayed = ready(asha(9, grace=1)), ready(asha(9, grace=1))
    trials: dict[str, Trial] = {}
    for trial_id, config, iteration, loss in events():
        if trial_id not in trials:
            trials[trial_id] = trial(trial_id, **config)
            lived.on_trial_add(None, trials[trial_id])
        said(lived, trials[trial_id], iteration, loss)
    assert isinstance(replayed, Asha)
    replayed.replay(events())
    assert replayed.debug_string() == lived.debug_string()
    goes_on = trial("1")
    replayed.on_trial_add(None, goes_on)
    assert [said(replayed, goes_on, i, 9.0) for i in (3, 4, 9)] == ["CONTINUE", "CONTINUE", "STOP"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: asha(0), "Expected iterations to be a whole number from 1, got 0"),
        (lambda: asha(9, grace=0), "Expected grace to be a whole number from 1, got 0"),
        (lambda: asha(9, grace=10), "Expected 1 <= grace <= iterations, got grace=10, iterations=9"),
        (lambda: asha(9, reduction=1), "Expected a reduction factor of at least 2, got 1"),
        (lambda: asha(9, reduction="3"), "Expected a reduction factor of at least 2, got '3'"),  # type: ignore[arg-type]
    ],
)
def test_bad_input_is_named_when_the_scheduler_is_made(make: Any, message: str) -> None:
    with pytest.raises(SearchError) as error:
        make()
    assert message in str(error.value)


# Sparing


class Spy(FIFOScheduler):
    """Stops everything it hears of, and notes what that was."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[str, str]] = []

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self.heard.append(("add", trial.trial_id))
        self.seen = {t.trial_id for t in [*tune_controller.get_trials(), *tune_controller.get_live_trials()]}

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        self.heard.append(("error", trial.trial_id))

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        self.heard.append(("result", trial.trial_id))
        return str(TrialScheduler.STOP)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        self.heard.append(("complete", trial.trial_id))

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        self.heard.append(("remove", trial.trial_id))


class Controller:
    """What of Ray Tune's controller schedulers look at."""

    def __init__(self, *trials: Trial) -> None:
        self.trials = list(trials)
        self.other = "passes through"

    def get_trials(self) -> list[Trial]:
        return self.trials

    def get_live_trials(self) -> set[Trial]:
        return set(self.trials)


def everything(scheduler: TrialScheduler, controller: Any, one: Trial) -> str:
    scheduler.on_trial_add(controller, one)
    answer = str(scheduler.on_trial_result(controller, one, {"loss": 1.0}))
    scheduler.on_trial_error(controller, one)
    scheduler.on_trial_complete(controller, one, {})
    scheduler.on_trial_remove(controller, one)
    return answer


def test_the_inner_scheduler_never_hears_of_a_spared_trial_and_all_of_every_other() -> None:
    spy, spared, other = Spy(), trial("spared"), trial("other")
    scheduler = Sparing(spy, lambda trial_id: trial_id == "spared")
    controller = Controller(spared, other)
    assert everything(scheduler, controller, spared) == "CONTINUE"
    assert spy.heard == []
    assert everything(scheduler, controller, other) == "STOP"
    assert spy.heard == [(what, "other") for what in ("add", "result", "error", "complete", "remove")]
    assert spy.seen == {"other"}


def test_whether_a_trial_is_spared_is_settled_when_it_is_added() -> None:
    spy, one, spare = Spy(), trial("one"), {"one"}
    scheduler = Sparing(spy, lambda trial_id: trial_id in spare)
    scheduler.on_trial_add(Controller(one), one)
    spare.clear()
    assert scheduler.on_trial_result(Controller(one), one, {}) == "CONTINUE"


def test_a_spared_trial_that_waits_is_chosen_after_those_of_the_inner_scheduler() -> None:
    spared, other = trial("spared"), trial("other")
    scheduler = Sparing(FIFOScheduler(), lambda trial_id: trial_id == "spared")
    controller = Controller(spared, other)
    for one in (spared, other):
        scheduler.on_trial_add(controller, one)
    assert scheduler.choose_trial_to_run(controller) is other
    other.set_status(Trial.RUNNING)
    assert scheduler.choose_trial_to_run(controller) is spared
    spared.set_status(Trial.RUNNING)
    assert scheduler.choose_trial_to_run(controller) is None


def test_once_the_run_is_to_end_what_waits_is_held_and_what_runs_is_left_alone() -> None:
    did: list[tuple[str, ...]] = []

    class Held(Controller):
        search_alg = SimpleNamespace(set_finished=lambda: did.append(("finished",)))

        def pause_trial(self, trial: Trial, should_checkpoint: bool) -> None:
            did.append(("pause", trial.trial_id, str(should_checkpoint)))

        def _set_trial_status(self, trial: Trial, status: str) -> None:
            did.append((status, trial.trial_id))

    waits, runs, paused = trial("waits"), trial("runs"), trial("paused")
    runs.set_status(Trial.RUNNING)
    paused.set_status(Trial.PAUSED)
    folders: list[str] = []
    waits.init_local_path = lambda: folders.append("waits")
    closed = False
    scheduler = Closing(None, lambda: closed)
    controller = Held(runs, paused, waits)
    for one in controller.trials:
        scheduler.on_trial_add(controller, one)
    assert scheduler.choose_trial_to_run(controller) is waits
    assert did == []
    closed = True
    assert scheduler.choose_trial_to_run(controller) is None
    assert did == [("finished",), ("pause", "waits", "False"), ("PAUSED", "waits")]
    assert folders == ["waits"]


def test_trials_that_have_ended_are_not_looked_through_for_one_to_run() -> None:
    looked: list[str] = []

    class Looks(FIFOScheduler):
        def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
            looked.extend(trial.trial_id for trial in tune_controller.get_trials())
            return super().choose_trial_to_run(tune_controller)

    trials = [trial("ended"), trial("failed"), trial("runs"), trial("waits")]
    controller, scheduler = Controller(*trials), Closing(Looks(), lambda: False)
    for one, status in zip(trials, (Trial.TERMINATED, Trial.ERROR, Trial.RUNNING, Trial.PENDING), strict=True):
        scheduler.on_trial_add(controller, one)
        one.set_status(status)
    assert scheduler.choose_trial_to_run(controller) is trials[-1]
    assert looked == ["runs", "waits"]


@pytest.mark.parametrize("inner", [ASHAScheduler(metric="m", mode="min"), HyperBandScheduler(), FIFOScheduler()])
def test_what_ray_tune_reads_off_a_scheduler_is_that_of_the_inner_one(inner: TrialScheduler) -> None:
    around = Closing(Sparing(inner, lambda trial_id: False), lambda: False)
    assert around.metric == inner.metric
    assert around.supports_buffered_results == inner.supports_buffered_results
    assert around.debug_string() == inner.debug_string()


# On Ray


class Curve(tune.Trainable):
    """`x` + 1 / n: the order of trials never changes."""

    def setup(self, config: dict[str, Any]) -> None:
        self.config, self.steps = config, 0

    def step(self) -> dict[str, Any]:
        time.sleep(0.01)
        self.steps += 1
        return {"loss": self.config["x"] + 1 / self.steps}

    def save_checkpoint(self, folder: str) -> None:
        Path(folder, "steps.json").write_text(json.dumps(self.steps))

    def load_checkpoint(self, folder: str) -> None:
        self.steps = json.loads(Path(folder, "steps.json").read_text())

    def reset_config(self, config: dict[str, Any]) -> bool:
        self.setup(config)
        return True


def fit(tmp_path: Path, scheduler: TrialScheduler, **given: Any) -> tune.ResultGrid:
    return tune.Tuner(
        Curve,
        param_space=given.pop("space"),
        tune_config=tune.TuneConfig(metric="loss", mode="min", scheduler=scheduler, reuse_actors=True, **given),
        run_config=tune.RunConfig(
            storage_path=str(tmp_path),
            stop={"training_iteration": 9},
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
            verbose=0,
        ),
    ).fit()


def pbt(**settings: Any) -> PopulationBasedTraining:
    mutations = {"x": tune.uniform(0, 1), "lr": tune.uniform(0, 1)}
    return PopulationBasedTraining(
        "training_iteration", perturbation_interval=3, hyperparam_mutations=mutations, quantile_fraction=0.5, **settings
    )


SCHEDULERS: dict[str, Callable[[], TrialScheduler]] = {
    "asha": lambda: asha(9),
    "median": lambda: MedianStoppingRule("training_iteration", grace_period=2, min_samples_required=2),
    "hyperband": lambda: HyperBandScheduler("training_iteration", max_t=9),
    "pbt": pbt,
    "synchronous pbt": lambda: pbt(synch=True),
}


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_decides_about_all_but_the_spared_trials(tmp_path: Path, name: str) -> None:
    added: list[str] = []

    def every_fourth(trial_id: str) -> bool:
        added.append(trial_id)
        return len(added) % 4 == 0

    scheduler = for_search(SCHEDULERS[name](), iterations=9, spared=every_fourth, closed=lambda: False)
    # The best first: whatever looks at those before stops those after it.
    starts = [n / 10 for n in range(8)]
    space = {"x": tune.grid_search(starts), "name": tune.sample_from(lambda config: str(config["x"]))}
    results = fit(tmp_path, scheduler, space=space)
    assert not results.errors
    assert len(added) == 8
    ends = {r.config["name"]: (r.metrics["training_iteration"], r.config) for r in results if r.config and r.metrics}
    spared = [ends.pop(name) for name in ("0.3", "0.7")]
    assert [(length, config["x"], "lr" in config) for length, config in spared] == [(9, 0.3, False), (9, 0.7, False)]
    if "pbt" in name:
        assert all("lr" in config for _, config in ends.values())
    else:
        assert min(length for length, _ in ends.values()) < 9
        assert max(length for length, _ in ends.values()) == 9


@pytest.mark.usefixtures("cluster")
def test_population_based_training_runs_beside_a_search_method_once_it_is_not_told(tmp_path: Path) -> None:
    given: dict[str, Any] = {"space": {"x": tune.uniform(0, 1)}, "num_samples": 4}
    with pytest.raises(ValueError, match="Search algorithms cannot be used"):
        fit(tmp_path, pbt(), search_alg=Random(), **given)
    scheduler = for_search(pbt(), iterations=9, spared=lambda trial_id: False, closed=lambda: False)
    results = fit(tmp_path, scheduler, search_alg=Random(), **given)
    assert not results.errors
    assert [r.metrics["training_iteration"] for r in results if r.metrics] == [9] * 4


def test_for_a_search_a_scheduler_is_told_what_it_cannot_know() -> None:
    def made(given: TrialScheduler | None) -> Closing:
        scheduler = for_search(given, iterations=18, spared=lambda trial_id: False, closed=lambda: False)
        assert isinstance(scheduler, Closing)
        return scheduler

    learning, knowing = asha(), asha(9)
    for given in (learning, knowing):
        around = made(given).inner
        assert isinstance(around, Sparing)
        assert around.inner is given
    assert (learning.iterations, knowing.iterations) == (18, 9)
    around = made(pbt()).inner
    assert isinstance(around, Sparing)
    assert isinstance(around.inner, Population)
    assert type(made(None).inner) is FIFOScheduler
