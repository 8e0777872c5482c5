"""What a model is shown: no more than it can weigh, the best and the nearest of many."""

from typing import Any

import pytest
from optuna.distributions import FloatDistribution

from search.models.comparable import Losses
from search.models.cube import Cube
from search.models.evidence import Evidence, Seen

AXIS = {"x": FloatDistribution(0, 1)}


def seen(x: float, loss: float | None, length: int = 1) -> Seen:
    return Seen({"x": x}, AXIS, None if loss is None else Losses((length,), (loss,)))


def shown(evidence: Evidence, *running: Seen) -> list[tuple[Any, ...]]:
    return [(o.params["x"], o.loss, o.running) for o in evidence.observations(running, 1)]


def test_beyond_the_cap_the_best_and_those_nearest_to_the_best_are_shown_whatever_their_age() -> None:
    evidence = Evidence(Cube(AXIS), cap=4)
    for x, loss in [(0.30, 0.0), (0.9, 0.1), (0.31, 9.0), (0.1, 5.0), (0.95, 5.0), (0.33, 8.0), (0.6, 5.0)]:
        evidence.add(seen(x, loss))
    assert [x for x, _, _ in shown(evidence)] == [0.30, 0.9, 0.31, 0.33]


def test_up_to_the_cap_everything_is_shown_and_what_is_under_way_always() -> None:
    evidence = Evidence(Cube(AXIS), cap=2)
    evidence.add(seen(0.1, 1.0))
    evidence.add(seen(0.2, 2.0))
    assert shown(evidence, seen(0.5, None), seen(0.6, 3.0)) == [
        (0.1, 1.0, False),
        (0.2, 2.0, False),
        (0.5, None, True),
        (0.6, 3.0, True),
    ]


def test_a_failed_trial_is_shown_as_the_worst_and_nothing_is_shown_where_all_failed() -> None:
    evidence = Evidence(Cube(AXIS), cap=9)
    evidence.add(seen(0.1, None))
    assert shown(evidence) == []
    evidence.add(seen(0.2, 2.0))
    evidence.add(seen(0.3, 7.0))
    assert shown(evidence)[0] == (0.1, 7.0, False)


def test_a_trial_that_is_longer_than_the_full_length_makes_that_the_full_length() -> None:
    evidence = Evidence(Cube(AXIS), cap=9)
    evidence.add(Seen({"x": 0.1}, AXIS, Losses((1, 4), (5.0, 3.0))))
    evidence.add(seen(0.2, 4.0))
    assert [o.loss for o in evidence.observations([], 2)] == pytest.approx([3.0, 2.0])
