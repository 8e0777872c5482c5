"""CMA-ES over the numbers of a space (Hansen and Ostermeier 2001, by the package `cmaes`), generation by generation.

Its state follows from what it was told and in which order, so nothing of it needs to be stored. Choices are drawn at
random.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from cmaes import CMA  # type: ignore[import-untyped,unused-ignore]
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from search.models.cube import Cube
from search.params import Params

_STEP = 0.25


class Evolution:
    """The distribution of the next generation.

    Args:
        cube: the numeric parameters.
        startup: trials whose best one is the first mean.
        seed: of the restarts.
    """

    def __init__(self, cube: Cube, startup: int, seed: int) -> None:
        self.cube = cube
        self._startup = startup
        self._rng = np.random.default_rng(seed)
        self._waiting: list[tuple[np.ndarray, float | None]] = []
        self._cma: CMA | None = None

    def tell(self, params: Mapping[str, Any], loss: float | None) -> None:
        """A trial has ended; None for one that failed, which counts as the worst of its generation."""
        self._waiting.append((self._wide(self.cube.point(params)), loss))
        known = [loss for _, loss in self._waiting if loss is not None]
        needed = self._cma.population_size if self._cma else self._startup
        if len(self._waiting) < needed or not known:
            return
        generation = [(point, max(known) if loss is None else loss) for point, loss in self._waiting]
        best = next(point for point, loss in self._waiting if loss == min(known))
        self._waiting = []
        if self._cma is None:
            self._cma = self._begun(best)
            return
        # Trials that were all failures wait for the next generation, which is then too large for CMA-ES.
        self._cma.tell(sorted(generation, key=lambda solution: solution[1])[:needed])
        if self._cma.should_stop():
            self._cma = self._begun(self._wide(self._rng.random(self.cube.dims)), 2 * self._cma.population_size)

    def ask(self, seed: int) -> Params | None:
        """A draw from the distribution; None before there is one."""
        if self._cma is None:
            return None
        self._cma.reseed_rng(seed)
        return self.cube.params(self._cma.ask()[: self.cube.dims])

    def _wide(self, point: np.ndarray) -> np.ndarray:
        """CMA-ES needs two dimensions at least."""
        return np.append(point, np.full(max(2 - len(point), 0), 0.5))

    def _begun(self, mean: np.ndarray, population: int | None = None) -> CMA:
        bounds = np.tile([0.0, 1.0], (len(mean), 1))
        return CMA(mean=mean, sigma=_STEP, bounds=bounds, population_size=population, seed=0)


class EvolutionSampler(BaseSampler):
    """An Optuna sampler that draws the numbers from an `Evolution` and the rest independently."""

    def __init__(self, evolution: Evolution, independent: BaseSampler, seed: int) -> None:
        self.evolution = evolution
        self.independent = independent
        self.seed = seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The numbers."""
        return dict(self.evolution.cube.distributions)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]) -> Params:
        """A draw."""
        return self.evolution.ask(self.seed) or {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A choice, or a number before there is a distribution."""
        return self.independent.sample_independent(study, trial, param_name, param_distribution)
