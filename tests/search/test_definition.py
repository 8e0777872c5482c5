"""A Search is checked when it is made, and a definition file says what is wrong and where."""

from pathlib import Path
from typing import Any

import pytest
from ray import tune

from search import Random, Search, SearchError
from search.definition_file import DefinitionFile


def train(config: dict[str, Any]) -> None:
    tune.report({"loss": config["x"]})


GOOD: dict[str, Any] = {
    "trainable": train,
    "space": {"x": tune.uniform(0, 1)},
    "metric": "loss",
    "mode": "min",
}


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"mode": "maximum"}, "Expected mode to be one of min, max, got 'maximum'"),
        ({"score": "mean"}, "Expected score to be one of best, last, got 'mean'"),
        ({"trials": 0}, "Expected trials to be a whole number from 1, got 0"),
        ({"trials": 1.5}, "Expected trials to be a whole number from 1, got 1.5"),
        ({"iterations": 0}, "Expected iterations to be a whole number from 1, got 0"),
        ({"concurrent": 0}, "Expected concurrent to be a whole number from 1, got 0"),
        ({"keep_checkpoints": 0}, "Expected keep_checkpoints to be a whole number from 1"),
        ({"metric": ""}, "Expected the name of a reported value as metric"),
        ({"trainable": "train"}, "Expected a class or function trainable, got 'train'"),
        ({"method": Random}, "Call the class"),
        ({"space": {"x": 1}}, "Expected at least one parameter to search, got none"),
        ({"space": {"x": tune.uniform(1, 0)}}, "Expected low < high"),
    ],
)
def test_a_search_that_cannot_be_is_named_when_it_is_made(wrong: dict[str, Any], rule: str) -> None:
    with pytest.raises(SearchError, match=rule):
        Search(**{**GOOD, **wrong})


def test_the_record_of_a_search_names_its_parts() -> None:
    described = Search(**GOOD, trials=3, method=Random()).describe()
    assert (described["trainable"], described["method"], described["trials"]) == ("train", "Random()", 3)
    wrapped = Search(**{**GOOD, "trainable": tune.with_parameters(train, extra=1)})
    assert wrapped.describe()["trainable"] == "train"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("search = (", r"line 1: '\(' was never closed"),
        (
            "import nothing_of_that_name",
            "line 1: ModuleNotFoundError: No module named 'nothing_of_that_name'",
        ),
        ("x = 1", "to define `search`, found nothing of that name"),
        ("search = 3", "to define `search`, found 3"),
        ("\n\n1 / 0", "line 3: ZeroDivisionError"),
        (
            "from ray import tune\nfrom search import Search\n"
            "search = Search(trainable=print, metric='m', mode='min',\n  space={'lr': tune.loguniform(1e-2, 1e-5)})",
            r"line 3: Expected low < high, both finite, for 'lr', got low=0.01, high=1e-05",
        ),
    ],
)
def test_a_fault_in_a_definition_file_is_named_with_its_line(tmp_path: Path, text: str, rule: str) -> None:
    file = tmp_path / "definition.py"
    file.write_text(text)
    with pytest.raises(SearchError, match=rule) as fault:
        DefinitionFile.load(file)
    assert str(file) in str(fault.value)


def test_a_missing_definition_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match="found none at"):
        DefinitionFile.load(tmp_path / "absent.py")


def test_a_function_that_fails_or_returns_something_else_is_named(tmp_path: Path) -> None:
    file = tmp_path / "definition.py"
    file.write_text("def search(n: int = 1):\n    return {}[n] if n else 5\n")
    definition = DefinitionFile.load(file)
    assert [p.name for p in definition.parameters] == ["n"]
    with pytest.raises(SearchError, match="line 2: KeyError: 3"):
        definition.build(n=3)
    with pytest.raises(SearchError, match="to return a Search, got 5"):
        definition.build(n=0)
