"""Search spaces: Ray Tune's domains as axes, the form in which samplers, files and figures see them.

A space is a dict of Ray Tune domains, constants and further dicts. Nested names are joined by "/".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from ray.tune.search import sample

from search.errors import SearchError
from search.params import Params, as_data, flatten, nest


@dataclass(frozen=True)
class Number:
    """A numeric axis from `low` to `high`, both included.

    Log axes are sampled evenly in the logarithm. A `step` keeps to low, low + step, ...; an integer axis has
    whole numbers and at least the step 1.
    """

    name: str
    low: float
    high: float
    log: bool = False
    step: float | None = None
    integer: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise SearchError(
                f"Expected low < high, both finite, for {self.name!r}, got low={self.low}, high={self.high}."
                " Give the smaller bound first; a value that never changes is written as a plain constant."
            )
        if self.log and self.low <= 0:
            raise SearchError(
                f"Expected 0 < low on the log axis {self.name!r}, got low={self.low}."
                " Start above zero, or use a linear axis such as tune.uniform."
            )

    def distribution(self) -> BaseDistribution:
        """The axis as an Optuna distribution."""
        # Optuna has no stepped log axis: `value` takes the steps there.
        step = None if self.log else self.step
        if self.integer:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(step or 1))
        return FloatDistribution(self.low, self.high, log=self.log, step=step)

    def value(self, suggested: Any) -> Any:
        """What a trial is given for a suggested value."""
        if not (self.log and self.step):
            return suggested
        stepped = min(max(round(suggested / self.step) * self.step, self.low), self.high)
        return int(stepped) if self.integer else stepped

    def label(self, value: Any) -> Any:
        """What is suggested to get `value`; the inverse of `value`."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            raise SearchError(
                f"Expected {self.name!r} between {self.low} and {self.high}, got {value!r}."
                " Change the point, or widen the axis."
            )
        return int(value) if self.integer else float(value)

    def describe(self) -> dict[str, Any]:
        """The axis as JSON data."""
        kind = {(False, False): "uniform", (True, False): "loguniform", (False, True): "randint"}.get(
            (self.log, self.integer), "lograndint"
        )
        low, high = (int(self.low), int(self.high)) if self.integer else (self.low, self.high)
        return {"type": kind, "low": low, "high": high} | ({"step": self.step} if self.step else {})


@dataclass(frozen=True)
class Choice:
    """An axis of unordered values, of any kind that JSON or `repr` can name."""

    name: str
    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise SearchError(
                f"Expected at least one value in the choice {self.name!r}, got none. Add a value or drop the parameter."
            )

    @property
    def labels(self) -> tuple[Any, ...]:
        """The values as Optuna takes them: scalars as they are, others by a text that names them."""
        scalar = all(v is None or isinstance(v, bool | int | float | str) for v in self.values)
        return self.values if scalar else tuple(f"{i}: {v!r}" for i, v in enumerate(self.values))

    def distribution(self) -> BaseDistribution:
        """The axis as an Optuna distribution."""
        return CategoricalDistribution(self.labels)

    def value(self, suggested: Any) -> Any:
        """What a trial is given for a suggested label."""
        return self.values[self._index(self.labels, suggested)]

    def label(self, value: Any) -> Any:
        """What is suggested to get `value`; the inverse of `value`."""
        return self.labels[self._index(self.values, value)]

    def describe(self) -> dict[str, Any]:
        """The axis as JSON data."""
        return {"type": "choice", "values": [as_data(v) for v in self.values]}

    def _index(self, among: tuple[Any, ...], wanted: Any) -> int:
        # 1, 1.0 and True are equal in Python; a choice between them is not.
        for index, candidate in enumerate(among):
            if type(candidate) is type(wanted) and candidate == wanted:
                return index
        raise SearchError(
            f"Expected {self.name!r} to be one of {list(self.values)}, got {wanted!r}."
            " Change the point, or add the value to the choice."
        )


Axis = Number | Choice


@dataclass(frozen=True)
class Space:
    """The axes that a search varies and the constants that every trial is given.

    Names of nested parameters are joined by "/"; `nest` builds the dicts again.
    """

    axes: tuple[Axis, ...]
    constants: tuple[tuple[str, Any], ...]

    @classmethod
    def from_domains(cls, domains: Mapping[str, Any]) -> Space:
        """Read a dict of Ray Tune domains.

        Raises:
            SearchError: an axis is empty, upside down, or of a kind that no sampler here can draw from.
        """
        flat = flatten(domains)
        axes = tuple(axis for name, value in flat.items() if (axis := _axis(name, value)) is not None)
        varied = {axis.name for axis in axes}
        return cls(axes, tuple((name, value) for name, value in flat.items() if name not in varied))

    def distributions(self) -> dict[str, BaseDistribution]:
        """Every axis as an Optuna distribution, by name."""
        return {axis.name: axis.distribution() for axis in self.axes}

    def config(self, suggested: Mapping[str, Any]) -> Params:
        """The nested configuration of a trial: the suggested values on their axes, and the constants."""
        return nest(self.flat_config(suggested))

    def flat_config(self, suggested: Mapping[str, Any]) -> Params:
        """`config` before nesting: name -> value, nested names joined by "/"."""
        return dict(self.constants) | {axis.name: axis.value(suggested[axis.name]) for axis in self.axes}

    def labels(self, point: Mapping[str, Any]) -> Params:
        """A point somebody wrote, as suggestions; axes it does not name are left to the sampler.

        Raises:
            SearchError: a name that is no axis, or a value off its axis.
        """
        flat, axes = flatten(point), {axis.name: axis for axis in self.axes}
        for name in flat:
            if name not in axes:
                raise SearchError(
                    f"Expected points to name parameters of the space {sorted(axes)}, got {name!r}."
                    " Correct the name, or add it to the space."
                )
        return {name: axes[name].label(value) for name, value in flat.items()}

    def describe(self) -> dict[str, dict[str, Any]]:
        """The space as JSON data: name -> {"type": ..., bounds or values}."""
        constants = {name: {"type": "constant", "value": as_data(value)} for name, value in self.constants}
        return {axis.name: axis.describe() for axis in self.axes} | constants


def _axis(name: str, value: Any) -> Axis | None:
    if isinstance(value, Mapping) and set(value) == {"grid_search"}:
        return Choice(name, tuple(value["grid_search"]))
    if isinstance(value, sample.Categorical):
        return Choice(name, tuple(value.categories))
    if isinstance(value, sample.Float | sample.Integer):
        return _number(name, value)
    if isinstance(value, sample.Domain):
        raise SearchError(
            f"Expected a uniform, log, integer or choice domain for {name!r}, got {type(value).__name__}."
            " Derive the value inside the trainable instead."
        )
    return None


def _number(name: str, domain: sample.Float | sample.Integer) -> Number:
    sampler, step = domain.get_sampler(), None
    if isinstance(sampler, sample.Quantized):
        sampler, step = sampler.get_sampler(), sampler.q
    integer = isinstance(domain, sample.Integer)
    log = isinstance(sampler, sample.LogUniform)
    if isinstance(sampler, sample.Normal) or domain.lower is None or domain.upper is None:
        raise SearchError(
            f"Expected a range with two ends for {name!r}, got a normal or open one."
            " Use tune.uniform or tune.loguniform with bounds."
        )
    # Ray's plain integer domains exclude their upper bound, the quantized ones include it.
    high = domain.upper - 1 if integer and step is None else domain.upper
    if integer and step in (None, 1):
        step = None
    return Number(name, domain.lower, high, log=log, step=step, integer=integer)
