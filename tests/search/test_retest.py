"""The finalists of a search with fresh seeds: who they are, and who of them wins."""

import math
from typing import Any

import pytest
from ray import tune

from search.errors import SearchError
from search.method import FINISHED, SearchMethod
from search.stages import Stages
from search.staging.retest import Retest
from search.staging.stage import Stage
from search.suggestion import Suggestion


class Listed(SearchMethod):
    """Tries x = 0, 1, 2, ... and ends."""

    ends = True

    def __init__(self, *values: float, length: int | None = None) -> None:
        super().__init__()
        self.values, self.length = values, length

    def propose(self, number: int) -> Suggestion | str:
        if number == len(self.values):
            return FINISHED
        return Suggestion({"x": self.values[number]}, iterations=self.length)


def ready(*stages: Stage | Retest, mode: str = "min", iterations: int | None = 4) -> Stages:
    method = Stages(stages, iterations=iterations)
    method.set_search_properties("loss", mode, {"x": tune.uniform(-10, 10), "y": 0})
    return method


def grid(*values: float, name: str = "grid", **how: Any) -> Stage:
    return Stage(name, method=Listed(*values, length=how.pop("length", None)), **how)


def tell(method: Stages, losses: list[float | None], lengths: int = 4) -> list[Any]:
    """Play one trial after another; None fails. Returns the configurations."""
    configs = []
    for loss in losses:
        trial = f"t{len(method.told)}"
        config = method.suggest(trial)
        assert isinstance(config, dict)
        configs.append(config)
        length = config.get("training_iteration", lengths)
        result = None if loss is None else {"loss": loss, "training_iteration": length}
        method.on_trial_complete(trial, result, error=loss is None)
    return configs


def test_the_best_are_trained_again_seed_by_seed_in_full_with_fresh_seeds() -> None:
    method = ready(grid(0, 1, 2, 3), Retest(top=2, seeds=3))
    first = tell(method, [4.0, 1.0, 3.0, 2.0])
    again = tell(method, [1.0] * 6)
    assert [c["x"] for c in again] == [1, 3, 1, 3, 1, 3]
    assert len({c["seed"] for c in first + again}) == 10
    for trial in list(method.told.values())[4:]:
        suggestion = trial.suggestion
        assert suggestion.reason == suggestion.stage == "retest"
        assert (suggestion.whole, suggestion.iterations) == (True, None)
        assert suggestion.replica_of == ("t1" if trial.number % 2 == 0 else "t3")
    assert method.suggest("more") == FINISHED


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_winner_is_that_of_the_new_trials_alone(mode: str) -> None:
    sign = 1 if mode == "min" else -1
    method = ready(grid(0, 1, 2), Retest(top=2, seeds=2), mode=mode)
    tell(method, [sign * loss for loss in (9.0, -100.0, 1.0)])
    assert method.winner() is None
    tell(method, [sign * loss for loss in (2.0, 1.0, 4.0, 2.0)])
    winner = method.winner()
    assert winner is not None
    assert (winner.configuration, winner.values) == ("t2", (sign * 1.0, sign * 2.0))
    assert winner.mean == sign * 1.5
    assert winner.spread == pytest.approx(math.sqrt(0.5))
    assert method.config(winner.configuration)["x"] == 2


def test_a_finalist_counts_with_what_it_has_and_one_without_any_new_score_is_out() -> None:
    method = ready(grid(0, 1, 2), Retest(top=3, seeds=2))
    tell(method, [1.0, 2.0, 3.0])
    tell(method, [None, 5.0, 4.0, None, None, 5.0])
    best, other = method._parts[1].method.standings()
    assert method.winner() == best
    assert (best.configuration, best.values) == ("t2", (4.0, 5.0))
    assert (other.configuration, other.values) == ("t1", (5.0,))
    assert math.isnan(other.spread)


def test_cut_short_it_has_compared_all_finalists_alike() -> None:
    method = ready(grid(0, 1, 2), Retest(top=3, seeds=5))
    tell(method, [1.0, 2.0, 3.0])
    tell(method, [1.0] * 7)
    counts = [len(standing.values) for standing in method._parts[1].method.standings()]
    assert sorted(counts) == [2, 2, 3]


def test_fewer_configurations_than_asked_for_are_all_finalists_and_none_is_the_end() -> None:
    method = ready(grid(0, 1, 2), Retest(top=8, seeds=1))
    tell(method, [1.0, None, 2.0])
    assert [c["x"] for c in tell(method, [1.0, 1.0])] == [0, 2]
    assert method.suggest("more") == FINISHED
    nothing = ready(grid(0, 1), Retest())
    tell(nothing, [None, None])
    assert nothing.suggest("more") == FINISHED
    assert nothing.winner() is None


def test_finalists_come_from_the_finest_fidelity_and_the_next_fills_up() -> None:
    method = ready(
        grid(1, name="some of the data", data_fraction=0.5),
        grid(2, 3, name="short", budget=0.5),
        grid(4, 5, name="full"),
        Retest(top=4, seeds=1),
    )
    tell(method, [0.1, 1.0, 0.5, 4.0, 3.0])
    assert [c["x"] for c in tell(method, [1.0] * 4)] == [5, 4, 3, 2]
    assert {method.config(f"t{i}")["data_fraction"] for i in range(5, 9)} == {1.0}


def test_stages_of_one_fidelity_compete_and_the_same_settings_are_one_finalist() -> None:
    method = ready(
        grid(1, 2, name="part", data_fraction=0.5),
        grid(2, 3, name="full"),
        grid(4, name="again"),
        Retest(top=4, seeds=1),
    )
    tell(method, [0.2, 0.1, 2.0, 3.0, 2.5])
    assert [c["x"] for c in tell(method, [1.0] * 4)] == [2, 4, 3, 1]


def test_replicas_count_with_their_mean_when_finalists_are_chosen() -> None:
    method = ready(grid(0, 1), Stage("near", method=Listed(2.0), around=2.0), Retest(top=2, seeds=1))
    # Trial 2 is the best of the grid once more, now that its luck has run out.
    tell(method, [1.0, 3.0, 9.0, 4.0])
    assert [c["x"] for c in tell(method, [1.0, 1.0])] == [1, 2]


def test_the_length_is_a_multiple_of_the_searches_own() -> None:
    method = ready(grid(0), Retest(top=1, seeds=1, budget=2.5), iterations=4)
    tell(method, [1.0])
    assert tell(method, [1.0])[0]["training_iteration"] == 10
    assert method.told["t1"].state == "COMPLETE"


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"top": 0}, "Expected top to be a whole number from 1, got 0"),
        ({"seeds": 1.5}, "Expected seeds to be a whole number from 1, got 1.5"),
        ({"seeds": True}, "got True"),
        ({"budget": 0.0}, "Expected budget > 0, got 0.0"),
    ],
)
def test_numbers_out_of_their_range_are_named_at_construction(settings: dict[str, Any], rule: str) -> None:
    with pytest.raises(SearchError, match=rule):
        Retest(**settings)


def test_it_says_where_it_belongs() -> None:
    with pytest.raises(SearchError, match="Expected Retest to come after other stages"):
        Retest().set_search_properties("loss", "min", {"x": tune.uniform(0, 1)})
    with pytest.raises(SearchError, match="Expected iterations of the search for the budget of Retest"):
        ready(grid(0), Retest(budget=2.0), iterations=None)
