"""What is found out about a define-by-run space before a search begins."""

from typing import Any

import optuna
import pytest

from search import SearchError
from search.models.define_by_run import as_json, discover, from_json


def branches(trial: optuna.Trial) -> None:
    kind = trial.suggest_categorical("kind", ["a", "b"])
    trial.suggest_int("depth", 1 if kind == "a" else 3, 4 if kind == "a" else 9)
    if kind == "b":
        trial.suggest_float("rate", 1e-3, 1, log=True)
        trial.suggest_categorical("norm", [None, True, 1])


def test_an_axis_seen_with_several_ranges_has_all_of_them() -> None:
    described = discover(branches).describe()
    assert described == {
        "kind": {"type": "choice", "values": ["a", "b"]},
        "depth": {"type": "randint", "low": 1, "high": 9},
        "rate": {"type": "loguniform", "low": 1e-3, "high": 1},
        "norm": {"type": "choice", "values": [None, True, 1]},
    }


def test_the_same_function_is_found_out_the_same_way() -> None:
    assert discover(branches) == discover(branches)


def two_kinds(trial: optuna.Trial) -> None:
    if trial.suggest_categorical("c", [0, 1]):
        trial.suggest_float("x", 0, 1)
    else:
        trial.suggest_int("x", 0, 1)


def asks_nothing(trial: optuna.Trial) -> None:
    pass


def returns_a_number(trial: optuna.Trial) -> Any:
    return trial.suggest_float("x", 0, 1)


def fails(trial: optuna.Trial) -> None:
    raise KeyError("lr")


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        (two_kinds, "different branches different names"),
        (asks_nothing, "got none"),
        (returns_a_number, "constants by name"),
        (fails, "KeyError: 'lr'"),
    ],
)
def test_a_function_that_is_no_space_is_named(function: Any, fault: str) -> None:
    with pytest.raises(SearchError, match=fault):
        discover(function)


def test_distributions_come_back_from_their_text() -> None:
    found = {axis.name: axis.distribution() for axis in discover(branches).axes}
    assert from_json(as_json(found)) == found
