"""What values hyperparameters may have, and how one is told of those they may not."""

import math
from collections.abc import Iterable
from typing import Any, get_args

_KINDS = {bool: "True or False", int: "a whole number", str: "a text"}


def check_type(name: str, kind: Any, value: object) -> None:
    """Raise where a value is not of its field's type: one of a Literal, a finite float, an int, a bool or a str."""
    choices = get_args(kind)
    if choices:
        if value not in choices:
            raise ValueError(f"Expected {name} to be one of {', '.join(map(repr, choices))}, got {value!r}.")
    elif kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"Expected {name} to be a finite number, got {value!r}.")
    elif isinstance(value, bool) is not (kind is bool) or not isinstance(value, kind):
        raise ValueError(f"Expected {name} to be {_KINDS[kind]}, got {value!r}.")


def expect(holds: bool, rule: str, name: str, settings: object) -> None:
    """Raise where a rule about the field of this name does not hold."""
    if not holds:
        raise ValueError(f"Expected {rule}, got {name}={getattr(settings, name)!r}.")


def above_zero(names: Iterable[str], settings: object) -> None:
    """Expect fields to be more than 0."""
    for name in names:
        expect(getattr(settings, name) > 0, f"{name} > 0", name, settings)


def not_negative(names: Iterable[str], settings: object) -> None:
    """Expect fields to be 0 or more."""
    for name in names:
        expect(getattr(settings, name) >= 0, f"{name} >= 0", name, settings)


def shares(names: Iterable[str], settings: object) -> None:
    """Expect fields to be at least 0 and less than 1."""
    for name in names:
        expect(0 <= getattr(settings, name) < 1, f"0 <= {name} < 1", name, settings)


def at_least_one(names: Iterable[str], settings: object) -> None:
    """Expect counts to be 1 or more."""
    for name in names:
        expect(getattr(settings, name) >= 1, f"{name} >= 1", name, settings)
