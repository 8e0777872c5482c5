"""How the losses of stopped trials are carried to the full length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.models.comparable import Losses, Projection

curves = st.dictionaries(st.integers(1, 9), st.floats(-100, 100), min_size=1).map(lambda r: Losses.of(r, "last", 1.0))


def curve(*values: float) -> Losses:
    return Losses.of(dict(enumerate(values, start=1)), "last", 1.0)


def test_a_stopped_loss_is_carried_by_what_the_others_gained_after_that_report() -> None:
    learned = Projection.learn([curve(9, 6, 5), curve(8, 8, 6), curve(7)], full=3)
    assert learned.carry_one(curve(7)) == (pytest.approx(7 - 3), pytest.approx(1))
    assert learned.carry_one(curve(9, 6, 5)) == (5, 0)


def test_gains_are_learned_step_by_step_where_nobody_went_all_the_way() -> None:
    learned = Projection.learn([curve(9, 6), curve(8)], full=5)
    assert learned.carry_one(curve(8)) == (5, 0)
    learned = Projection.learn([curve(9, 6, 5), curve(8, 7), curve(7)], full=3)
    assert learned.carry_one(curve(7)) == (pytest.approx(7 - 2 - 1), pytest.approx(1))


def test_without_a_trial_that_went_on_a_loss_stays_as_it_is() -> None:
    assert Projection.learn([curve(7), curve(8)], full=9).carry_one(curve(7)) == (7, 0)
    assert Projection.learn([], full=9).carry_one(curve(7)) == (7, 0)


def test_a_trial_between_two_lengths_counts_as_one_of_the_shorter() -> None:
    learned = Projection.learn([curve(9, 7, 6, 5), curve(8)], full=4)
    assert learned.carry_one(curve(9, 7)) == learned.carry_one(curve(7))


@given(st.lists(curves, max_size=8), st.integers(1, 9), st.floats(-10, 10), st.floats(0, 10))
def test_of_two_trials_of_one_length_the_better_stays_the_better(
    known: list[Losses], length: int, value: float, more: float
) -> None:
    learned = Projection.learn(known, full=9)
    better, worse = (learned.carry_one(Losses((length,), (v,)))[0] for v in (value, value + more))
    assert better <= worse


@given(st.lists(curves, max_size=8), curves)
def test_a_trial_of_the_full_length_counts_as_it_is(known: list[Losses], trial: Losses) -> None:
    full = max([trial.length, *(k.length for k in known)])
    whole = Losses((full,), (trial.end,))
    assert Projection.learn([*known, whole], full).carry_one(whole) == (trial.end, 0.0)


@given(st.lists(curves, min_size=1, max_size=8), curves, st.floats(-50, 50))
def test_a_constant_added_to_all_losses_is_added_to_what_they_are_carried_to(
    known: list[Losses], trial: Losses, shift: float
) -> None:
    moved = [Losses(k.iterations, tuple(v + shift for v in k.values)) for k in [*known, trial]]
    before = Projection.learn([*known, trial], 9).carry_one(trial)
    after = Projection.learn(moved, 9).carry_one(moved[-1])
    assert after == (pytest.approx(before[0] + shift, abs=1e-6), pytest.approx(before[1], abs=1e-6))


@pytest.mark.parametrize(
    ("score", "sign", "values"), [("last", 1.0, (3, 1, 2)), ("best", 1.0, (3, 1, 1)), ("best", -1.0, (-3, -3, -3))]
)
def test_what_counts_is_the_best_or_the_last_report_so_far(score: str, sign: float, values: tuple[float, ...]) -> None:
    losses = Losses.of({1: 3.0, 4: 1.0, 6: 2.0}, score, sign)  # type: ignore[arg-type]
    assert losses.values == values
    assert [losses.at(i) for i in (1, 3, 4, 9)] == [values[0], values[0], values[1], values[2]]
