"""Cells share out an axis, points keep to their cells, and the order of a visit spreads early."""

import importlib.util
import math
from collections import Counter
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray import tune

from search.grid.cells import NumberCells
from search.jittered_grid import JitteredGrid
from search.space import Number

_SPEC = importlib.util.spec_from_file_location("grid_play", Path(__file__).with_name("grid_play.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
grid = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(grid)


# ---- cells and jitter

axes = st.builds(
    lambda low, wide, log, kind: Number(
        "x",
        low * (kind or 1),
        (low + wide) * (kind or 1),
        log=log,
        step=None if kind in (None, 1) else kind,
        integer=kind == 1,
    ),
    st.integers(1, 50),
    st.integers(1, 5000),
    st.booleans(),
    st.sampled_from([None, 1, 0.25]),
)


@settings(deadline=None)
@given(axis=axes, points=st.integers(1, 6), factor=st.sampled_from([2.0, 10.0]), scale=st.sampled_from([1, 2, 6]))
def test_cells_share_out_the_values_of_an_axis_and_every_point_keeps_to_its_cell(
    axis: Number, points: int, factor: float, scale: int
) -> None:
    cells = NumberCells.cut(axis, factor, points, (axis.low, axis.high))
    scale = 1 if cells.by_value else scale
    inside = [c for c in range(cells.count * scale) if cells.inside(c, scale)]
    ends = [(cells.point(c, scale, -0.5), cells.point(c, scale, 0.0), cells.point(c, scale, 0.5)) for c in inside]
    assert not cells.inside(-1, scale)
    assert not cells.inside(cells.count * scale, scale)
    assert all(low <= middle <= high for low, middle, high in ends)
    assert ends[0][0] == pytest.approx(axis.low)
    assert ends[-1][2] == pytest.approx(axis.high)
    assert axis.low <= ends[0][0] <= ends[-1][2] <= axis.high
    for cell, shift in product(inside[:20], (-0.4, 0.0, 0.4)):
        value = cells.point(cell, scale, shift)
        assert all(cell in cells.near(value, cell, scale, count) for count in (2, 3, 4))
    step = axis.step or (1 if axis.integer else 0)
    for (*_, high), (low, *_) in pairwise(ends):
        assert low - high == pytest.approx(step, abs=1e-9)


@given(low=st.integers(-20, 20), wide=st.integers(1, 40), points=st.integers(1, 6))
def test_whole_numbers_go_by_value_where_a_cell_had_fewer_than_two(low: int, wide: int, points: int) -> None:
    method = JitteredGrid(points=points)
    cells = method.plan({"n": tune.randint(low, low + wide + 1)}).trials[0]
    assert cells == (wide + 1 if wide + 1 < 2 * points else points)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), jitter=st.floats(0, 1))
def test_a_log_axis_steps_by_the_factor_and_a_point_stays_in_the_middle_share_of_its_cell(
    seed: int, jitter: float
) -> None:
    method = grid.ready(grid.RATES, seed=seed, jitter=jitter)
    configs = [method.suggest(f"t{i}") for i in range(16)]
    suggestions = [told.suggestion for told in method.told.values()]
    for axis in grid.RATES:
        for config, number in zip(configs, grid.numbers(axis, suggestions), strict=True):
            assert isinstance(config, dict)
            assert abs(math.log10(config[axis]) + 5 - (number + 0.5)) <= jitter / 2 + 1e-9
    assert sorted(zip(grid.numbers("g", suggestions), grid.numbers("d", suggestions), strict=True)) == list(
        product(range(4), range(4))
    )


def test_jitter_is_uniform_in_the_logarithm() -> None:
    shares = []
    for seed in range(100):
        method = grid.ready(grid.RATES, seed=seed, jitter=1.0)
        for trial in range(16):
            config = method.suggest(f"t{trial}")
            assert isinstance(config, dict)
            shares += [math.log10(config[axis]) % 1 for axis in grid.RATES]
    counts, _ = np.histogram(shares, bins=8, range=(0, 1))
    assert counts == pytest.approx(len(shares) / 8, rel=0.15)


