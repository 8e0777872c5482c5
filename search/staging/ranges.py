"""Arithmetic of axes: a window around a value, the widest of several ranges, the middle of one. It never draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from search.errors import SearchError
from search.method import is_finite_number
from search.space import Axis, Choice, Number


def near(axis: Axis, value: Any, around: float) -> Axis:
    """The part of an axis around a value.

    A log axis keeps value / around to value * around, a linear one 1/around of its width to either side; both are cut
    off at the ends of the axis, and whole numbers and steps are rounded away from the value. A choice, and an axis that
    the value does not fit, stay as they are.

    Args:
        around: above 1.
    """
    if not isinstance(axis, Number) or not _fits(axis, value):
        return axis
    centre = min(max(value, axis.low), axis.high)
    reach = (axis.high - axis.low) / around
    low, high = (centre / around, centre * around) if axis.log else (centre - reach, centre + reach)
    if unit := axis.step or (1 if axis.integer else None):
        anchor = 0 if axis.log else axis.low
        low = anchor + math.floor((low - anchor) / unit) * unit
        high = anchor + math.ceil((high - anchor) / unit) * unit
    return replace(axis, low=max(low, axis.low), high=min(high, axis.high))


def stretched(axis: Axis, value: Any) -> Axis:
    """The axis, long enough for a value that somebody found beyond its end."""
    if not isinstance(axis, Number) or not _fits(axis, value):
        return axis
    return replace(axis, low=min(axis.low, value), high=max(axis.high, value))


def widest(axes: Sequence[Axis]) -> Axis:
    """One axis that holds all values of several of the same name.

    Raises:
        SearchError: some are numbers and some are choices, or values that only their place names are not the same.
    """
    choices = [axis for axis in axes if isinstance(axis, Choice)]
    numbers = [axis for axis in axes if isinstance(axis, Number)]
    first = axes[0]
    if choices and numbers:
        raise SearchError(
            f"Expected {first.name!r} to be a number in all stages or a choice in all, got both."
            " Use tune.choice in all of them, or two names."
        )
    if choices:
        if any(choice.labels != choice.values and choice.values != choices[0].values for choice in choices):
            raise SearchError(
                f"Expected the same values of {first.name!r} in all stages, got {[c.values for c in choices]}."
                " Only choices between numbers, texts, True, False and None may differ."
            )
        # 1, 1.0 and True are equal in Python; as values of a choice they are not.
        values = {(type(value), repr(value)): value for axis in choices for value in axis.values}
        return Choice(first.name, tuple(values.values()))
    low, high = min(axis.low for axis in numbers), max(axis.high for axis in numbers)
    steps = {axis.step for axis in numbers}
    return Number(
        first.name,
        low,
        high,
        log=low > 0 and any(axis.log for axis in numbers),
        step=steps.pop() if len(steps) == 1 else None,
        integer=all(axis.integer for axis in numbers),
    )


def holds(axis: Axis, value: Any) -> bool:
    """Whether the value lies on the axis."""
    try:
        axis.label(value)
    except SearchError:
        return False
    return True


def middle(axis: Axis) -> Any:
    """What a trial is given where nothing is known: the middle of a range, the first value of a choice."""
    if isinstance(axis, Choice):
        return axis.values[0]
    value = math.sqrt(axis.low * axis.high) if axis.log else (axis.low + axis.high) / 2
    if unit := axis.step or (1 if axis.integer else None):
        anchor = 0 if axis.log else axis.low
        value = min(anchor + round((value - anchor) / unit) * unit, axis.high)
    return int(value) if axis.integer else float(value)


def _fits(axis: Number, value: Any) -> bool:
    return is_finite_number(value) and not (axis.log and value <= 0)
