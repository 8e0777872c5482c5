"""What a jittered grid says beforehand: what it costs, what cannot be, and its name."""

import importlib.util
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray import tune

from search import SearchError
from search.jittered_grid import JitteredGrid, Refine

_SPEC = importlib.util.spec_from_file_location("grid_play", Path(__file__).with_name("grid_play.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
grid = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(grid)


# ---- the plan


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    at=st.tuples(st.floats(-9, 3), st.floats(-9, 3)),
    around=st.integers(1, 3),
    crossed=st.sampled_from([None, [("g",), ("d",)]]),
)
def test_a_plan_names_the_trials_that_a_search_takes(
    seed: int, at: tuple[float, float], around: int, crossed: Any
) -> None:
    method = grid.ready(grid.RATES, seed=seed, refine=[Refine(around=around, budget=2)], crossed=crossed)
    plan = method.plan(grid.RATES)
    suggestions = grid.play(method, grid.bowl(g=at[0], d=at[1]))
    for stage in plan.rounds:
        begun = [s for s in suggestions if s.reason == stage.name]
        edges = [s for s in suggestions if s.stage == stage.name and s.reason != stage.name]
        assert len(begun) <= stage.trials
        assert len(edges) <= stage.edges
    assert len(suggestions) <= plan.trials[1]
    assert [stage.budget for stage in plan.rounds] == [1, 2]


def test_a_plan_counts_hours_by_the_length_of_trials() -> None:
    planner = JitteredGrid(refine=[Refine(factor=3, around=2, budget=3.0)])
    plan = planner.plan(grid.RATES, trial_seconds=360, gpus_per_trial=0.5)
    assert plan.rounds[0].trials == 16
    assert plan.rounds[0].edges == 8 * 8 - 16
    assert plan.rounds[1].trials == 2 * 4
    assert plan.rounds[1].edges == 2 * (16 - 4)
    assert plan.trials == (24, 24 + 48 + 24)
    assert plan.gpu_hours == pytest.approx((0.05 * (16 + 3 * 8), 0.05 * (16 + 48 + 3 * 32)))
    assert str(plan).splitlines() == [
        "coarse: 16 trials of 1x the length, up to 48 more at edges",
        "refine 1: 8 trials of 3x the length, up to 24 more at edges",
        "in all: 24 to 96 trials, 2 to 8 GPU-hours",
    ]
    assert planner.plan(grid.RATES).gpu_hours is None


def test_axes_that_go_by_value_are_neither_widened_nor_refined_in_a_plan() -> None:
    space = {"g": tune.loguniform(1e-4, 1.0), "kind": tune.choice(["a", "b"]), "n": tune.randint(1, 4)}
    coarse, fine = JitteredGrid(refine=[Refine(around=1)]).plan(space).rounds
    assert (coarse.trials, coarse.edges) == (4 * 2 * 3, 4 * 2 * 3)
    assert (fine.trials, fine.edges) == (2, 4 - 2)
    whole = JitteredGrid().plan({"m": tune.lograndint(1, 1001)}).rounds[0]
    assert (whole.trials, whole.edges) == (3, 0)


def test_a_second_refinement_cuts_the_cells_of_the_first() -> None:
    planner = JitteredGrid(refine=[Refine(factor=3, around=1), Refine(factor=1.7, around=1)])
    linear = {"x": tune.uniform(0.0, 1.0)}
    assert [stage.trials for stage in planner.plan(grid.RATES).rounds] == [16, 4, 4]
    assert [stage.trials for stage in planner.plan(linear).rounds] == [3, 2, 2]


@pytest.mark.parametrize("given_", [{"trial_seconds": 0}, {"trial_seconds": 1, "gpus_per_trial": -1}])
def test_a_plan_of_impossible_costs_is_refused(given_: dict[str, Any]) -> None:
    with pytest.raises(SearchError, match="Expected"):
        JitteredGrid().plan(grid.RATES, **given_)


# ---- errors and names


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"factor": 1.0}, "factor above 1, got factor=1.0"),
        ({"jitter": 1.5}, "jitter from 0 to 1, got jitter=1.5"),
        ({"jitter": math.nan}, "jitter from 0 to 1"),
        ({"points": 0}, "whole numbers from 1, got points=0"),
        ({"points": {"x": 1.5}}, "whole numbers from 1, got x=1.5"),
        ({"limits": {"g": (1, 1e-7)}}, "the smaller one first, got"),
        ({"limits": {"g": 3}}, "two numbers"),
        ({"crossed": ["g", "d"]}, "groups of names, got 'g'"),
        ({"crossed": [("g", "d"), ("d",)]}, "in one crossed group, got 'd' twice"),
        ({"crossed": [()]}, "at least one axis in every crossed group"),
        ({"refine": [Refine(factor=10)]}, "below that of the grid it refines, 10, got factor=10"),
        ({"refine": [Refine(factor=3), Refine(factor=3)]}, "below that of the grid it refines, 3"),
        ({"refine": [3]}, "Refine values, got 3"),
    ],
)
def test_a_grid_that_cannot_be_is_named_at_construction(wrong: dict[str, Any], rule: str) -> None:
    with pytest.raises(SearchError, match=rule):
        JitteredGrid(**wrong)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"factor": 1}, "factor above 1 in Refine"),
        ({"around": 0}, "whole number from 1, got around=0"),
        ({"budget": 0}, "budget above 0, got budget=0"),
    ],
)
def test_a_refinement_that_cannot_be_is_named_at_construction(wrong: dict[str, Any], rule: str) -> None:
    with pytest.raises(SearchError, match=rule):
        Refine(**wrong)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"limits": {"rl": (0.1, 1)}}, "limits to name axes among .*, got 'rl'"),
        ({"limits": {"lr": (1e-3, 1)}}, "limits that hold the range 0.0001 to 0.1 of 'lr', got"),
        ({"limits": {"lr": (1e-5, 1e-2)}}, "limits that hold the range 0.0001 to 0.1 of 'lr', got"),
        ({"limits": {"lr": (0, 1)}}, "limits above 0 on the log axis 'lr'"),
        ({"limits": {"net": {"norm": (0, 1)}}}, "limits for the choice 'net/norm'"),
        ({"points": {"lr": 3}}, "points for linear axes, got points for 'lr'"),
        ({"points": {"drpo": 3}}, "points to name axes among .*, got 'drpo'"),
        ({"crossed": [("lr", "dorp")]}, "crossed to name axes among .*, got 'dorp'"),
        ({"factor": 1.0001}, "at most 100,000 cells, got .* over lr, net/norm, net/width, drop"),
        ({"factor": 1.5, "refine": [Refine(factor=1.0001)]}, "a refinement of at most 100,000 cells"),
    ],
)
def test_a_grid_that_does_not_suit_the_space_is_named_before_anything_runs(wrong: dict[str, Any], rule: str) -> None:
    with pytest.raises(SearchError, match=rule):
        JitteredGrid(**wrong).plan(grid.MIXED)
    with pytest.raises(SearchError, match=rule):
        grid.ready(grid.MIXED, **wrong)


def test_a_space_without_an_axis_is_named() -> None:
    with pytest.raises(SearchError, match="at least one axis"):
        JitteredGrid().plan({"x": 1})


def test_its_name_says_what_it_does() -> None:
    assert repr(JitteredGrid()) == "JitteredGrid(factor=10, jitter=0.5)"
    planner = JitteredGrid(limits={"g": (1e-7, 1)}, refine=[Refine(budget=2)])
    assert repr(planner) == (
        "JitteredGrid(factor=10, jitter=0.5, limits={'g': (1e-07, 1)}, refine=[Refine(factor=3, around=2, budget=2)])"
    )
