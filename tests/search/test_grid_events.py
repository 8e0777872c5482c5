"""While its last trials run a grid repeats its best; what it does follows from its seed and from events alone."""

import importlib.util
import math
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from ray import tune

from search.jittered_grid import Refine
from search.suggestion import Suggestion

_SPEC = importlib.util.spec_from_file_location("grid_play", Path(__file__).with_name("grid_play.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
grid = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(grid)


def test_while_the_last_trials_run_the_best_are_repeated_with_new_seeds_and_no_more_than_three_each() -> None:
    method = grid.ready(grid.RATES)
    configs = {trial: method.suggest(trial) for trial in (f"t{i}" for i in range(16))}
    assert method.suggest("too early") is None
    loss = grid.bowl(g=-3, d=-3)
    for trial, config in list(configs.items())[:15]:
        assert isinstance(config, dict)
        grid.end(method, trial, loss(config))
    best = [standing.configuration for standing in method.standings()][:4]
    repeats: list[str] = []
    while isinstance(config := method.suggest(trial := f"r{len(repeats)}"), dict):
        told = method.told[trial].suggestion
        assert (told.reason, told.whole, told.stage) == ("repeat", True, "coarse")
        assert told.values == method.told[str(told.replica_of)].suggestion.values
        repeats.append(str(told.replica_of))
    assert config is None
    assert repeats == [name for name in best for _ in range(2)]
    seeds = [method.config(trial)["seed"] for trial in method.told]
    assert len(set(seeds)) == len(seeds)


def test_repeats_do_not_change_what_the_grid_visits() -> None:
    loss = grid.bowl(g=-0.5, d=-3)
    method, running = grid.ready(grid.RATES, refine=[Refine()]), []
    while isinstance(config := method.suggest(trial := f"t{len(method.told)}"), dict) or running:
        if isinstance(config, dict):
            running.append(trial)
        if not isinstance(config, dict) or len(running) == 5:
            grid.end(method, ending := running.pop(0), loss(method.config(ending)))
    suggestions = [told.suggestion for told in method.told.values()]
    visited = [s for s in suggestions if s.reason != "repeat"]
    assert len(visited) < len(suggestions)
    assert visited == grid.play(grid.ready(grid.RATES, refine=[Refine()]), loss)


def test_a_repeat_of_a_refined_point_is_as_long_as_its_original() -> None:
    method = grid.ready({"g": tune.loguniform(1e-4, 1.0)}, refine=[Refine(budget=2.0)], iterations=4)
    while method._stage and method._stage.level == 0:
        grid.end(method, trial := grid.suggested(method), grid.bowl(g=-2)(method.config(trial)))
    waiting = grid.suggested(method)
    while (trial := grid.suggested(method)) and method.told[trial].suggestion.reason != "repeat":
        grid.end(method, trial, 1.0)
    assert method.config(trial)["training_iteration"] == 8
    assert method.told[waiting].state == "RUNNING"


def test_the_best_is_the_best_mean_over_seeds() -> None:
    method = grid.ready({"g": tune.loguniform(1e-4, 1.0)}, refine=[Refine(around=1)], jitter=0.0)
    trials = [grid.suggested(method) for _ in range(4)]
    rank = sorted(trials, key=lambda t: abs(math.log10(method.config(t)["g"]) + 2.5))
    for trial, value in zip(rank[:3], (1.0, 1.5, 9.0), strict=True):
        grid.end(method, trial, value)
    for _ in range(2):
        grid.end(method, trial := grid.suggested(method), 5.0)
        assert method.told[trial].configuration in rank[:2]
    standing = method.standings()[0]
    grid.end(method, rank[3], 9.0)
    refined = grid.suggested(method)
    distance = math.log10(method.config(refined)["g"] / method.config(standing.configuration)["g"])
    assert abs(distance) < 0.5


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), steps=st.integers(0, 130))
def test_a_restored_grid_goes_on_as_if_nothing_had_happened(tmp_path_factory: Any, seed: int, steps: int) -> None:
    given_ = {"refine": [Refine(budget=2), Refine(factor=2, around=1)], "crossed": [("lr", "drop"), ("net/norm",)]}
    first, second = grid.ready(grid.MIXED, seed=seed, **given_), grid.ready(grid.MIXED, **given_)
    for method, ran in ((first, seed), (second, seed + 2)):  # what the second was told before is forgotten
        for _, _ in zip(range(steps), grid.race(method, ran), strict=False):
            pass
    state = str(Path(tmp_path_factory.mktemp("state"), "searcher"))
    first.save(state)
    second.restore(state)
    assert list(grid.race(first, seed + 1)) == list(grid.race(second, seed + 1))
    assert first.told == second.told


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), workers=st.integers(1, 20))
def test_it_waits_only_while_trials_run_and_visits_the_same_coarse_points_however_many_workers(
    seed: int, workers: int
) -> None:
    method, alone = grid.ready(grid.MIXED, seed=3, refine=[Refine()]), grid.ready(grid.MIXED, seed=3)
    list(grid.race(method, seed, workers))
    grid.play(alone, lambda config: config["lr"])
    coarse = [
        [t.suggestion.values for t in m.told.values() if t.suggestion.reason == "coarse"] for m in (method, alone)
    ]
    assert coarse[0] == coarse[1]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_what_it_takes_for_the_best_is_what_the_standings_say(seed: int) -> None:
    method = grid.ready(grid.MIXED, seed=seed, refine=[Refine()])
    for _ in grid.race(method, seed, workers=6):
        for name, stage in method._stages.items():
            standings = method.standings(lambda told, name=name: told.suggestion.stage == name)  # type: ignore[misc]
            assert stage.ranking.complete(3) == [standing.configuration for standing in standings[:3]]


def test_of_equals_the_earlier_configuration_stands_first_also_when_it_was_repeated() -> None:
    method = grid.ready({"g": tune.loguniform(1e-4, 1.0)})
    trials = [grid.suggested(method) for _ in range(4)]
    for trial in trials[:2]:
        grid.end(method, trial, 1.0)
    grid.end(method, repeat := grid.suggested(method), 1.0)
    assert method.told[repeat].suggestion.replica_of == trials[0]
    assert method._stages["coarse"].ranking.best(2) == trials[:2]


def test_a_late_suggestion_looks_at_no_earlier_trial() -> None:
    class Closed(dict[str, Any]):
        def __iter__(self) -> Any:
            raise AssertionError("went through all trials")

        values = items = keys = __iter__  # type: ignore[assignment]

    method = grid.ready({name: tune.loguniform(1e-6, 1.0) for name in "abc"})
    for _ in range(215):
        grid.end(method, grid.suggested(method), 1.0)
    grid.suggested(method)
    method.told = Closed(method.told)
    assert isinstance(method.propose(215), Suggestion)
