"""Optuna define-by-run functions as spaces: which parameters they ask for, and what a trial of them is given."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)

from search.errors import SearchError
from search.models.study import question
from search.params import Params, flatten
from search.space import Axis, Choice, Number, Space

SpaceFunction = Callable[[optuna.Trial], Mapping[str, Any] | None]


def discover(function: SpaceFunction, *, runs: int = 64, seed: int = 0) -> Space:
    """Every parameter that the function asks for in some random trials, and the constants it returned in all of them.

    A parameter that was seen with different ranges or values has all of them.

    Args:
        function: suggests parameters from an `optuna.Trial` and returns a dict of constants, or None.
        runs: how many trials.
        seed: of their parameters.

    Raises:
        SearchError: it fails, asks for nothing, or asks for one name in kinds that do not go together.
    """
    axes: dict[str, Axis] = {}
    constants: Params | None = None
    for run in range(runs):
        trial = question(optuna.samplers.RandomSampler(seed=seed + run), [], {})
        returned = call(function, trial)
        constants = returned if constants is None else {k: v for k, v in constants.items() if returned.get(k) == v}
        for name, distribution in trial.distributions.items():
            axis = _axis(name, distribution)
            axes[name] = _union(axes[name], axis) if name in axes else axis
    if not axes:
        raise SearchError(
            "Expected the space function to ask its trial for parameters, got none."
            ' Call trial.suggest_float("lr", 1e-5, 1e-2, log=True) and the like in it.'
        )
    return Space(tuple(axes.values()), tuple((constants or {}).items()))


def call(function: SpaceFunction, trial: optuna.Trial) -> Params:
    """Run the function on a trial; the constants it returns, by flat name.

    Raises:
        SearchError: it fails, or returns something else.
    """
    try:
        with warnings.catch_warnings():
            # Optuna warns of choices that are no scalars, which a storage of its own could not hold.
            warnings.simplefilter("ignore", UserWarning)
            returned = function(trial)
    except Exception as failure:
        raise SearchError(
            f"Expected the space function to suggest parameters, got {type(failure).__name__}: {failure}."
            " Let it ask the trial for parameters and compute nothing."
        ) from failure
    if returned is not None and not (isinstance(returned, Mapping) and all(isinstance(k, str) for k in returned)):
        raise SearchError(
            f"Expected the space function to return a dict of constants by name, or None, got {returned!r}."
            " Return settings that never vary, if any."
        )
    return flatten(returned or {})


def as_json(distributions: Mapping[str, BaseDistribution]) -> dict[str, str]:
    """Distributions as text, for the notes of a suggestion."""
    return {name: distribution_to_json(distribution) for name, distribution in distributions.items()}


def from_json(texts: Mapping[str, str]) -> dict[str, BaseDistribution]:
    """The inverse of `as_json`."""
    return {name: json_to_distribution(text) for name, text in texts.items()}


def _axis(name: str, distribution: BaseDistribution) -> Axis:
    if isinstance(distribution, FloatDistribution | IntDistribution) and distribution.low < distribution.high:
        integer = isinstance(distribution, IntDistribution)
        step = None if integer and distribution.step == 1 else distribution.step
        return Number(name, distribution.low, distribution.high, log=distribution.log, step=step, integer=integer)
    if isinstance(distribution, FloatDistribution | IntDistribution):
        return Choice(name, (distribution.low,))
    assert isinstance(distribution, CategoricalDistribution)
    return Choice(name, tuple(distribution.choices))


def _union(a: Axis, b: Axis) -> Axis:
    if isinstance(a, Choice) and isinstance(b, Choice):
        known = {(type(v), v) for v in a.values}
        return Choice(a.name, a.values + tuple(v for v in b.values if (type(v), v) not in known))
    if isinstance(a, Number) and isinstance(b, Number) and (a.log, a.integer) == (b.log, b.integer):
        step = a.step if a.step == b.step and a.low == b.low else None
        return Number(a.name, min(a.low, b.low), max(a.high, b.high), log=a.log, step=step, integer=a.integer)
    raise SearchError(
        f"Expected {a.name!r} to be one kind of parameter in every trial, got {a.describe()} and {b.describe()}."
        " Give the parameters of different branches different names."
    )
