"""What a run may cost: counted from reports and a clock of the test's own, and how a spent budget ends a run on Ray."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray import cloudpickle, tune
from ray.tune.experiment import Trial

from search import Random, SearchError
from search.stopping.budget import Budget
from search.stopping.schedulers import Closing

HOUR = 3600.0


class Clock:
    """Stands still until it is told otherwise; copies of a budget read the same one."""

    now = 100.0

    def __call__(self) -> float:
        return self.now

    def __deepcopy__(self, memo: dict[int, Any]) -> "Clock":
        return self


def report(seconds: float, **more: Any) -> dict[str, Any]:
    return {"training_iteration": 1, "time_this_iter_s": seconds, "time_total_s": 10 * seconds, **more}


def test_seconds_are_those_on_the_clock_from_the_first_question_on() -> None:
    clock = Clock()
    budget = Budget(seconds=60, clock=clock)
    clock.now += 1000
    assert not budget.stop_all()
    clock.now += 59
    assert not budget("t", report(1e9))
    clock.now += 1
    assert budget("t", report(0))
    assert budget.stop_all()
    assert budget.reason == "Budget of 60 seconds is spent: 60.00 seconds in 1 trial."


def test_gpu_hours_are_what_trials_report_times_the_gpus_they_occupy() -> None:
    budget = Budget(gpu_hours=2, gpus_per_trial=0.5)
    said = [budget(f"trial {n % 17}", report(HOUR / 17)) for n in range(69)]
    assert said.index(True) in {67, 68}
    assert budget.reason is not None
    assert budget.reason.startswith("Budget of 2 GPU-hours is spent: 2.")
    assert budget.reason.endswith(" GPU-hours in 17 trials.")


def test_dollars_are_gpu_hours_at_their_price() -> None:
    budget = Budget(dollars=9, price_per_gpu_hour=3, gpus_per_trial=2)
    assert not budget("a", report(1.49 * HOUR))
    assert budget("b", report(0.02 * HOUR))
    assert budget.reason == "Budget of 9 dollars is spent: 9.06 dollars in 2 trials."


def test_whichever_limit_is_reached_first_ends_the_run() -> None:
    clock = Clock()
    budget = Budget(seconds=60, gpu_hours=1, dollars=100, price_per_gpu_hour=1, gpus_per_trial=1, clock=clock)
    assert budget("a", report(HOUR))
    assert budget.reason is not None
    assert "GPU-hours" in budget.reason


def test_the_second_notice_of_a_last_report_costs_nothing() -> None:
    budget = Budget(gpu_hours=1.5, gpus_per_trial=1)
    assert not budget("a", report(HOUR))
    assert not budget("a", report(HOUR, __duplicate__=True))


def test_an_amount_that_rounds_to_its_limit_or_below_is_shown_as_past_it() -> None:
    budget = Budget(gpu_hours=0.001, gpus_per_trial=1)
    budget("a", report(0.0012 * HOUR))
    assert budget.reason == "Budget of 0.001 GPU-hours is spent: 0.0012 GPU-hours in 1 trial."


@given(st.lists(st.floats(0, HOUR), max_size=30), st.integers(0, 30))
def test_a_budget_that_goes_on_from_what_was_spent_ends_where_it_would_have_ended(costs: list[float], at: int) -> None:
    whole, first, second = (Budget(gpu_hours=5, gpus_per_trial=1) for _ in range(3))
    said = [whole(str(n % 5), report(cost)) for n, cost in enumerate(costs)]
    before = [first(str(n % 5), report(cost)) for n, cost in enumerate(costs[:at])]
    second.restore(first.spent())
    after = [second(str(n % 5), report(cost)) for n, cost in enumerate(costs[at:], at)]
    assert before + after == said
    assert second.reason == whole.reason
    assert second.spent()["trials"] == whole.spent()["trials"]


def restored(budget: Budget, clock: Clock) -> Budget:
    fresh = Budget(seconds=60, clock=clock)
    fresh.restore(budget.spent())
    return fresh


def unpickled(budget: Budget, clock: Clock) -> Budget:
    fresh: Budget = cloudpickle.loads(cloudpickle.dumps(budget))
    fresh._clock = clock
    return fresh


@pytest.mark.parametrize("again", [restored, unpickled])
def test_seconds_of_an_earlier_life_count_and_those_between_two_lives_do_not(
    again: Callable[[Budget, Clock], Budget],
) -> None:
    clock = Clock()
    first = Budget(seconds=60, clock=clock)
    first.stop_all()
    clock.now += 40
    second = again(first, clock)
    clock.now += 1000
    assert not second.stop_all()
    assert second.spent()["seconds"] == 40
    clock.now += 20
    assert second.stop_all()


def test_a_copy_for_a_run_has_spent_nothing_and_knows_its_gpus() -> None:
    budget = Budget(gpu_hours=1, gpus_per_trial=None)
    used = budget.for_gpus(0.25)
    assert used.gpus_per_trial == 0.25
    used("a", report(HOUR))
    assert used.spent()["gpu_seconds"] == HOUR / 4
    again = used.for_gpus(1)
    assert (again.gpus_per_trial, again.spent()) == (0.25, {"seconds": 0.0, "gpu_seconds": 0.0, "trials": []})


def test_a_budget_of_seconds_needs_no_gpus() -> None:
    assert not Budget(seconds=60).for_gpus(0)("a", report(1))


@pytest.mark.parametrize("limit", [{"gpu_hours": 2}, {"dollars": 2, "price_per_gpu_hour": 1}])
def test_gpu_time_of_trials_without_a_gpu_is_refused_before_the_run(limit: dict[str, float]) -> None:
    with pytest.raises(SearchError, match=r"Expected trials that occupy a GPU .* got 0 GPUs a trial\. Give Search"):
        Budget(**limit).for_gpus(0)
    with pytest.raises(SearchError, match=r"Expected the budget to know how many GPUs a trial occupies"):
        Budget(**limit)("a", report(1))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({}, "Expected a limit for the budget, got none. Give seconds=, gpu_hours= or dollars="),
        ({"seconds": 0}, "Expected seconds above zero, got 0."),
        ({"gpu_hours": -1}, "Expected gpu_hours above zero, got -1."),
        ({"dollars": 0, "price_per_gpu_hour": 1}, "Expected dollars above zero, got 0."),
        ({"seconds": math.nan}, "Expected seconds above zero, got nan."),
        ({"seconds": math.inf}, "Expected seconds above zero, got inf."),
        ({"seconds": "60"}, "Expected seconds above zero, got '60'."),
        ({"dollars": 5}, "Expected price_per_gpu_hour beside dollars, got dollars=5 alone."),
        ({"dollars": 5, "price_per_gpu_hour": 0}, "Expected price_per_gpu_hour above zero, got 0."),
        ({"gpu_hours": 5, "gpus_per_trial": 0}, "Expected gpus_per_trial above zero, got 0."),
    ],
)
def test_bad_limits_are_named_when_the_budget_is_made(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(SearchError) as error:
        Budget(**limits)
    assert message in str(error.value)


class Slow(tune.Trainable):
    """0.1 seconds a step, for ever."""

    def setup(self, config: dict[str, Any]) -> None:
        self.steps = 0

    def step(self) -> dict[str, Any]:
        time.sleep(0.1)
        self.steps += 1
        return {"loss": 1 / self.steps}

    def save_checkpoint(self, folder: str) -> None:
        Path(folder, "steps").write_text(str(self.steps))

    def reset_config(self, config: dict[str, Any]) -> bool:
        self.setup(config)
        return True


class Watch(tune.Callback):
    """What Ray Tune tells its callbacks."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.complete: list[str] = []
        self.statuses: dict[str, str] = {}
        self.started_late: list[str] = []
        self.over = lambda: False

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        (self.started_late if self.over() else self.started).append(trial.trial_id)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.complete.append(trial.trial_id)

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        self.statuses = {trial.trial_id: trial.status for trial in trials}


