"""Stages that cannot be are named before anything runs: the rule, the value and the next step."""

from collections.abc import Callable
from typing import Any

import pytest
from ray import tune

from search.errors import SearchError
from search.samplers import Random
from search.space import Choice, Space
from search.stages import Stages
from search.staging.ranges import widest
from search.staging.retest import Retest
from search.staging.stage import Stage

RATES = {"lr_g": tune.loguniform(1e-4, 1e-1), "lr_d": tune.loguniform(1e-5, 1e-2)}
REGULARISATION = {"weight_decay": tune.loguniform(1e-5, 1e-1), "net": {"norm": tune.choice(["batch", None])}}
CONSTANTS = {"data": "drawings", "net": {"width": 8}}


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (lambda: Stage("", space=RATES), "Expected a stage to have a name"),
        (lambda: Stage("a", method="grid"), "Expected the method of the stage 'a' .* got 'grid'"),  # type: ignore[arg-type]
        (lambda: Stage("a", method=Random), "Call the class"),  # type: ignore[arg-type]
        (lambda: Stage("a", space={"x": 1}), "Expected a Ray Tune domain in the space of the stage 'a'"),
        (
            lambda: Stage("a", space=RATES, fixed={"lr_g": 1}),
            "Expected a parameter in space or in fixed, got 'lr_g' in both",
        ),
        (lambda: Stage("a", space=REGULARISATION, fixed={"net/norm": 1}), "got 'net/norm' in both"),
        (lambda: Stage("a", fixed=RATES), "Expected values in fixed, got a domain for 'lr_g'"),
        (lambda: Stage("a", trials=0), "Expected trials to be a whole number from 1, got 0"),
        (lambda: Stage("a", trials=True), "Expected trials to be a whole number from 1, got True"),
        (lambda: Stage("a", around=1.0), "Expected around > 1, got 1.0"),
        (lambda: Stage("a", data_fraction=0.0), "Expected 0 < data_fraction <= 1, got 0.0"),
        (lambda: Stage("a", data_fraction=2), "Expected 0 < data_fraction <= 1, got 2"),
        (
            lambda: Stage("a", data_fraction=0.5, fixed={"data_fraction": 1}),
            "Expected the share of the data in one place",
        ),
        (lambda: Stage("a", budget=0), "Expected budget > 0, got 0"),
        (lambda: Stage("a", around=2, method=Random(points_to_evaluate=[{"x": 1}])), "around= or points_to_evaluate"),
        (lambda: Stage("a", fixed={"x": 1}, method=Retest()), "Expected no space, fixed, around or data_fraction"),
        (lambda: Stages([]), "Expected at least one stage, got none"),
        (lambda: Stages([Random()]), "Expected every stage to be a Stage or a Retest"),  # type: ignore[list-item]
        (lambda: Stages([Stage("a", trials=1), Stage("a")]), "Expected stages of different names, got 'a' twice"),
        (lambda: Stages([Stage("a"), Stage("b")]), "to come to an end, got no end for 'a': Bayesian"),
        (lambda: Stages([Retest()]), "Expected a stage before Retest"),
        (lambda: Stages([Stage("a", trials=1), Retest(), Stage("b")]), "Expected Retest as the last stage"),
        (lambda: Stages([Stage("a", around=2.0)]), "Expected around= only after another stage"),
        (lambda: Stages([Stage("a", method=Stages([Stage("b")]))]), "Expected one list of stages"),
    ],
)
def test_stages_that_cannot_be_are_named_at_construction(wrong: Callable[[], Any], rule: str) -> None:
    with pytest.raises(SearchError, match=rule):
        wrong()


@pytest.mark.parametrize(
    ("stages", "space", "rule"),
    [
        (
            [Stage("rates", space=RATES, trials=1), Stage("more", space=REGULARISATION)],
            {"net": {"norm": "batch"}},
            "got none for 'weight_decay' in the stage 'rates'",
        ),
        ([Stage("rates", space=RATES)], {"net": {"norm": tune.choice([1, 2])}}, "got none for 'net/norm'"),
        ([Stage("a", trials=1), Stage("b", space=RATES)], CONSTANTS, "'a' to vary at least one parameter, got none"),
        ([Stage("a", fixed={"x": 1})], {"x": tune.uniform(0, 1)}, "'a' to vary at least one parameter, got none"),
        (
            [Stage("a", space=RATES, method=Random(points_to_evaluate=[{"lr": 1}]))],
            {"y": 1},
            "Expected points to name parameters",
        ),
    ],
)
def test_what_cannot_be_with_the_space_of_the_search_is_named_before_the_first_trial(
    stages: list[Stage], space: dict[str, Any], rule: str
) -> None:
    with pytest.raises(SearchError, match=rule):
        Stages(stages).set_search_properties("loss", "min", space)


def test_one_name_cannot_be_a_number_and_a_choice_in_one_record() -> None:
    stages = Stages(
        [Stage("a", space={"x": tune.choice([1, 2])}, trials=1), Stage("b", space={"x": tune.uniform(0, 1)})]
    )
    with pytest.raises(SearchError, match="Expected 'x' to be a number in all stages or a choice in all"):
        stages.whole_space(Space.from_domains({}))
    with pytest.raises(SearchError, match="Expected the same values of 'x' in all stages"):
        widest([Choice("x", ((1, 2), (3, 4))), Choice("x", ((3, 4),))])
