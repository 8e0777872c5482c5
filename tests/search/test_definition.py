"""A Search is checked when it is made, and a definition file says what is wrong and where."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from search import Bayesian, Budget, JitteredGrid, Random, Refine, Retest, Search, SearchError, Stage, Stages
from search.definition_file import DefinitionFile
from search.outlook import outlook


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
        ({"space": {"x": tune.choice([])}}, "Expected at least one value in the choice 'x'"),
        ({"method": Bayesian(points_to_evaluate=[{"y": 1}])}, r"parameters of the space \['x'\], got 'y'"),
        ({"method": Bayesian(points_to_evaluate=[{"x": 7.0}])}, "Expected 'x' between 0.* and 1.*, got 7.0"),
        ({"method": JitteredGrid(limits={"x": (0.2, 0.8)})}, "x.*0.2"),
        ({"method": JitteredGrid(limits={"y": (0, 1)})}, "got 'y'"),
        ({"method": Stages([Stage("a", fixed={"x": 1}, method=Random(), trials=2)])}, "Expected the stage 'a' to vary"),
        ({"method": Retest()}, "Expected Retest to come after other stages"),
        ({"stop": 5}, "Expected stop to be a Ray Tune Stopper such as Patience"),
        ({"stop": Budget(gpu_hours=1)}, "Expected trials that occupy a GPU for a budget of 1 GPU-hours"),
        ({"space": lambda trial: {}, "method": JitteredGrid()}, "Expected a sampler such as Bayesian"),
        ({"space": lambda trial: {}, "method": Random()}, "to ask its trial for parameters, got none"),
    ],
)
def test_a_search_that_cannot_be_is_named_when_it_is_made(wrong: dict[str, Any], rule: str) -> None:
    with pytest.raises(SearchError, match=rule):
        Search(**{**GOOD, **wrong})


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (lambda: Budget(seconds=0), "Expected seconds above zero, got 0"),
        (lambda: Refine(budget=0), "budget"),
        (lambda: Retest(budget=0), "Expected budget > 0, got 0"),
        (
            lambda: Stage("a", space={"x": tune.uniform(0, 1)}, fixed={"x": 1}, method=Random()),
            r"'x'.*",
        ),
        (lambda: Stages([Stage("a", method=Random()), Stage("b", method=Random())]), "'a'.*trials"),
        (lambda: JitteredGrid(limits={"x": (1, 0)}), "'x'"),
    ],
)
def test_parts_of_a_search_that_cannot_be_are_named_when_they_are_made(wrong: Callable[[], Any], rule: str) -> None:
    with pytest.raises(SearchError, match=rule) as fault:
        wrong()
    assert str(fault.value).startswith("Expected")


def test_a_search_leaves_the_number_of_trials_to_a_method_that_ends() -> None:
    assert Search(**GOOD).asked == 16
    assert Search(**GOOD, method=JitteredGrid()).asked is None
    assert Search(**GOOD, method=JitteredGrid(), trials=5).asked == 5


def test_the_outlook_of_a_search_says_how_many_trials_before_anything_runs() -> None:
    grid = JitteredGrid(points=4, refine=[Refine(budget=2.0)])
    stages = Stages([Stage("grid", method=grid), Stage("more", method=Random(), trials=7), Retest(top=2, seeds=3)])
    told = outlook(Search(**GOOD, method=stages, iterations=5))
    assert "as many trials as the method has of 5 reports" in told
    assert "  coarse: 4 trials" in told
    assert "more: x, 7 trials at most" in told
    assert "retest: 6 trials" in told


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
