"""The contract of every sampler, and the truth that Optuna is told."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray import tune

from search import Bayesian, Random, SearchError
from search.samplers import OptunaSearcher

SPACE = {
    "lr": tune.loguniform(1e-5, 1e-1),
    "width": tune.randint(4, 65),
    "net": {"norm": tune.choice(["batch", None])},
    "data": "constant",
}
KINDS = pytest.mark.parametrize("kind", [Random, Bayesian])


def ready(kind: Callable[..., OptunaSearcher], mode: str = "min", **settings: Any) -> OptunaSearcher:
    searcher = kind(**settings)
    assert searcher.set_search_properties("loss", mode, SPACE)
    return searcher


def loss_of(config: dict[str, Any]) -> float:
    return (math.log10(config["lr"]) + 3) ** 2 + (config["net"]["norm"] is None)


def play(searcher: OptunaSearcher, trials: range, full: int = 3) -> list[dict[str, Any]]:
    """Trials one after another: every fourth fails, every third of the others is stopped early."""
    configs = []
    for number in trials:
        trial = f"t{number}"
        config = searcher.suggest(trial)
        configs.append(config)
        if number % 4 == 3:
            searcher.on_trial_complete(trial, None, error=True)
            continue
        last = 1 if number % 3 == 2 else full
        for iteration in range(1, last):
            searcher.on_trial_result(trial, {"loss": loss_of(config) + 1, "training_iteration": iteration})
        searcher.on_trial_complete(trial, {"loss": loss_of(config), "training_iteration": last})
    return configs


@KINDS
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31 - 1))
def test_suggestions_keep_inside_the_space(kind: Any, seed: int) -> None:
    for config in play(ready(kind, seed=seed), range(12)):
        assert 1e-5 <= config["lr"] <= 1e-1
        assert config["width"] in range(4, 65)
        assert config["net"]["norm"] in ("batch", None)
        assert config["data"] == "constant"


@KINDS
def test_no_two_suggestions_are_alike(kind: Any) -> None:
    rates = [config["lr"] for config in play(ready(kind), range(12))]
    assert len(set(rates)) == 12


@KINDS
def test_the_same_seed_and_the_same_events_give_the_same_suggestions(kind: Any) -> None:
    assert play(ready(kind, seed=5), range(20)) == play(ready(kind, seed=5), range(20))
    assert play(ready(kind, seed=5), range(3)) != play(ready(kind, seed=6), range(3))


@KINDS
def test_a_restored_searcher_goes_on_as_if_nothing_had_happened(kind: Any, tmp_path: Path) -> None:
    first = ready(kind, seed=1)
    play(first, range(13))
    running = first.suggest("running")
    first.save(str(tmp_path / "state"))
    second = ready(kind)
    second.restore(str(tmp_path / "state"))
    ending = {"loss": loss_of(running), "training_iteration": 3}
    for searcher in (first, second):
        searcher.on_trial_complete("running", ending)
    assert play(first, range(20, 28)) == play(second, range(20, 28))


@KINDS
@pytest.mark.parametrize("value", [math.nan, math.inf, "0.1", True, None])
def test_a_metric_that_is_no_finite_number_is_a_failure_and_never_a_value(kind: Any, value: Any) -> None:
    searcher = ready(kind)
    searcher.suggest("t")
    searcher.on_trial_result("t", {"loss": value, "training_iteration": 1})
    searcher.on_trial_complete("t", {"loss": value, "training_iteration": 2})
    assert [(told.state, told.value) for told in searcher.told.values()] == [("FAIL", None)]
    assert searcher.suggest("next")


@KINDS
def test_points_are_tried_first_and_sampled_where_they_are_silent(kind: Any) -> None:
    searcher = ready(kind, points_to_evaluate=[{"lr": 1e-3, "width": 7, "net": {"norm": None}}, {"width": 9}])
    first, second, third = play(searcher, range(3))
    assert (first["lr"], first["width"], first["net"]) == (1e-3, 7, {"norm": None})
    assert second["width"] == 9
    assert third["width"] not in (7, 9) or third["lr"] != 1e-3


@KINDS
def test_an_unknown_parameter_in_a_point_is_named_before_anything_runs(kind: Any) -> None:
    with pytest.raises(SearchError, match="got 'widht'"):
        ready(kind, points_to_evaluate=[{"widht": 9}])


@KINDS
def test_every_trial_has_a_seed_of_its_own_unless_the_space_gives_one(kind: Any) -> None:
    seeds = [config["seed"] for config in play(ready(kind), range(10))]
    assert len(set(seeds)) == 10
    searcher = kind()
    searcher.set_search_properties("loss", "min", {**SPACE, "seed": 7})
    assert searcher.suggest("t")["seed"] == 7


@pytest.mark.parametrize(("mode", "score", "value"), [("min", "best", 1), ("min", "last", 3), ("max", "best", 4)])
def test_what_counts_is_the_best_or_the_last_report_as_the_search_says(mode: str, score: Any, value: float) -> None:
    searcher = ready(Random, mode=mode, score=score, iterations=3)
    searcher.suggest("t")
    for iteration, loss in enumerate([4.0, 1.0], start=1):
        searcher.on_trial_result("t", {"loss": loss, "training_iteration": iteration})
    searcher.on_trial_complete("t", {"loss": 3.0, "training_iteration": 3})
    assert searcher.told["t"].value == value


def test_a_trial_stopped_early_is_pruned_with_what_it_reported_on_the_way() -> None:
    searcher = ready(Random, iterations=5)
    searcher.suggest("t")
    searcher.on_trial_result("t", {"loss": 4.0, "training_iteration": 1})
    searcher.on_trial_complete("t", {"loss": 3.0, "training_iteration": 2})
    assert searcher.told["t"].state == "PRUNED"
    assert searcher.told["t"].reports == {1: 4.0, 2: 3.0}


def test_the_full_length_is_read_from_the_stop_criterion_of_a_plain_tuner() -> None:
    searcher = Random()
    searcher.set_search_properties("loss", "min", SPACE, stop={"training_iteration": 4})
    assert searcher.iterations == 4


def test_startup_trials_are_as_many_as_asked_for_however_many_run_at_once() -> None:
    bayesian, random = ready(Bayesian, startup=4, seed=3), ready(Random, seed=3)
    together = [searcher.suggest(f"t{i}") for i in range(4) for searcher in (bayesian, random)]
    assert together[0::2] == together[1::2]
    for number in range(2):  # two are told, two still run: that makes four all the same
        bayesian.on_trial_complete(f"t{number}", {"loss": float(number), "training_iteration": 1})
    assert bayesian.suggest("modelled") != random.suggest("random")


def test_the_model_finds_better_points_than_chance() -> None:
    def best(kind: Any, seed: int) -> float:
        searcher = ready(kind, seed=seed)
        losses = []
        for number in range(40):
            config = searcher.suggest(f"t{number}")
            losses.append(loss_of(config))
            searcher.on_trial_complete(f"t{number}", {"loss": losses[-1], "training_iteration": 1})
        return sum(sorted(losses[8:])[:16])

    wins = sum(best(Bayesian, seed) < best(Random, seed) for seed in range(10))
    assert wins >= 8


def test_a_searcher_without_a_space_says_what_it_needs() -> None:
    with pytest.raises(SearchError, match="Give metric, mode and param_space"):
        Random().suggest("t")


@pytest.mark.parametrize(("settings", "rule"), [({"kind": "grid"}, "'tpe', got 'grid'"), ({"startup": 0}, "startup=0")])
def test_a_bayesian_search_that_cannot_be_is_named_at_construction(settings: dict[str, Any], rule: str) -> None:
    with pytest.raises(SearchError, match=rule):
        Bayesian(**settings)