def test_without_jitter_every_point_is_the_crossing() -> None:
    method = grid.ready({"g": tune.loguniform(1e-2, 1.0), "x": tune.uniform(0.0, 3.0)}, jitter=0)
    points = {(round(c["g"], 6), c["x"]) for c in (method.suggest(f"t{i}") for i in range(6)) if isinstance(c, dict)}
    assert points == set(product([round(10**-1.5, 6), round(10**-0.5, 6)], [0.5, 1.5, 2.5]))


def test_choices_steps_and_nested_names_are_visited_as_the_space_writes_them() -> None:
    space = {**grid.MIXED, "size": tune.quniform(0.0, 1.0, 0.25)}
    suggestions = grid.play(grid.ready(space, limits={"lr": (1e-4, 1e-1)}), lambda config: config["drop"])
    configs = [s.values for s in suggestions]
    assert len(suggestions) == 3 * 2 * 3 * 3 * 5
    assert Counter(c["net/norm"] for c in configs) == {"batch": 135, None: 135}
    assert Counter(c["size"] for c in configs) == dict.fromkeys([0.0, 0.25, 0.5, 0.75, 1.0], 54)
    assert {type(c["net/width"]) for c in configs} == {int}
    assert "net/norm=batch" in {part for s in suggestions for part in str(s.cell).split(", ")}


def test_a_stepped_log_axis_that_is_widened_gives_trials_what_it_says() -> None:
    method = grid.ready({"x": tune.qloguniform(1.0, 100.0, 0.5)}, limits={"x": (1.0, 1000.0)})
    grid.play(method, lambda config: -config["x"])
    told = list(method.told.values())
    assert max(method.config(t.trial_id)["x"] for t in told) > 100
    assert all(method.config(t.trial_id)["x"] == t.suggestion.values["x"] for t in told)
    assert all(t.suggestion.values["x"] % 0.5 == 0 for t in told)


# ---- the order


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_a_quarter_of_the_cells_has_seen_every_third_of_every_axis(seed: int) -> None:
    space = {name: tune.loguniform(1e-6, 1.0) for name in "abc"}
    method = grid.ready(space, seed=seed)
    for trial in range(216 // 4):
        method.suggest(f"t{trial}")
    suggestions = [told.suggestion for told in method.told.values()]
    for axis in space:
        assert {number // 2 for number in grid.numbers(axis, suggestions)} == {0, 1, 2}


def test_a_quarter_of_the_cells_is_in_every_quarter_of_the_space() -> None:
    for seed in range(20):
        method = grid.ready(grid.RATES, seed=seed)
        for trial in range(4):
            method.suggest(f"t{trial}")
        first = [told.suggestion for told in method.told.values()]
        halves = {(g // 2, d // 2) for g, d in zip(grid.numbers("g", first), grid.numbers("d", first), strict=True)}
        assert len(halves) == 4


def test_groups_are_crossed_within_and_met_evenly_between() -> None:
    space = {**grid.RATES, "x": tune.uniform(0.0, 1.0), "kind": tune.choice(["a", "b"])}
    method = grid.ready(space, crossed=[("g", "d")], limits={"g": (1e-5, 0.1), "d": (1e-5, 0.1)})
    suggestions = grid.play(method, lambda config: config["x"])
    assert len(suggestions) == 16
    assert Counter(s.values["kind"] for s in suggestions) == {"a": 8, "b": 8}
    thirds = Counter(int(s.values["x"] * 3) for s in suggestions)
    assert set(thirds.values()) <= {5, 6}
    assert len({(s.values["kind"], int(s.values["x"] * 3)) for s in suggestions}) == 6
    cycles = [tuple(int(s.values["x"] * 3) for s in suggestions[i : i + 3]) for i in range(0, 15, 3)]
    assert len(set(cycles)) > 1
    assert all(sorted(cycle) == [0, 1, 2] for cycle in cycles)
    pairs = {str(s.cell).split(", x ")[0] for s in suggestions}
    assert len(pairs) == 16


def test_the_seed_decides_the_order_and_the_shifts() -> None:
    first, again, other = (grid.play(grid.ready(grid.RATES, seed=seed), grid.bowl(g=-3, d=-3)) for seed in (1, 1, 2))
    assert first == again
    assert [s.cell for s in first] != [s.cell for s in other]
    assert not {s.values["g"] for s in first} & {s.values["g"] for s in other}
