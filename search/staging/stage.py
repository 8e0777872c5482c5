"""One stage of `Stages`, as a user writes it: a frozen value, checked when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ray.tune.search import sample

from search.errors import SearchError
from search.method import SearchMethod
from search.params import Params, flatten
from search.samplers import Bayesian, OptunaSearcher
from search.space import Axis, Space
from search.staging.retest import Retest, check_budget

DATA_FRACTION = "data_fraction"


@dataclass(frozen=True)
class Stage:
    """A part of a search with a space, a method and a budget of its own.

    Attributes:
        name: what reports call it.
        space: Ray Tune domains and constants, nested as those of the search; None for all axes of the search and of the
            stages before.
        fixed: values of parameters that this stage leaves alone. Later stages take them over unless they say otherwise.
        method: what searches; `Bayesian()` unless told otherwise.
        trials: how many at most, failed ones among them; None for as many as the method has.
        around: search near the best configuration so far: on log axes from best / around to best * around, on linear
            ones 1/around of the width to either side, inside the ranges they have; choices stay free. The best
            configuration itself is tried first.
        data_fraction: the share of the training data, which trials find as `config["data_fraction"]`; in the other
            stages that is then 1.
        budget: the length of the trials, as a multiple of the search's `iterations`.

    Raises:
        SearchError: a stage that cannot be.
    """

    name: str
    space: Mapping[str, Any] | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    method: SearchMethod = field(default_factory=Bayesian)
    trials: int | None = None
    around: float | None = None
    data_fraction: float | None = None
    budget: float = 1.0

    def __post_init__(self) -> None:
        if not self.name or not isinstance(self.name, str):
            raise SearchError(f"Expected a stage to have a name, got {self.name!r}. Reports call it by that.")
        if not isinstance(self.method, SearchMethod):
            raise SearchError(
                f"Expected the method of the stage {self.name!r} to be one such as Bayesian() or JitteredGrid(),"
                f" got {self.method!r}. Call the class."
            )
        self._check_numbers()
        self._check_names()
        if isinstance(self.method, Retest) and (self.space or self.fixed or self.around or self.data_fraction):
            raise SearchError(
                f"Expected no space, fixed, around or data_fraction in the stage {self.name!r}: Retest tries what"
                " earlier stages found, as it is and on all data. Leave them out."
            )
        if self.around is not None and isinstance(self.method, OptunaSearcher) and self.method.points_to_evaluate:
            raise SearchError(
                f"Expected either around= or points_to_evaluate in the stage {self.name!r}, got both: the points may"
                " lie outside. Leave the points out; the best configuration is tried first anyway."
            )

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What the stage's own space varies; empty if it has none."""
        return Space.from_domains(self.space or {}).axes

    @property
    def settings(self) -> Params:
        """What it fixes, by flat name."""
        return dict(Space.from_domains(self.space or {}).constants) | flatten(self.fixed)

    @property
    def ends(self) -> bool:
        """Whether it comes to an end by itself."""
        return self.trials is not None or self.method.ends

    def _check_numbers(self) -> None:
        if self.trials is not None and (
            not isinstance(self.trials, int) or isinstance(self.trials, bool) or self.trials < 1
        ):
            raise SearchError(
                f"Expected trials to be a whole number from 1, got {self.trials!r} in the stage {self.name!r}."
                " Leave it out for as many as the method has."
            )
        if self.around is not None and not self.around > 1:
            raise SearchError(
                f"Expected around > 1, got {self.around!r} in the stage {self.name!r}."
                " 10 searches from a tenth to ten times the best."
            )
        if self.data_fraction is not None and not 0 < self.data_fraction <= 1:
            raise SearchError(
                f"Expected 0 < data_fraction <= 1, got {self.data_fraction!r} in the stage {self.name!r}."
                " 0.2 trains on a fifth of the data."
            )
        check_budget(self.budget)

    def _check_names(self) -> None:
        if self.space is not None and not self.axes:
            raise SearchError(
                f"Expected a Ray Tune domain in the space of the stage {self.name!r}, got none."
                " Leave space= out to search all axes so far."
            )
        fixed = flatten(self.fixed)
        for name in flatten(self.space or {}):
            if name in fixed:
                raise SearchError(
                    f"Expected a parameter in space or in fixed, got {name!r} in both, in the stage {self.name!r}."
                    " Take it out of one."
                )
        for name, value in fixed.items():
            if isinstance(value, sample.Domain):
                raise SearchError(
                    f"Expected values in fixed, got a domain for {name!r} in the stage {self.name!r}."
                    " Put it into space."
                )
        if self.data_fraction is not None and DATA_FRACTION in {*fixed, *flatten(self.space or {})}:
            raise SearchError(
                f"Expected the share of the data in one place, got data_fraction= and a parameter {DATA_FRACTION!r} in"
                f" the stage {self.name!r}. Leave one out."
            )
