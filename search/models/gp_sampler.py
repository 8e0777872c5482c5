"""An Optuna sampler on the Gaussian process of `gaussian_process.py`: the point of the largest expected improvement.

Trials under way count twice: by what they have reported so far, and as if they will end as expected, so that no two
workers go for the same improvement.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from scipy.special import log_ndtr
from scipy.stats import qmc
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped,unused-ignore]

from search.models.cube import Cube
from search.models.gaussian_process import Data, GaussianProcess
from search.models.study import loss_of
from search.params import Params

_SURELY_UNSURE = 10.0
_LOG_ROOT_2PI = 0.5 * np.log(2 * np.pi)


class GaussianProcessSampler(BaseSampler):
    """Expected improvement over the lowest expected loss (Jones et al., 1998), maximized by random local search.

    Args:
        cube: every parameter that a trial may have.
        independent: samples a parameter that is not in the cube or lies elsewhere than the cube says.
        seed: of the local search.
    """

    def __init__(self, cube: Cube, independent: BaseSampler, seed: int) -> None:
        self.cube = cube
        self.independent = independent
        self.seed = seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All parameters at once."""
        return dict(self.cube.distributions)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]) -> Params:
        """The most promising point."""
        shown = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        told = [(t, *known) for t in shown if (known := loss_of(t))]
        rng = np.random.default_rng(self.seed)
        if not told or not self.cube.dims:
            return self.cube.params(rng.random(self.cube.dims))
        # The matrices are small and the cores are busy with trials: threads would wait for each other, and sum in
        # another order on another machine.
        with _threads().limit(limits=1, user_api="blas"):
            return self._best(told, [t for t in shown if t.state == TrialState.RUNNING], rng)

    def _best(
        self, told: list[tuple[FrozenTrial, float, float]], running: list[FrozenTrial], rng: np.random.Generator
    ) -> Params:
        cube = self.cube
        points = np.array([cube.point(t.params) for t, _, _ in told])
        losses, spreads = standardized(np.array([loss for _, loss, _ in told]), np.array([s for _, _, s in told]))
        process = GaussianProcess.fit(Data(cube.features(points), cube.feature_axes, losses, spreads))
        expected = process.predict(process.data.features)[0]
        if running:
            process = process.believing(cube.features(np.array([cube.point(t.params) for t in running])))
        return cube.params(_most_promising(cube, process, float(expected.min()), points[np.argsort(expected)[:8]], rng))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A parameter for which the point does not serve."""
        return self.independent.sample_independent(study, trial, param_name, param_distribution)


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()


def standardized(losses: np.ndarray, spreads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Losses of mean 0 and variance 1, and their spreads in the same unit.

    What is far worse than the median, by more than twice its distance to the best, counts by its logarithm: one
    trial that diverged would else make all others look alike.
    """
    median = float(np.median(losses))
    # Where half of the trials are as good as the best, the others give the scale.
    smallest = 1e-9 * float(np.abs(losses).max())
    scale = next((s for s in (median - float(losses.min()), float(np.ptp(losses))) if s > smallest), 1.0)
    relative = (losses - median) / scale
    beyond = np.maximum(relative - 2, 0)
    bent = np.minimum(relative, 2) + np.log1p(beyond)
    deviation = max(float(bent.std()), 1e-9)
    # Beyond some deviations a loss says nothing any more, and more would make the matrices ill-conditioned.
    return (bent - bent.mean()) / deviation, np.minimum(spreads / scale / (1 + beyond) / deviation, _SURELY_UNSURE)


def log_expected_improvement(mean: np.ndarray, variance: np.ndarray, threshold: float) -> np.ndarray:
    """log E[max(threshold - loss, 0)], exact enough where the improvement itself is too small for a float."""
    deviation = np.sqrt(variance)
    z = (threshold - mean) / deviation
    log_density = -0.5 * z**2 - _LOG_ROOT_2PI
    # phi(z) + z Phi(z) = phi(z) (1 + z Phi(z) / phi(z)), which tends to phi(z) / z^2.
    ratio = 1 + z * np.exp(log_ndtr(z) - log_density)
    tail = 1 / np.maximum(z**2, 1.0)
    return np.asarray(np.log(deviation) + log_density + np.log(np.where(z < -20, tail, np.maximum(ratio, 1e-300))))


def _most_promising(
    cube: Cube, process: GaussianProcess, threshold: float, best: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    def promise(points: np.ndarray) -> np.ndarray:
        return log_expected_improvement(*process.predict(cube.features(points)), threshold)

    anywhere = qmc.Sobol(cube.dims, rng=rng).random(512)
    points = cube.snap(np.vstack([anywhere, *(_moved(cube, best, 32, reach, rng) for reach in (0.1, 0.03))]))
    promises = promise(points)
    for reach in 0.1 * 0.4 ** np.arange(4):
        top = np.argsort(-promises)[:6]
        near = cube.snap(_moved(cube, points[top], 24, reach, rng))
        points, promises = np.vstack([points[top], near]), np.append(promises[top], promise(near))
    return np.asarray(points[np.argmax(promises)])


def _moved(cube: Cube, centers: np.ndarray, copies: int, reach: float, rng: np.random.Generator) -> np.ndarray:
    """Copies of the centers with some numbers moved a little and some choices made anew."""
    points = np.repeat(centers, copies, axis=0)
    moved = np.clip(points + reach * rng.normal(size=points.shape), 0, 1)
    chosen = np.where(rng.random(points.shape) < 0.3, rng.random(points.shape), points)
    touched = rng.random(points.shape) < max(0.5, 1.5 / cube.dims)
    return np.where(touched, np.where(cube.unordered, chosen, moved), points)
