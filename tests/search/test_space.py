"""Ray Tune's domains as axes: what a sampler may suggest and what a trial is given."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray import tune

from search import SearchError
from search.params import flatten, nest
from search.space import Choice, Number, Space


@pytest.mark.parametrize(
    ("domain", "axis"),
    [
        (tune.uniform(-1, 2), Number("x", -1, 2)),
        (tune.loguniform(1e-5, 1e-2), Number("x", 1e-5, 1e-2, log=True)),
        (tune.quniform(0, 1, 0.25), Number("x", 0, 1, step=0.25)),
        (tune.randint(1, 9), Number("x", 1, 8, integer=True)),
        (tune.qrandint(2, 10, 2), Number("x", 2, 10, step=2, integer=True)),
        (tune.lograndint(1, 65), Number("x", 1, 64, log=True, integer=True)),
        (tune.choice(["a", None]), Choice("x", ("a", None))),
        (tune.grid_search([1, 2]), Choice("x", (1, 2))),
    ],
)
def test_a_domain_becomes_the_axis_it_names(domain: Any, axis: Number | Choice) -> None:
    assert Space.from_domains({"x": domain}).axes == (axis,)


@pytest.mark.parametrize(
    ("domain", "rule"),
    [
        (tune.uniform(2, 1), r"Expected low < high.*'lr'.*low=2, high=1"),
        (tune.loguniform(1e-2, 1e-5), r"Expected low < high.*low=0.01, high=1e-05"),
        (tune.choice([]), r"at least one value in the choice 'lr'"),
        (tune.randn(), r"two ends"),
        (tune.sample_from(lambda _: 1), r"uniform, log, integer or choice domain for 'lr', got Function"),
    ],
)
def test_a_domain_that_no_sampler_can_draw_from_is_named_with_its_rule(domain: Any, rule: str) -> None:
    with pytest.raises(SearchError, match=rule):
        Space.from_domains({"lr": domain})


def test_a_log_axis_starts_above_zero() -> None:
    with pytest.raises(SearchError, match=r"Expected 0 < low on the log axis 'lr', got low=0"):
        Number("lr", 0, 1, log=True)


def test_equal_values_of_different_types_are_different_choices() -> None:
    axis = Choice("x", (1, True, 1.0))
    assert [axis.label(v) for v in (1, True, 1.0)] == [1, True, 1.0]
    assert [type(axis.value(v)) for v in (1, True, 1.0)] == [int, bool, float]


def test_a_choice_of_lists_gives_the_trial_the_lists_themselves() -> None:
    space = Space.from_domains({"layers": tune.choice([[8], [8, 16]])})
    labels = space.labels({"layers": [8, 16]})
    assert space.config(labels) == {"layers": [8, 16]}


def test_whole_numbers_on_a_stepped_log_axis_stay_on_their_steps() -> None:
    space = Space.from_domains({"n": tune.qlograndint(8, 64, 8)})
    assert [space.config({"n": n})["n"] for n in (8, 11, 13, 64)] == [8, 8, 16, 64]


def test_constants_and_nested_names_reach_the_trial_as_they_were_written() -> None:
    space = Space.from_domains({"net": {"depth": tune.randint(1, 4), "kind": "unet"}, "data": "d"})
    assert space.config({"net/depth": 2}) == {"net": {"depth": 2, "kind": "unet"}, "data": "d"}


@pytest.mark.parametrize(
    ("point", "rule"),
    [
        ({"lrr": 1}, r"parameters of the space \['lr'\], got 'lrr'"),
        ({"lr": 5}, r"Expected 'lr' between 0 and 1, got 5"),
        ({"lr": "a"}, r"Expected 'lr' between 0 and 1, got 'a'"),
    ],
)
def test_a_point_off_the_space_is_named(point: dict[str, Any], rule: str) -> None:
    with pytest.raises(SearchError, match=rule):
        Space.from_domains({"lr": tune.uniform(0, 1)}).labels(point)


names = st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=4)
trees = st.recursive(st.integers(), lambda inner: st.dictionaries(names, inner, min_size=1, max_size=3))


@given(st.dictionaries(names, trees, min_size=1, max_size=3))
def test_nesting_undoes_flattening(tree: dict[str, Any]) -> None:
    assert nest(flatten(tree)) == tree


def test_the_record_of_a_space_is_plain_data() -> None:
    space = Space.from_domains({"lr": tune.loguniform(1e-5, 1e-2), "act": tune.choice([abs, None]), "k": 3})
    described = space.describe()
    assert described["lr"] == {"type": "loguniform", "low": 1e-5, "high": 1e-2}
    assert described["act"] == {"type": "choice", "values": [repr(abs), None]}
    assert described["k"] == {"type": "constant", "value": 3}
