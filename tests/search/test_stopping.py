"""When trials end: the rules on curves of every shape, the stoppers as Ray Tune asks them and in plain Tuners."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray import cloudpickle, tune
from ray.tune.stopper import CombinedStopper, MaximumIterationStopper

from search import SearchError
from search.stopping.budget import Budget
from search.stopping.rules import Mode, Multiple, Plateau
from search.stopping.stoppers import Stoppers
from search.stopping.trials import Diverged, Length, Patience, full_length

FALLING = [1 / n for n in range(1, 41)]


def ends_at(curve: list[float], *, reports: int, delta: float = 0.0, smooth: int = 1, mode: Mode = "min") -> int | None:
    """The report at which the rule ends a curve, None if it runs through."""
    rule = Plateau(reports, delta, smooth, mode)
    return next((n for n, value in enumerate(curve, 1) if rule.reached(value)), None)


def ask(stopper: tune.Stopper, curve: list[Any], trial: str = "t", name: str = "loss", first: int = 1) -> list[bool]:
    """What a stopper says to the reports of a trial."""
    return [stopper(trial, {"training_iteration": n, name: value}) for n, value in enumerate(curve, first)]


# Lengths


@pytest.mark.parametrize(
    ("config", "default", "length"), [({"training_iteration": 3}, 9, 3), ({}, 9, 9), ({"lr": 1}, None, None)]
)
def test_a_trials_own_length_comes_before_that_of_all(config: dict[str, Any], default: int | None, length: int) -> None:
    assert full_length(config, default) == length


def test_each_trial_ends_at_its_own_length() -> None:
    stopper = Length(4)
    own = [stopper("a", {"training_iteration": n, "config": {"training_iteration": 2}}) for n in (1, 2)]
    common = [stopper("b", {"training_iteration": n, "config": {}}) for n in (1, 2, 3, 4)]
    assert own == [False, True]
    assert common == [False, False, False, True]
    assert not Length()("c", {"training_iteration": 10**6, "config": {}})


# Patience: the rule


@given(st.integers(1, 8), st.integers(1, 7), st.integers(0, 20))
def test_a_flat_curve_ends_after_as_many_reports_as_patience_has(reports: int, smooth: int, before: int) -> None:
    falling = [float(before - n) for n in range(before)]
    # The last gain is seen when the median has reached the floor: just past half a window after the curve did.
    floor = max(before + smooth // 2 + 1, smooth)
    assert ends_at([*falling, *[0.0] * 60], reports=reports, smooth=smooth) == floor + reports


@given(st.floats(0.01, 10), st.integers(1, 6), st.integers(1, 7), st.floats(-100, 100))
def test_a_curve_that_gains_enough_at_every_report_never_ends(
    gain: float, reports: int, smooth: int, start: float
) -> None:
    curve = [start - gain * n for n in range(50)]
    assert ends_at(curve, reports=reports, delta=gain * 0.99, smooth=smooth) is None


@given(st.integers(1, 10), st.integers(1, 10))
def test_small_gains_add_up_and_count_once_their_sum_is_large_enough(reports: int, needed: int) -> None:
    # Steps of 1 with a delta of `needed`: a gain at every `needed`th report.
    ended = ends_at([float(-n) for n in range(80)], reports=reports, delta=float(needed))
    assert (ended is None) == (needed <= reports)


@given(st.integers(2, 6), st.data())
def test_a_rise_that_is_shorter_than_the_patience_is_not_an_end(reports: int, data: st.DataObject) -> None:
    at, height = data.draw(st.integers(5, 30)), data.draw(st.floats(0, 1000))
    bump = [value + height * (at <= n < at + reports - 1) for n, value in enumerate(FALLING)]
    assert ends_at(bump, reports=reports) is None


@given(st.sets(st.integers(0, 9)), st.lists(st.floats(-1000, 1000), min_size=10, max_size=10))
def test_lone_spikes_leave_no_trace_in_the_smoothed_curve(at: set[int], heights: list[float]) -> None:
    # At most every fourth report is off, up or down; the median of three never sees it.
    spiked = [value + heights[n // 4] * (n % 4 == 2 and n // 4 in at) for n, value in enumerate(FALLING)]
    assert ends_at(spiked, reports=4, smooth=3) is None


def test_one_lucky_report_is_not_a_mark_that_the_trial_has_to_beat() -> None:
    lucky = [0.0, *FALLING]
    assert ends_at(lucky, reports=5, smooth=1) == 6
    assert ends_at(lucky, reports=5, smooth=5) is None


@pytest.mark.parametrize("seed", range(20))
def test_noise_on_a_curve_that_improves_does_not_end_it_and_on_a_plateau_it_does(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.02, 60)
    improving = [1 - 0.015 * n + float(noise[n]) for n in range(60)]
    plateau = [max(1 - 0.05 * n, 0.2) + float(noise[n]) for n in range(60)]
    assert ends_at(improving, reports=6, smooth=5) is None
    ended = ends_at(plateau, reports=6, delta=0.03, smooth=5)
    assert ended is not None
    assert ended > 17


@given(st.lists(st.floats(-1e6, 1e6), max_size=40), st.integers(1, 5), st.floats(0, 10), st.integers(1, 5))
def test_more_is_better_is_the_mirror_of_less_is_better(
    curve: list[float], reports: int, delta: float, smooth: int
) -> None:
    up = ends_at([-v for v in curve], reports=reports, delta=delta, smooth=smooth, mode="max")
    assert up == ends_at(curve, reports=reports, delta=delta, smooth=smooth)


# Patience: the stopper


def test_patience_keeps_trials_apart_and_says_why_it_ended_one() -> None:
    stopper = Patience(2, metric="loss", mode="min", smooth=1)
    for n in range(1, 4):
        flat = stopper("flat", {"training_iteration": n, "loss": 0.5})
        falling = stopper("falling", {"training_iteration": n, "loss": 1 / n})
    assert (flat, falling) == (True, False)
    assert stopper.reasons == {"flat": "no gain in 'loss' for 2 reports, from 0.5"}
    assert not stopper.stop_all()


def test_patience_lets_every_trial_come_to_the_end_of_its_grace() -> None:
    said = ask(Patience(2, metric="loss", mode="min", smooth=1, grace=6), [1.0] * 7)
    assert said == [False] * 5 + [True] * 2


def test_patience_passes_over_reports_without_a_usable_value() -> None:
    said = ask(Patience(2, metric="loss", mode="min", smooth=1), [1.0, None, math.nan, "a", 1.0, 1.0])
    assert said == [False] * 5 + [True]


def test_reports_that_a_trial_makes_again_after_a_crash_do_not_count_twice() -> None:
    patience = Patience(3, metric="loss", mode="min", smooth=1)
    assert not any(ask(patience, FALLING[:10]) + ask(patience, FALLING[:20]))
    diverged = Diverged("loss", factor=2)
    assert not any(ask(diverged, [1.0, 9.0]) + ask(diverged, [9.0], first=2) + ask(diverged, [1.0], first=3))


def test_patience_takes_metric_and_mode_of_a_search_unless_it_has_its_own() -> None:
    bound = Patience(1, smooth=1).for_metric("val/psnr", "max")
    nested = [bound("t", {"training_iteration": n, "val": {"psnr": v}}) for n, v in enumerate([1.0, 2.0, 2.0], 1)]
    assert nested == [False, False, True]
    own = Patience(1, metric="loss", mode="min").for_metric("val/psnr", "max")
    assert (own.metric, own.mode) == ("loss", "min")


def test_a_copy_for_a_search_has_seen_no_trials() -> None:
    patience = Patience(2, metric="loss", mode="min", smooth=1)
    ask(patience, [1.0] * 3)
    fresh = patience.for_metric("loss", "min")
    assert ask(fresh, [1.0, 1.0]) == [False, False]
    assert not fresh.reasons


@pytest.mark.parametrize("stopper", [Patience(2), Diverged()])
def test_without_a_metric_a_stopper_says_how_to_give_it_one(stopper: tune.Stopper) -> None:
    with pytest.raises(SearchError, match=r"to know which value to watch.*metric=\"...\", mode=\"min\"\)"):
        stopper("t", {"training_iteration": 1, "loss": 1.0})


# Diverged


@given(st.lists(st.floats(0.01, 1000), min_size=1, max_size=30), st.floats(1.1, 20), st.integers(1, 4))
def test_a_loss_ends_a_trial_when_it_was_past_the_multiple_of_its_best_so_often_in_a_row(
    losses: list[float], factor: float, reports: int
) -> None:
    rule = Multiple(factor, reports)
    beyond = [n > 0 and v > factor * min(losses[:n]) for n, v in enumerate(losses)]
    expected = [n + 1 >= reports and all(beyond[n + 1 - reports : n + 1]) for n in range(len(losses))]
    assert [rule.passed(value) for value in losses] == expected


@given(st.lists(st.floats(-1000, 0), min_size=1, max_size=5), st.lists(st.floats(-1e9, 1e9), max_size=20))
def test_once_a_loss_was_not_positive_no_multiple_of_it_ends_the_trial(low: list[float], after: list[float]) -> None:
    assert not any(ask(Diverged("loss", factor=2, reports=1), [*low, *after]))


def test_a_spike_of_one_report_is_not_an_end_and_two_in_a_row_are() -> None:
    stopper = Diverged("loss", factor=10)
    assert ask(stopper, [1.0, 11.0, 1.0, 9.0, 9.0, 11.0, 12.0]) == [False] * 6 + [True]
    assert stopper.reasons == {"t": "'loss' was 12 at iteration 7, past 10 times its best, 1"}
    assert not stopper.failures


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
@pytest.mark.parametrize("settings", [{}, {"factor": None}, {"grace": 100}, {"mode": "max"}])
def test_a_loss_that_is_no_number_ends_the_trial_at_once_as_failed(value: Any, settings: dict[str, Any]) -> None:
    stopper = Diverged(["loss_g", "loss_d"], **settings)
    assert stopper("t", {"training_iteration": 3, "loss_g": 1.0, "loss_d": value})
    assert stopper.failures == {"t": f"'loss_d' was {float(value)} at iteration 3"}


def test_of_several_losses_one_that_diverges_is_enough() -> None:
    stopper = Diverged(["a", "b"], factor=2)
    said = [stopper("t", {"training_iteration": n, "a": 1.0, "b": b}) for n, b in enumerate([1.0, 3.0, 3.0], 1)]
    assert said == [False, False, True]


def test_what_is_missing_or_no_number_by_its_kind_does_not_diverge() -> None:
    assert not any(ask(Diverged("loss"), [0.01, None, "nan", True, True, [math.nan]]))
    assert not Diverged("loss")("t", {"training_iteration": 1})


def test_the_multiple_is_not_asked_about_in_the_grace_but_the_best_is_known_from_there() -> None:
    assert ask(Diverged("loss", factor=2, grace=4), [1.0, 5.0, 5.0, 5.0]) == [False, False, False, True]


def test_a_metric_of_which_more_is_better_has_no_multiple() -> None:
    assert not any(ask(Diverged().for_metric("loss", "max"), [1.0, 100.0, 100.0, 100.0]))


# Several


def test_several_stoppers_are_all_asked_about_every_report() -> None:
    asked: list[int] = []

    class Counting(tune.Stopper):
        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            asked.append(result["training_iteration"])
            return False

        def stop_all(self) -> bool:
            return False

    stopper = Stoppers([Patience(1, metric="loss", mode="min", smooth=1), Counting()])
    assert ask(stopper, [1.0, 1.0, 1.0]) == [False, True, True]
    assert asked == [1, 2, 3]


def test_what_a_search_was_given_is_copied_and_told_the_metric() -> None:
    given: Any = [CombinedStopper(Patience(1, smooth=1), Diverged()), [MaximumIterationStopper(3)], Budget(gpu_hours=1)]
    stopper = Stoppers.of(given, "psnr", "max", gpus=0.5)
    assert [type(one) for one in stopper.stoppers] == [Patience, Diverged, MaximumIterationStopper, Budget]
    assert stopper.stoppers[2] is not given[1][0]
    assert ask(Stoppers.of(given[:1], "psnr", "max"), [1.0, 2.0, 2.0], name="psnr") == [False, False, True]
    assert stopper.budget is not None
    assert stopper.budget.gpus_per_trial == 0.5
    assert Stoppers.of(None, "psnr", "max").stoppers == ()


def test_several_stoppers_tell_why_a_trial_ended_and_which_failed() -> None:
    stopper = Stoppers.of([Patience(1, smooth=1), Diverged()], "loss", "min")
    ask(stopper, [1.0, 1.0], trial="flat")
    ask(stopper, [math.nan], trial="nan")
    assert stopper.reason_for("flat") == "no gain in 'loss' for 1 reports, from 1"
    assert stopper.reason_for("nan") == "'loss' was nan at iteration 1"
    assert stopper.reason_for("other") is None
    assert set(stopper.failures) == {"nan"}
    assert stopper.reason is None


def test_a_stopper_that_ends_the_run_is_named() -> None:
    class Now(tune.Stopper):
        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            return False

        def stop_all(self) -> bool:
            return True

    stopper = Stoppers([Patience(1), Now()])
    assert stopper.stop_all()
    assert stopper.reason == "Now ended the run."


# Bad input


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Length(0), "Expected iterations to be a whole number from 1, got 0"),
        (lambda: Patience(0), "Expected reports to be a whole number from 1, got 0"),
        (lambda: Patience(2.5), "Expected reports to be a whole number from 1, got 2.5"),  # type: ignore[arg-type]
        (lambda: Patience(1, smooth=0), "Expected smooth to be a whole number from 1, got 0"),
        (lambda: Patience(1, grace=-1), "Expected grace to be a whole number from 0, got -1"),
        (lambda: Patience(1, delta=-0.1), "Expected 0 <= delta, finite, got delta=-0.1"),
        (lambda: Patience(1, delta=math.nan), "Expected 0 <= delta, finite, got delta=nan"),
        (lambda: Patience(1, metric="loss"), "Expected metric= and mode= together"),
        (lambda: Patience(1, metric="loss", mode="low"), 'mode being "min" or "max"'),  # type: ignore[arg-type]
        (lambda: Diverged(factor=1), "Expected a factor above 1, got 1"),
        (lambda: Diverged(reports=0), "Expected reports to be a whole number from 1, got 0"),
        (lambda: Diverged([]), "Expected the names of reported values to watch, got []"),
        (lambda: Diverged(""), "Expected the names of reported values to watch, got ''"),
        (lambda: Diverged(mode="low"), 'Expected mode to be "min" or "max", got \'low\''),  # type: ignore[arg-type]
        (lambda: Stoppers.of(5, "loss", "min"), "Expected stop to be a Ray Tune Stopper"),  # type: ignore[arg-type]
    ],
)
def test_bad_input_is_named_when_a_stopper_is_made(make: Any, message: str) -> None:
    with pytest.raises(SearchError) as error:
        make()
    assert str(error.value).startswith("Expected")
    assert message in str(error.value)


# On Ray


@pytest.mark.usefixtures("cluster")
def test_stoppers_work_alone_in_a_plain_tuner(tmp_path: Path) -> None:
    def curve(config: dict[str, Any]) -> None:
        for n in range(1, 13):
            tune.report({"loss": {"flat": 1.0, "falling": 1 / n, "nan": math.nan if n == 2 else 1 / n}[config["kind"]]})

    stopper = CombinedStopper(
        Length(8), Patience(3, metric="loss", mode="min", smooth=1), Diverged("loss", factor=None)
    )
    results = tune.Tuner(
        curve,
        param_space={"kind": tune.grid_search(["flat", "falling", "nan"])},
        run_config=tune.RunConfig(storage_path=str(tmp_path), stop=stopper, verbose=0),
    ).fit()
    ended = {r.config["kind"]: r.metrics["training_iteration"] for r in results if r.config and r.metrics}
    assert ended == {"flat": 4, "falling": 8, "nan": 2}


@pytest.mark.parametrize("stopper", [Length(3), Patience(2), Diverged(), Stoppers.of([Patience(2)], "loss", "min")])
def test_every_stopper_survives_pickling(stopper: tune.Stopper) -> None:
    assert type(cloudpickle.loads(cloudpickle.dumps(stopper))) is type(stopper)
