"""CMA-ES told generation by generation."""

import numpy as np
import pytest
from optuna.distributions import FloatDistribution

from search.models.cube import Cube
from search.models.evolution import Evolution

CUBE = Cube({"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)})


def draws(evolution: Evolution, n: int = 64) -> np.ndarray:
    found = [evolution.ask(seed) for seed in range(n)]
    return np.array([list(params.values()) for params in found if params])


def test_there_is_nothing_to_draw_from_before_the_start_up_has_ended_with_a_success() -> None:
    evolution = Evolution(CUBE, startup=2, seed=0)
    for _ in range(3):
        evolution.tell({"x": 0.9, "y": 0.9}, None)
    assert evolution.ask(0) is None
    evolution.tell({"x": 0.3, "y": 0.6}, 1.0)
    assert draws(evolution).mean(0) == pytest.approx([0.3, 0.6], abs=0.1)


def test_generations_come_closer_to_the_best_place_and_failures_keep_away() -> None:
    evolution = Evolution(CUBE, startup=1, seed=0)
    evolution.tell({"x": 0.3, "y": 0.6}, 1.0)
    for number in range(150):
        params = evolution.ask(number) or {}
        off = (params["x"] - 0.7) ** 2 + (params["y"] - 0.2) ** 2
        evolution.tell(params, None if params["x"] > 0.9 else off)
    found = draws(evolution)
    assert found.mean(0) == pytest.approx([0.7, 0.2], abs=0.05)
    assert (found.std(0) < 0.1).all()


def test_more_failures_than_a_generation_holds_do_not_stop_it() -> None:
    evolution = Evolution(CUBE, startup=1, seed=0)
    evolution.tell({"x": 0.3, "y": 0.6}, 1.0)
    for number in range(20):
        evolution.tell(evolution.ask(number) or {}, None)
    evolution.tell({"x": 0.2, "y": 0.2}, 0.5)
    assert len(draws(evolution)) == 64


@pytest.mark.parametrize("dims", [0, 1])
def test_spaces_of_one_number_or_none_are_spaces_too(dims: int) -> None:
    cube = Cube(dict(list(CUBE.distributions.items())[:dims]))
    evolution = Evolution(cube, startup=1, seed=0)
    for number in range(30):
        params = evolution.ask(number) or {"x": 0.5}
        evolution.tell(params, (params.get("x", 0) - 0.8) ** 2)
    assert set(evolution.ask(1) or {}) == set(cube.distributions)