@pytest.fixture
def no_loggers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray Tune's own loggers leave files open when a stopper ends a run."""
    monkeypatch.setenv("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")


def tuner(tmp_path: Path, stop: tune.Stopper, callbacks: list[tune.Callback], **config: Any) -> tune.Tuner:
    return tune.Tuner(
        Slow,
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=50, search_alg=Random(), **config),
        run_config=tune.RunConfig(
            storage_path=str(tmp_path),
            stop=stop,
            callbacks=callbacks,
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1, checkpoint_at_end=True, num_to_keep=2),
            verbose=0,
        ),
    )


@pytest.mark.usefixtures("cluster", "no_loggers")
def test_alone_in_a_plain_tuner_a_spent_budget_ends_the_run(tmp_path: Path) -> None:
    watch = Watch()
    results = tuner(tmp_path, Budget(gpu_hours=0.6 / HOUR, gpus_per_trial=1), [watch]).fit()
    assert len(watch.started) <= 2
    assert len(results) < 50
    assert set(watch.statuses.values()) == {"TERMINATED"}


@pytest.mark.usefixtures("cluster", "no_loggers")
@pytest.mark.parametrize("reuse", [False, True])
def test_past_the_budget_nothing_starts_and_what_runs_is_checkpointed_and_stopped(tmp_path: Path, reuse: bool) -> None:
    budget, watch = Budget(gpu_hours=0.6 / HOUR, gpus_per_trial=1), Watch()
    watch.over = lambda: budget.reason is not None

    class UntilSaved(tune.Stopper, tune.Callback):
        """Ends the run when nothing runs any more."""

        quiet = False

        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            return budget(trial_id, result)

        def stop_all(self) -> bool:
            return self.quiet

        def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
            self.quiet = watch.over() and all(trial.status != Trial.RUNNING for trial in trials)

    until = UntilSaved()
    scheduler = Closing(None, closed=watch.over)
    results = tuner(tmp_path, until, [watch, until], scheduler=scheduler, reuse_actors=reuse).fit()
    assert watch.started
    assert watch.started_late == []
    assert sorted(watch.complete) == sorted(watch.started)
    assert len(results) <= 4
    for result in results:
        if result.metrics and "training_iteration" in result.metrics:
            assert result.checkpoint is not None
            saved = Path(result.checkpoint.path, "steps").read_text()
            assert int(saved) == result.metrics["training_iteration"]
