"""An Optuna sampler for one point of a scrambled Sobol' sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from scipy.stats import qmc

from search.models.cube import Cube
from search.params import Params


class SobolSampler(BaseSampler):
    """The point of one number of the sequence of a seed (Sobol' 1967, scrambled as in Owen 1998).

    Args:
        cube: the parameters, choices too: each value of one takes an equal part of its axis.
        number: of the point, from 0.
        seed: of the scrambling.
        independent: samples a parameter that is not in the cube or lies elsewhere than the cube says.
    """

    def __init__(self, cube: Cube, number: int, seed: int, independent: BaseSampler) -> None:
        self.cube = cube
        self.number = number
        self.seed = seed
        self.independent = independent

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All parameters at once."""
        return dict(self.cube.distributions)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]) -> Params:
        """The point."""
        sequence = qmc.Sobol(self.cube.dims, rng=self.seed)
        if self.number:
            sequence.fast_forward(self.number)
        return self.cube.params(sequence.random(1)[0])

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A parameter for which the point does not serve."""
        return self.independent.sample_independent(study, trial, param_name, param_distribution)
