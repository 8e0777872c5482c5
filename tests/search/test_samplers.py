"""What samplers add to the contract in test_methods.py: points, models, what they are shown, define-by-run spaces."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from ray import tune

from search import Bayesian, Random, SearchError
from search.samplers import OptunaSearcher, Sobol
from search.suggestion import Suggestion

SPACE = {
    "lr": tune.loguniform(1e-5, 1e-1),
    "width": tune.randint(4, 65),
    "net": {"norm": tune.choice(["batch", None])},
    "data": "constant",
}


def gp(**settings: Any) -> Bayesian:
    return Bayesian("gp", **({"startup": 4} | settings))


def tpe(**settings: Any) -> Bayesian:
    return Bayesian("tpe", **({"startup": 4} | settings))


def cmaes(**settings: Any) -> Bayesian:
    return Bayesian("cmaes", **({"startup": 4} | settings))


KINDS = pytest.mark.parametrize("kind", [Random, Sobol, gp, tpe, cmaes])
MODELS = pytest.mark.parametrize("kind", [gp, tpe, cmaes])


def ready(
    kind: Callable[..., OptunaSearcher], mode: str = "min", domains: dict[str, Any] = SPACE, **settings: Any
) -> OptunaSearcher:
    searcher = kind(**settings)
    assert searcher.set_search_properties("loss", mode, domains)
    return searcher


def loss_of(config: dict[str, Any]) -> float:
    return (math.log10(config["lr"]) + 3) ** 2 + (config["net"]["norm"] is None)


def play(searcher: OptunaSearcher, trials: range, full: int = 3) -> list[dict[str, Any]]:
    """Trials one after another: every fourth fails, every third of the others is stopped early."""
    configs = []
    for number in trials:
        trial = f"t{number}"
        config: Any = searcher.suggest(trial)
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
def test_no_two_suggestions_are_alike(kind: Any) -> None:
    rates = [config["lr"] for config in play(ready(kind), range(12))]
    assert len(set(rates)) == 12


@KINDS
def test_points_are_tried_first_and_sampled_where_they_are_silent(kind: Any) -> None:
    searcher = ready(kind, points_to_evaluate=[{"lr": 1e-3, "width": 7, "net": {"norm": None}}, {"width": 9}])
    first, second, third = play(searcher, range(3))
    assert (first["lr"], first["width"], first["net"]) == (1e-3, 7, {"norm": None})
    assert second["width"] == 9
    assert third["width"] not in (7, 9) or third["lr"] != 1e-3
    assert [told.suggestion.reason == "point" for told in searcher.told.values()] == [True, True, False]


@KINDS
@pytest.mark.parametrize(("point", "fault"), [({"widht": 9}, "got 'widht'"), ({"width": 65}, "got 65")])
def test_a_point_off_the_space_is_named_before_anything_runs(kind: Any, point: dict[str, Any], fault: str) -> None:
    with pytest.raises(SearchError, match=fault):
        ready(kind, points_to_evaluate=[point])


@KINDS
def test_what_is_running_is_not_suggested_again_while_there_is_anything_else(kind: Any) -> None:
    searcher = ready(kind, domains={"a": tune.choice([1, 2]), "b": tune.randint(0, 3)})
    for number in range(4):
        searcher.suggest(f"told {number}")
        searcher.on_trial_complete(f"told {number}", {"loss": 1.0, "training_iteration": 1})
    configs: list[Any] = [searcher.suggest(f"t{number}") for number in range(6)]
    assert {(config["a"], config["b"]) for config in configs} == {(a, b) for a in (1, 2) for b in range(3)}
    assert searcher.suggest("more"), "with everything running, a seventh repeats one of them"


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


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_model_is_shown_stopped_trials_at_what_they_would_have_come_to(mode: str) -> None:
    searcher = ready(gp, mode=mode, iterations=3)
    sign = 1.0 if mode == "min" else -1.0
    for trial, curve in {"full": [9.0, 6.0, 5.0], "stopped": [8.0], "failed": [], "running": [7.0]}.items():
        searcher.suggest(trial)
        for iteration, loss in enumerate(curve, start=1):
            searcher.on_trial_result(trial, {"loss": sign * loss, "training_iteration": iteration})
        if trial != "running":
            last = {"loss": sign * curve[-1], "training_iteration": len(curve)} if curve else None
            searcher.on_trial_complete(trial, last, error=not curve)
    assert [(o.loss, o.running) for o in searcher.observations()] == [
        (5.0, False),
        (4.0, False),  # the finished trial gained 4 after its first report
        (5.0, False),  # a failure counts as the worst
        (3.0, True),
    ]


@MODELS
def test_startup_trials_are_as_many_as_asked_for_however_many_run_at_once(kind: Any) -> None:
    searcher = ready(kind, startup=4, seed=3)
    for number in range(4):
        searcher.suggest(f"t{number}")
    for number in range(2):  # two are told, two still run: that makes four all the same
        searcher.on_trial_complete(f"t{number}", {"loss": float(number), "training_iteration": 1})
    searcher.suggest("modelled")
    assert [told.suggestion.reason for told in searcher.told.values()] == ["start-up"] * 4 + ["model"]


@MODELS
def test_workers_that_ask_at_once_are_sent_to_different_places(kind: Any) -> None:
    searcher = ready(kind)
    play(searcher, range(12))
    configs: list[Any] = [searcher.suggest(f"together {i}") for i in range(6)]
    places = {(round(math.log10(c["lr"]), 1), c["width"] // 8, c["net"]["norm"]) for c in configs}
    assert len(places) >= 5


@MODELS
def test_the_model_finds_better_points_than_chance(kind: Any) -> None:
    def typical(kind: Any, seed: int) -> float:
        searcher = ready(kind, seed=seed, domains=SPACE | {"more": tune.uniform(0, 1)})
        losses = []
        for number in range(36):
            config: Any = searcher.suggest(f"t{number}")
            losses.append(loss_of(config) + (config["more"] - 0.5) ** 2)
            searcher.on_trial_complete(f"t{number}", {"loss": losses[-1], "training_iteration": 1})
        return float(np.median(losses[12:]))

    assert sum(typical(kind, seed) < typical(Random, seed) for seed in range(5)) == 5


def test_sobol_points_fill_the_space_more_evenly_than_chance() -> None:
    searcher = ready(Sobol, domains={"x": tune.uniform(0, 1), "n": tune.randint(0, 8), "c": tune.choice(list("abcd"))})
    configs: list[Any] = [searcher.suggest(f"t{number}") for number in range(64)]
    assert sorted(int(64 * config["x"]) for config in configs) == list(range(64))
    assert sorted(config["n"] for config in configs) == sorted(list(range(8)) * 8)
    assert sorted(config["c"] for config in configs) == sorted("abcd" * 16)


def by_run(trial: optuna.Trial) -> dict[str, Any]:
    """A space in which momentum belongs to one of two optimizers, and a rate has another range with each."""
    name = trial.suggest_categorical("opt/name", ["sgd", "adam"])
    if name == "sgd":
        trial.suggest_float("opt/momentum", 0.1, 0.9)
    trial.suggest_float("lr", 1e-4 if name == "adam" else 1e-2, 1e-1, log=True)
    return {"opt": {"nesterov": False}, "epochs": 3}


@KINDS
def test_a_define_by_run_space_gives_each_trial_the_parameters_of_its_branch(kind: Any, tmp_path: Path) -> None:
    searcher = ready(kind, domains={"data": "constant"}, space=by_run)
    seen = set()
    for number in range(24):
        config: Any = searcher.suggest(f"t{number}")
        seen.add(config["opt"]["name"])
        assert ("momentum" in config["opt"]) == (config["opt"]["name"] == "sgd")
        assert (1e-2 if config["opt"]["name"] == "sgd" else 1e-4) <= config["lr"] <= 1e-1
        assert (config["opt"]["nesterov"], config["epochs"], config["data"]) == (False, 3, "constant")
        result = {"loss": -math.log10(config["lr"]), "training_iteration": 1}
        searcher.on_trial_complete(f"t{number}", result)
    assert seen == {"sgd", "adam"}
    searcher.save(str(tmp_path / "state"))
    again = ready(kind, domains={"data": "constant"}, space=by_run)
    again.restore(str(tmp_path / "state"))
    assert again.config("t5") == searcher.config("t5")
    assert again.suggest("next") == searcher.suggest("next")


@KINDS
def test_points_of_a_define_by_run_space_are_tried_first(kind: Any) -> None:
    points = [{"opt": {"name": "sgd", "momentum": 0.5}, "lr": 0.05}, {"opt": {"name": "adam"}}]
    searcher = ready(kind, domains={}, space=by_run, points_to_evaluate=points)
    first: Any = searcher.suggest("a")
    second: Any = searcher.suggest("b")
    assert (first["opt"]["momentum"], first["lr"]) == (0.5, 0.05)
    assert second["opt"]["name"] == "adam"


def test_every_axis_of_a_define_by_run_space_is_known_before_it_runs() -> None:
    searcher = ready(Random, domains={"data": "constant"}, space=by_run)
    described = searcher.whole_space(searcher.space).describe()
    assert described["lr"] == {"type": "loguniform", "low": 1e-4, "high": 1e-1}
    assert described["opt/momentum"] == {"type": "uniform", "low": 0.1, "high": 0.9}
    assert described["data"]["value"] == "constant"
    with pytest.raises(SearchError, match=r"\['lr'\]"):
        ready(Random, domains={"lr": tune.uniform(0, 1)}, space=by_run)


def test_what_a_suggestion_remembers_is_json() -> None:
    searcher = ready(gp, domains={}, space=by_run)
    searcher.suggest("t")
    told = searcher.told["t"].suggestion
    assert isinstance(told, Suggestion)
    assert json.loads(json.dumps(told.notes)) == told.notes


def test_the_full_length_is_read_from_the_stop_criterion_of_a_plain_tuner() -> None:
    searcher = Random()
    searcher.set_search_properties("loss", "min", SPACE, stop={"training_iteration": 4})
    assert searcher.iterations == 4


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"kind": "grid"}, "'gp', 'tpe', 'cmaes', got 'grid'"),
        ({"startup": 0}, "startup=0"),
        ({"seed": -1}, "got -1"),
        ({"warm_start": "runs/a"}, "Put it in brackets"),
    ],
)
def test_a_bayesian_search_that_cannot_be_is_named_at_construction(settings: dict[str, Any], rule: str) -> None:
    with pytest.raises(SearchError, match=rule):
        Bayesian(**settings)
