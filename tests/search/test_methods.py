"""The contract of every search method: what a run, a plain Tuner and a resume rely on."""

from __future__ import annotations

import copy
import json
import logging
import math
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray import tune
from ray.tune.search import Searcher

from search import Bayesian, JitteredGrid, Random, Refine, Retest, SearchError, Sobol, Stage, Stages
from search.method import SearchMethod

SPACE = {
    "lr": tune.loguniform(1e-5, 1e-1),
    "depth": tune.randint(1, 4),
    "net": {"norm": tune.choice(["batch", None])},
    "data": "constant",
}
METHODS: dict[str, Callable[[], SearchMethod]] = {
    "random": Random,
    "sobol": Sobol,
    "tpe": lambda: Bayesian("tpe", startup=4),
    "gp": lambda: Bayesian("gp", startup=4),
    "cmaes": lambda: Bayesian("cmaes", startup=4),
    "grid": lambda: JitteredGrid(limits={"lr": (1e-5, 1e-1)}, refine=[Refine(factor=3, around=2, budget=2.0)]),
    "stages": lambda: Stages(
        [
            Stage("first", space={"lr": SPACE["lr"]}, fixed={"depth": 1, "net/norm": None}, method=Random(), trials=4),
            Stage("second", space={"depth": SPACE["depth"], "net": SPACE["net"]}, method=Random(), trials=4),
            Retest(top=2, seeds=2),
        ]
    ),
}
EVERY = pytest.mark.parametrize("name", METHODS)


def ready(name: str, seed: int = 0, mode: str = "min") -> SearchMethod:
    method = METHODS[name]()
    method.seed, method.iterations = seed, 4
    assert method.set_search_properties("loss", mode, SPACE)
    return method


def loss_of(config: dict[str, Any]) -> float:
    return (math.log10(config["lr"]) + 3) ** 2 + config["depth"] / 10 + (config["net"]["norm"] is None)


class Cluster:
    """Three workers that give trials reports in a seeded disorder; every sixth trial fails, some are stopped early."""

    def __init__(self, method: SearchMethod, seed: int = 0) -> None:
        self.method, self.rng = method, random.Random(seed)
        self.running: dict[str, tuple[dict[str, Any], int, int]] = {}
        self.configs: list[dict[str, Any]] = []
        self.finished = False

    def step(self) -> None:
        if len(self.running) < 3 and not self.finished:
            trial = f"t{len(self.configs)}"
            config = self.method.suggest(trial)
            if config == Searcher.FINISHED:
                self.finished = True
            elif config is not None:
                assert isinstance(config, dict)
                self.configs.append(config)
                length = config.get("training_iteration", 4)
                self.running[trial] = (config, 0, length if self.rng.random() < 0.7 else self.rng.randint(1, length))
                return
            else:
                assert self.running, "nothing runs, and the method waits"
        if self.running:
            self.report(self.rng.choice(sorted(self.running)))

    def report(self, trial: str) -> None:
        config, done, last = self.running.pop(trial)
        number = int(trial[1:])
        if number % 6 == 5 and done == 1:
            self.method.on_trial_complete(trial, None, error=True)
            return
        result = {"loss": loss_of(config) + 1 / (done + 1) + number % 7 / 50, "training_iteration": done + 1}
        if done + 1 == last:
            self.method.on_trial_complete(trial, result)
        else:
            self.method.on_trial_result(trial, result)
            self.running[trial] = (config, done + 1, last)

    def play(self, steps: int) -> list[dict[str, Any]]:
        before = len(self.configs)
        for _ in range(steps):
            self.step()
        return self.configs[before:]


@EVERY
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**31 - 1))
def test_suggestions_keep_inside_the_space(name: str, seed: int) -> None:
    for config in Cluster(ready(name, seed)).play(60):
        assert 1e-5 <= config["lr"] <= 1e-1
        assert config["depth"] in (1, 2, 3)
        assert config["net"]["norm"] in ("batch", None)
        assert config["data"] == "constant"


@EVERY
def test_the_same_seed_and_the_same_events_give_the_same_suggestions(name: str) -> None:
    assert Cluster(ready(name, 5)).play(60) == Cluster(ready(name, 5)).play(60)
    assert Cluster(ready(name, 5)).play(10) != Cluster(ready(name, 6)).play(10)


@EVERY
@pytest.mark.parametrize("broken_off_after", [3, 17, 38, 71])
def test_a_restored_method_goes_on_as_if_nothing_had_happened(name: str, broken_off_after: int, tmp_path: Path) -> None:
    cluster = Cluster(ready(name, 1))
    cluster.play(broken_off_after)
    cluster.method.save(str(tmp_path / "state"))
    other = copy.copy(cluster)
    other.running, other.configs, other.rng = dict(cluster.running), list(cluster.configs), copy.copy(cluster.rng)
    other.rng = random.Random()
    other.rng.setstate(cluster.rng.getstate())
    other.method = ready(name)
    other.method.restore(str(tmp_path / "state"))
    assert other.play(40) == cluster.play(40)


@EVERY
@pytest.mark.parametrize("value", [math.nan, math.inf, "0.1", True, None])
def test_a_metric_that_is_no_finite_number_is_a_failure_and_never_a_value(name: str, value: Any) -> None:
    method = ready(name)
    method.suggest("t")
    method.on_trial_result("t", {"loss": value, "training_iteration": 1})
    method.on_trial_complete("t", {"loss": value, "training_iteration": 2})
    assert (method.told["t"].state, method.told["t"].value) == ("FAIL", None)
    assert isinstance(method.suggest("next"), dict)


