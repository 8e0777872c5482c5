"""When a jittered grid goes beyond its edges, grows finer, or ends."""

import importlib.util
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from search.jittered_grid import JitteredGrid, Refine
from search.method import FINISHED

_SPEC = importlib.util.spec_from_file_location("grid_play", Path(__file__).with_name("grid_play.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
grid = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(grid)


# ---- the edges


def test_no_cell_is_added_where_the_best_lies_inside() -> None:
    assert {s.reason for s in grid.play(grid.ready(grid.RATES), grid.bowl(g=-3, d=-3))} == {"coarse"}


def test_an_optimum_beyond_the_range_is_found_and_the_layers_end_once_it_lies_inside() -> None:
    suggestions = grid.play(grid.ready(grid.RATES, jitter=0.2), grid.bowl(g=-0.5, d=-3.4))
    assert {s.reason for s in suggestions[16:]} == {"edge g+"}
    assert {s.stage for s in suggestions} == {"coarse"}
    assert Counter(grid.numbers("g", suggestions)[16:]) == {4: 3, 5: 3}
    best = min(suggestions, key=lambda s: grid.bowl(g=-0.5, d=-3.4)(s.values))
    assert 0.1 < best.values["g"] < 1


def test_layers_go_on_to_two_cells_beyond_a_log_axis_and_stop_there() -> None:
    suggestions = grid.play(grid.ready(grid.RATES), grid.bowl(g=9, d=-3))
    assert max(grid.numbers("g", suggestions)) == 5
    assert max(s.values["g"] for s in suggestions) <= 10.000001
    assert min(grid.numbers("g", grid.play(grid.ready(grid.RATES), grid.bowl(g=-20, d=-3)))) == -2


def test_limits_end_the_layers_where_they_say_with_a_narrower_last_cell() -> None:
    method = grid.ready(grid.RATES, limits={"g": (1e-5, 0.3), "d": (1e-9, 0.1)}, jitter=1.0)
    suggestions = grid.play(method, grid.bowl(g=9, d=-20))
    assert max(grid.numbers("g", suggestions)) == 4
    assert min(grid.numbers("d", suggestions)) == -4
    assert 0.1 < max(s.values["g"] for s in suggestions) <= 0.3
    assert min(s.values["d"] for s in suggestions) >= 1e-9


def test_corners_are_tried_with_the_edges_they_join() -> None:
    suggestions = grid.play(grid.ready(grid.RATES, jitter=0.0), grid.bowl(g=-0.5, d=-5.5))
    first = suggestions[16:21]
    reasons = dict(
        zip(
            zip(grid.numbers("g", first), grid.numbers("d", first), strict=True), (s.reason for s in first), strict=True
        )
    )
    assert reasons == {
        (4, 0): "edge g+",
        (4, 1): "edge g+",
        (3, -1): "edge d-",
        (2, -1): "edge d-",
        (4, -1): "edge g+ d-",
    }


def test_linear_whole_and_choice_axes_keep_their_range_unless_limits_say_otherwise() -> None:
    space = {"x": tune.uniform(0.0, 3.0), "n": tune.randint(1, 4), "c": tune.choice([1, 2])}
    assert len(grid.play(grid.ready(space), lambda config: -config["x"] - config["n"])) == 3 * 3 * 2
    method = grid.ready(space, limits={"x": (0.0, 5.0), "n": (0, 5)})
    suggestions = grid.play(method, lambda config: -config["x"] - config["n"] + config["c"])
    assert {s.values["n"] for s in suggestions} == {1, 2, 3, 4, 5}
    assert 4 < max(s.values["x"] for s in suggestions) <= 5
    assert {s.values["c"] for s in suggestions[18:]} == {1}


def test_where_a_group_has_no_edge_left_it_stays_at_its_best() -> None:
    suggestions = grid.play(grid.ready(grid.RATES, crossed=[("g",), ("d",)], jitter=0.0), grid.bowl(g=-0.5, d=-2.5))
    layer = suggestions[4:]
    assert {s.reason for s in layer} == {"edge g+"}
    assert len(set(grid.numbers("d", layer))) == 1


def test_many_axes_at_once_are_widened_one_at_a_time() -> None:
    space = {f"x{i}": tune.loguniform(1.0, 2.0) for i in range(8)}
    method = grid.ready(space)
    grid.end(method, grid.suggested(method), 1.0)
    assert len(method._stage.queue) == 16  # type: ignore[union-attr]


def test_the_whole_space_reaches_to_the_limits_of_every_axis() -> None:
    space = {"g": tune.loguniform(1e-5, 1e-1), "n": tune.randint(1, 9), "c": tune.choice([1, 2]), "x": 3}
    method = grid.ready(space, limits={"n": (0.5, 20.5)})
    whole = {axis.name: axis for axis in method.whole_space(method.space).axes}
    assert (whole["g"].low, whole["g"].high) == (pytest.approx(1e-7), pytest.approx(10))
    assert (whole["n"].low, whole["n"].high, whole["c"].values) == (1, 20, (1, 2))
    for suggestion in grid.play(method, lambda config: -config["g"] - config["n"]):
        method.whole_space(method.space).labels(suggestion.values)


# ---- refinement


def test_a_refinement_lies_within_one_coarse_cell_of_the_best_and_trains_longer() -> None:
    method = grid.ready(grid.RATES, refine=[Refine(factor=3, around=2, budget=2.5)], iterations=4)
    loss = grid.bowl(g=-3.3, d=-2.6)
    grid.play(method, loss)
    by_stage = {
        stage: [t for t in method.told.values() if t.suggestion.stage == stage] for stage in ("coarse", "refine 1")
    }
    centres = sorted((t.suggestion for t in by_stage["coarse"]), key=lambda s: loss(s.values))[:2]
    assert "training_iteration" not in method.config(by_stage["coarse"][0].trial_id)
    begun = [t for t in by_stage["refine 1"] if t.suggestion.reason == "refine 1"]
    assert len(begun) == 2 * 2 * 2
    for told in by_stage["refine 1"]:
        assert method.config(told.trial_id)["training_iteration"] == 10
        steps = [max(abs(math.log10(told.suggestion.values[a] / c.values[a])) for a in grid.RATES) for c in centres]
        assert min(steps) <= 1.0 + 0.5 / 2


def test_the_centres_of_a_refinement_take_turns() -> None:
    def loss(config: dict[str, Any]) -> float:
        return min(abs(math.log10(config["g"]) + at) + at / 100 for at in (0.6, 3.4))

    method = grid.ready({"g": tune.loguniform(1e-4, 1.0)}, refine=[Refine()], limits={"g": (1e-4, 1.0)}, jitter=0.0)
    fine = [s.values["g"] > 1e-2 for s in grid.play(method, loss) if s.reason == "refine 1"]
    assert fine == [True, False, True, False]


def test_refinements_step_ever_more_finely_down_to_the_optimum() -> None:
    loss = grid.bowl(g=-3.31, d=-2.64)
    refine = [Refine(factor=3, around=1), Refine(factor=1.7, around=1), Refine(factor=1.3, around=1)]
    suggestions = grid.play(grid.ready(grid.RATES, refine=refine, jitter=0.0), loss)
    best = {
        name: min(loss(s.values) for s in suggestions if s.stage == name) for name in {s.stage for s in suggestions}
    }
    assert set(best) == {"coarse", "refine 1", "refine 2", "refine 3"}
    assert best["refine 3"] < best["refine 2"] < best["refine 1"] < best["coarse"]
    assert best["refine 3"] < 2 * (1 / 8 / 2) ** 2 + 1e-9


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_no_cell_of_a_stage_is_tried_twice_however_close_its_centres_lie(jitter: float) -> None:
    for seed in range(10):
        method = grid.ready(grid.RATES, refine=[Refine(factor=2, around=4)], jitter=jitter, seed=seed)
        suggestions = grid.play(method, grid.bowl(g=-1.1, d=-2.6))
        assert max(Counter((s.stage, s.cell) for s in suggestions).values()) == 1


def test_choices_and_few_whole_numbers_stay_at_the_best_in_a_refinement() -> None:
    space = {"lr": tune.loguniform(1e-4, 1e-1), "n": tune.randint(1, 5), "c": tune.choice(["a", "b"])}
    method = grid.ready(space, refine=[Refine(around=1)])
    suggestions = grid.play(
        method, lambda config: grid.bowl(lr=-2.5)(config) + (config["n"] != 2) + (config["c"] == "a")
    )
    fine = [s.values for s in suggestions if s.stage == "refine 1"]
    assert {(v["n"], v["c"]) for v in fine} == {(2, "b")}
    assert len({v["lr"] for v in fine}) == len(fine) >= 2


def test_a_refinement_widens_towards_a_best_at_its_edge() -> None:
    method = grid.ready({"g": tune.loguniform(1e-4, 1.0)}, refine=[Refine(around=1)], jitter=0.0)
    suggestions = grid.play(method, lambda config: abs(math.log10(config["g"]) + 2.05))
    assert [s.reason for s in suggestions[6:]] == ["edge g+"]
    assert math.log10(suggestions[6].values["g"]) == pytest.approx(-1.75)


def test_a_refinement_goes_one_coarse_cell_from_its_centre_and_no_further() -> None:
    def loss(config: dict[str, Any]) -> float:
        return -config["g"] if "training_iteration" in config else abs(math.log10(config["g"]) + 2.5)

    method = grid.ready({"g": tune.loguniform(1e-4, 1.0)}, refine=[Refine(around=1)], jitter=0.0)
    fine = [s for s in grid.play(method, loss) if s.stage == "refine 1"]
    assert max(math.log10(s.values["g"]) for s in fine) == pytest.approx(-1.75)
    method = grid.ready({"g": tune.uniform(0.0, 4.0)}, points=4, refine=[Refine(around=1)], jitter=1.0)
    assert all(0 <= s.values["g"] <= 4 for s in grid.play(method, lambda config: -config["g"]))


def test_without_a_length_of_its_own_a_search_has_no_longer_trials() -> None:
    method = grid.ready(grid.RATES, refine=[Refine()], iterations=None)
    while isinstance(config := method.suggest(trial := f"t{len(method.told)}"), dict):
        assert "training_iteration" not in config
        method.on_trial_complete(trial, {"loss": config["g"], "training_iteration": 3})
    assert {t.suggestion.stage for t in method.told.values()} == {"coarse", "refine 1"}


# ---- failures and ending


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_grid_in_which_every_trial_fails_ends(value: float | None) -> None:
    method = grid.ready(grid.RATES, refine=[Refine()])
    while isinstance(config := method.suggest(trial := f"t{len(method.told)}"), dict):
        grid.end(method, trial, value)
    assert config == FINISHED
    assert len(method.told) == 16


def test_where_no_trial_ran_its_full_length_the_best_of_those_stopped_early_leads_on() -> None:
    method = grid.ready(grid.RATES, refine=[Refine(around=1)])
    while isinstance(config := method.suggest(trial := f"t{len(method.told)}"), dict):
        grid.end(method, trial, grid.bowl(g=-3.5, d=-2.5)(config), iteration=1)
    fine = [t.suggestion.values for t in method.told.values() if t.suggestion.stage == "refine 1"]
    assert fine
    assert all(abs(math.log10(values["g"]) + 3.5) < 1 for values in fine)


def test_a_trial_stopped_early_never_leads_while_one_ran_its_full_length() -> None:
    method = grid.ready({"g": tune.loguniform(1e-4, 1.0)}, refine=[Refine(around=1)])
    trials = [grid.suggested(method) for _ in range(4)]
    for trial in trials:
        high = method.config(trial)["g"] > 1e-2
        grid.end(method, trial, 5.0 if high else 1.0, iteration=4 if high else 1)
    assert method.config(grid.suggested(method))["g"] > 1e-2


def test_more_is_better_in_max_mode() -> None:
    suggestions = grid.play(
        grid.ready(grid.RATES, mode="max", refine=[Refine()]), lambda config: -grid.bowl(g=-0.5, d=-3)(config)
    )
    assert {s.reason for s in suggestions if s.stage == "coarse"} == {"coarse", "edge g+"}
    best = min(suggestions, key=lambda s: grid.bowl(g=-0.5, d=-3)(s.values))
    assert grid.bowl(g=-0.5, d=-3)(best.values) < 0.1


# ---- Ray itself


def _report(config: dict[str, Any]) -> None:
    for _ in range(config.get("training_iteration", 2)):
        tune.report({"loss": (math.log10(config["net"]["lr"]) + 0.5) ** 2})


def test_a_plain_tuner_runs_it_to_its_end(cluster: None, tmp_path: Path) -> None:
    method = JitteredGrid(refine=[Refine(around=1, budget=2)], iterations=2, limits={"net/lr": (1e-3, 1.0)})
    tuner = tune.Tuner(
        _report,
        param_space={"net": {"lr": tune.loguniform(1e-3, 1e-1)}, "kind": "constant"},
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", search_alg=method, num_samples=100, max_concurrent_trials=2, reuse_actors=True
        ),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
    )
    results = tuner.fit()
    assert not results.errors
    frame = results.get_dataframe()
    assert set(frame["training_iteration"]) == {2, 4}
    assert frame["config/net/lr"].max() > 0.1
    assert 2 + 1 + 2 <= len(frame) <= 20
