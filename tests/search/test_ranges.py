"""Windows, widths and middles of axes."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.space import Choice, Number
from search.staging.ranges import middle, near, stretched

NUMBERS = st.sampled_from(
    [
        Number("x", 1e-5, 1e-1, log=True),
        Number("x", -3.0, 5.0),
        Number("x", 0.0, 1.0, step=0.1),
        Number("x", 4, 64, integer=True),
        Number("x", 1, 512, log=True, integer=True),
        Number("x", 16, 256, log=True, step=16, integer=True),
        Number("x", 0, 7, step=3, integer=True),
    ]
)


@settings(max_examples=200, deadline=None)
@given(axis=NUMBERS, share=st.floats(0, 1), around=st.floats(1.01, 100))
def test_a_window_holds_the_value_and_lies_inside_the_axis(axis: Number, share: float, around: float) -> None:
    value = axis.low * (axis.high / axis.low) ** share if axis.log else axis.low + share * (axis.high - axis.low)
    value = round(value) if axis.integer else min(max(value, axis.low), axis.high)
    window = near(axis, value, around)
    assert isinstance(window, Number)
    assert axis.low <= window.low <= value <= window.high <= axis.high
    step = axis.step or (1 if axis.integer else 0)
    reach = (
        (value / around, value * around)
        if axis.log
        else (
            value - (axis.high - axis.low) / around,
            value + (axis.high - axis.low) / around,
        )
    )
    slack = step + 1e-9 * abs(value)
    assert reach[0] - slack <= window.low or window.low == axis.low
    assert window.high <= reach[1] + slack or window.high == axis.high
    assert axis.low <= middle(axis) <= axis.high


def test_a_window_around_what_does_not_fit_an_axis_is_the_whole_axis() -> None:
    log, choice = Number("x", 1e-3, 1.0, log=True), Choice("x", (1, 2))
    for value in (0, -1.0, "many", None, True, math.nan):
        assert near(log, value, 10) == stretched(log, value) == log
    assert near(choice, 1, 10) == stretched(choice, 3) == choice
    assert near(log, 5.0, 10) == Number("x", 0.1, 1.0, log=True)


def test_a_window_is_a_factor_on_log_axes_and_a_share_of_the_width_on_others() -> None:
    log = near(Number("x", 1e-5, 1.0, log=True), 1e-3, 10)
    assert isinstance(log, Number)
    assert (log.low, log.high) == (pytest.approx(1e-4), pytest.approx(1e-2))
    assert near(Number("x", -3.0, 5.0), 1.0, 4) == Number("x", -1.0, 3.0)
    assert near(Number("x", 0, 100, integer=True), 50, 10) == Number("x", 40, 60, integer=True)


def test_the_middle_of_an_axis_is_a_value_it_has() -> None:
    assert middle(Number("x", 1, 100, log=True, integer=True)) == 10
    assert middle(Number("x", 0.0, 1.0, step=0.25)) == 0.5
    assert middle(Number("x", 16, 256, log=True, step=16, integer=True)) == 64
    assert middle(Choice("x", ("first", "second"))) == "first"
