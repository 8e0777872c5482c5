"""Optuna distributions as axes of the unit cube, for samplers that think in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.params import Params


@dataclass(frozen=True)
class Cube:
    """The unit cube over some parameters: log axes are logs, values of a discrete one take equal parts of its axis.

    A parameter that a trial does not have stands in the middle of its axis.
    """

    distributions: Mapping[str, BaseDistribution]

    @property
    def dims(self) -> int:
        """The number of parameters."""
        return len(self.distributions)

    @property
    def counts(self) -> np.ndarray:
        """The number of values on each axis, 0 for a continuous one."""
        return np.array([_count(d) for d in self.distributions.values()], int)

    @property
    def unordered(self) -> np.ndarray:
        """Which axes are choices."""
        return np.array([isinstance(d, CategoricalDistribution) for d in self.distributions.values()], bool)

    def point(self, params: Mapping[str, Any]) -> np.ndarray:
        """Where a configuration lies."""
        return np.array([_unit(d, params[name]) if name in params else 0.5 for name, d in self.distributions.items()])

    def params(self, point: np.ndarray) -> Params:
        """The configuration at a point."""
        return {name: _value(d, float(u)) for (name, d), u in zip(self.distributions.items(), point, strict=True)}

    @property
    def feature_axes(self) -> np.ndarray:
        """The axis that each column of `features` belongs to; (F,)."""
        widths = np.where(self.unordered, self.counts, 1)
        return np.repeat(np.arange(self.dims), widths)

    def features(self, points: np.ndarray) -> np.ndarray:
        """Numbers as they are, choices as one column a value: any two values of a choice are 1 apart; (N, F)."""
        columns = []
        for column, count, unordered in zip(points.T, self.counts, self.unordered, strict=True):
            index = np.minimum(column * count, count - 1).astype(int)
            columns.append(np.eye(count)[index] / np.sqrt(2) if unordered else column[:, None])
        return np.concatenate(columns, axis=1)

    def snap(self, points: np.ndarray) -> np.ndarray:
        """The points with every discrete coordinate in the middle of its value's part of the axis; (N, dims)."""
        counts = self.counts
        parts = np.maximum(counts, 1)
        middles = (np.minimum(np.floor(points * parts), parts - 1) + 0.5) / parts
        return np.where(counts > 0, middles, points)


def _count(distribution: BaseDistribution) -> int:
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    if distribution.step is None or (isinstance(distribution, IntDistribution) and distribution.log):
        return 0
    return math.floor((distribution.high - distribution.low) / distribution.step + 1e-9) + 1


def _unit(distribution: BaseDistribution, value: Any) -> float:
    if count := _count(distribution):
        if isinstance(distribution, CategoricalDistribution):
            index = int(distribution.to_internal_repr(value))
        else:
            assert isinstance(distribution, FloatDistribution | IntDistribution)
            index = round((value - distribution.low) / (distribution.step or 1))
        return (min(max(index, 0), count - 1) + 0.5) / count
    low, high = _ends(distribution)
    return min(max((_scaled(distribution, value) - low) / (high - low), 0.0), 1.0) if high > low else 0.5


def _value(distribution: BaseDistribution, u: float) -> Any:
    if count := _count(distribution):
        index = min(int(u * count), count - 1)
        if isinstance(distribution, CategoricalDistribution):
            return distribution.choices[index]
        assert isinstance(distribution, FloatDistribution | IntDistribution)
        value = distribution.low + index * (distribution.step or 1)
        return int(value) if isinstance(distribution, IntDistribution) else min(value, distribution.high)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = _ends(distribution)
    value = low + u * (high - low)
    value = math.exp(value) if distribution.log else value
    if isinstance(distribution, IntDistribution):
        return min(max(round(value), distribution.low), distribution.high)
    return min(max(value, distribution.low), distribution.high)


def _scaled(distribution: BaseDistribution, value: float) -> float:
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return math.log(value) if distribution.log else value


def _ends(distribution: BaseDistribution) -> tuple[float, float]:
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    # The whole numbers of a log axis reach half a number to both sides, or the outer ones would be rare.
    margin = 0.5 if isinstance(distribution, IntDistribution) else 0.0
    return _scaled(distribution, distribution.low - margin), _scaled(distribution, distribution.high + margin)
