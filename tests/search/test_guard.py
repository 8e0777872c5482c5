"""Which reports are believed: asked of the guard directly, as Ray Tune asks it."""

import math
from typing import Any

import pytest
from ray import tune
from ray.tune.utils import flatten_dict

from search.running.guard import Guard
from search.stopping.budget import Budget
from search.stopping.stoppers import Stoppers
from search.stopping.trials import Diverged


def report(iteration: int = 1, **values: Any) -> dict[str, Any]:
    return {"training_iteration": iteration, "trial_id": "t", "done": False, "config": {"loss": 1}, **values}


def test_a_good_report_goes_on_until_the_trial_is_complete() -> None:
    guard = Guard("loss", iterations=2)
    assert not guard("t", report(1, loss=1.0))
    assert guard("t", report(2, loss=1.0))
    assert guard.complete == {"t"}
    assert not guard.failures


def test_a_trial_that_ends_by_itself_is_complete() -> None:
    guard = Guard("loss", iterations=None)
    assert guard("t", report(1, loss=1.0, done=True))
    assert guard.complete == {"t"}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "low", None, True])
def test_a_metric_that_is_no_finite_number_ends_the_trial_as_failed(value: Any) -> None:
    guard = Guard("loss", iterations=2)
    assert guard("t", report(2, loss=value))
    assert "the metric 'loss' was" in guard.failures["t"]
    assert "at iteration 2" in guard.failures["t"]
    assert not guard.complete
    assert not guard.stop_all()


def test_a_metric_missing_from_the_first_report_ends_the_run_and_names_what_is_there() -> None:
    guard = Guard("val_psnrr", iterations=None)
    assert guard("t", report(1, val_psnr=1.0, loss=2.0))
    assert guard.stop_all()
    assert guard.verdict is not None
    assert "the first report holds loss, val_psnr. Did you mean metric='val_psnr'?" in guard.verdict


def test_a_metric_missing_from_one_trial_takes_only_that_trial_down() -> None:
    guard = Guard("loss", iterations=None)
    assert not guard("a", report(1, loss=1.0))
    assert guard("b", report(3, other=1.0))
    assert "missing from the report at iteration 3" in guard.failures["b"]
    assert not guard.stop_all()


@pytest.mark.parametrize("bad", [{"val/loss": math.nan}, {"val": {"loss": math.nan}}])
def test_a_scheduler_never_sees_a_metric_that_is_no_number(bad: dict[str, Any]) -> None:
    result = report(1, other=2, **bad)
    assert Guard("val/loss", None)("t", result)
    assert "val/loss" not in flatten_dict(result)
    assert result["other"] == 2


def test_a_nested_metric_is_found_under_its_joined_name() -> None:
    guard = Guard("val/loss", iterations=None)
    assert not guard("t", report(1, val={"loss": 1.0}))


class AtThree(tune.Stopper):
    """Ends a trial at the loss 3, and the whole run at the loss 9."""

    def __init__(self) -> None:
        self.over = False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        self.over = self.over or result["loss"] == 9
        return bool(result["loss"] == 3)

    def stop_all(self) -> bool:
        return self.over


def test_the_users_own_stopper_is_asked_about_reports_in_order() -> None:
    guard = Guard("loss", None, Stoppers([AtThree()]))
    assert not guard("t", report(1, loss=2))
    assert guard("t", report(2, loss=3))
    assert not guard.complete
    assert not guard.stop_all()


def test_once_a_stopper_ends_the_run_trials_come_to_their_next_report_and_are_not_counted_as_stopped() -> None:
    guard = Guard("loss", 4, Stoppers([AtThree()]))
    assert guard("a", report(1, loss=9))
    assert guard("b", report(1, loss=2))
    assert guard("c", report(4, loss=2))
    assert (guard.braked, guard.complete) == ({"a", "b"}, {"c"})
    assert guard.brake_reason == "AtThree ended the run."
    assert not guard.stop_all()  # that is for the one who sees whether everything is saved


def test_a_trial_ends_at_the_length_that_its_method_gave_it() -> None:
    guard = Guard("loss", iterations=2)
    own = report(2, loss=1.0) | {"config": {"training_iteration": 6}}
    assert not guard("t", own)
    assert guard("t", own | {"training_iteration": 6})
    assert guard.complete == {"t"}


def test_a_last_report_whose_other_losses_are_no_numbers_is_a_failure_not_an_end() -> None:
    guard = Guard("loss", 2, Stoppers.of(Diverged("loss_g"), "loss", "min"))
    assert guard("t", report(2, loss=1.0, loss_g=math.nan))
    assert "'loss_g' was nan" in guard.failures["t"]
    assert not guard.complete


@pytest.mark.parametrize("report_of", [{"loss": math.nan}, {"loss": 1.0}], ids=["unusable", "last"])
def test_what_a_report_has_cost_counts_whatever_becomes_of_its_trial(report_of: dict[str, Any]) -> None:
    guard = Guard("loss", 1, Stoppers.of(Budget(gpu_hours=0.5), "loss", "min", gpus=1.0))
    assert guard("t", report(1, time_this_iter_s=3600.0, **report_of))
    assert "Budget of 0.5 GPU-hours is spent" in str(guard.brake_reason)