@EVERY
def test_a_run_in_which_every_trial_fails_goes_on_without_a_fault(name: str) -> None:
    method = ready(name)
    for number in range(30):
        if method.suggest(f"t{number}") == Searcher.FINISHED:
            break
        method.on_trial_complete(f"t{number}", None, error=True)
    assert method.standings() == []


@EVERY
def test_nothing_that_runs_is_suggested_again_except_as_a_replica_with_another_seed(name: str) -> None:
    method = ready(name)
    running: list[dict[str, Any]] = []
    for number in range(6):
        config = method.suggest(f"t{number}")
        if not isinstance(config, dict):
            break
        plain = {key: value for key, value in config.items() if key != "seed"}
        assert plain not in running
        running.append(plain)
    assert len(running) >= 4


@EVERY
def test_every_trial_has_a_seed_of_its_own_unless_the_space_gives_one(name: str) -> None:
    seeds = [config["seed"] for config in Cluster(ready(name)).play(40)]
    assert len(set(seeds)) == len(seeds)
    method = METHODS[name]()
    method.set_search_properties("loss", "min", {**SPACE, "seed": 7})
    config = method.suggest("t")
    assert isinstance(config, dict)
    assert config["seed"] == 7


@EVERY
def test_a_trial_of_somebody_elses_and_a_second_ending_are_passed_over(name: str) -> None:
    method = ready(name)
    method.suggest("t")
    method.on_trial_complete("t", {"loss": 1.0, "training_iteration": 4})
    method.on_trial_complete("t", {"loss": 9.0, "training_iteration": 4})
    method.on_trial_result("stranger", {"loss": 9.0, "training_iteration": 4})
    method.on_trial_complete("stranger", {"loss": 9.0, "training_iteration": 4})
    assert (list(method.told), method.told["t"].value) == (["t"], 1.0)


def test_a_trial_that_is_put_aside_while_it_waits_was_stopped_and_did_not_fail() -> None:
    method = ready("random")
    method.suggest("waited")
    method.on_trial_result("waited", {"loss": 1.0, "training_iteration": 2})
    method.on_trial_complete("waited")
    method.suggest("never began")
    method.on_trial_complete("never began")
    assert [(told.state, told.value) for told in method.told.values()] == [("PRUNED", 1.0), ("FAIL", None)]


def test_where_nobody_says_how_long_a_full_trial_is_the_longest_so_far_is_one() -> None:
    method = Random()
    method.set_search_properties("loss", "min", SPACE)
    for trial, length in (("long", 3), ("short", 2), ("as long", 3)):
        method.suggest(trial)
        for iteration in range(1, length):
            method.on_trial_result(trial, {"loss": 1.0, "training_iteration": iteration})
        method.on_trial_complete(trial, {"loss": 1.0, "training_iteration": length})
    assert [told.state for told in method.told.values()] == ["COMPLETE", "PRUNED", "COMPLETE"]


@EVERY
def test_more_is_better_where_the_mode_says_so(name: str) -> None:
    method = ready(name, mode="max")
    for number, loss in enumerate([1.0, 3.0, 2.0]):
        method.suggest(f"t{number}")
        method.on_trial_complete(f"t{number}", {"loss": loss, "training_iteration": 4})
    assert [standing.mean for standing in method.standings()] == [3.0, 2.0, 1.0]


@EVERY
def test_a_state_file_cut_short_gives_way_to_the_one_before_and_that_is_said(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = Cluster(ready(name))
    cluster.play(10)
    cluster.method.save(str(tmp_path / "state"))
    known = list(cluster.method.told)
    cluster.play(10)
    cluster.method.save(str(tmp_path / "state"))
    whole = (tmp_path / "state").read_text()
    (tmp_path / "state").write_text(whole[: len(whole) // 2])
    restored = ready(name)
    with caplog.at_level(logging.WARNING):
        restored.restore(str(tmp_path / "state"))
    assert list(restored.told) == known
    assert "going on from the one before" in caplog.text
    (tmp_path / "state.previous").unlink()
    with pytest.raises(SearchError, match="Expected the state of a searcher"):
        ready(name).restore(str(tmp_path / "state"))


@EVERY
def test_what_is_saved_is_plain_json(name: str, tmp_path: Path) -> None:
    cluster = Cluster(ready(name))
    cluster.play(20)
    cluster.method.save(str(tmp_path / "state"))
    assert len(json.loads((tmp_path / "state").read_text())["events"]) >= 10


@EVERY
def test_a_method_can_be_copied_and_pickled_as_ray_tune_does(name: str) -> None:
    first = ready(name)
    Cluster(first).play(12)
    for other in (copy.deepcopy(first), pickle.loads(pickle.dumps(first))):
        assert other.suggest("next") == copy.deepcopy(first).suggest("next")


@EVERY
def test_a_method_says_what_it_is_in_one_short_line(name: str) -> None:
    assert "\n" not in repr(METHODS[name]())
    assert " object at " not in repr(METHODS[name]())


@EVERY
def test_a_method_without_a_space_says_what_it_needs(name: str) -> None:
    with pytest.raises(SearchError, match="Give metric, mode and param_space"):
        METHODS[name]().suggest("t")
