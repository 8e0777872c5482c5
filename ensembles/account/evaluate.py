"""How sure a gain is, and how far the members of an ensemble disagree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ensembles.combining.gram import Floats, blend_error

_DRAWS_AT_ONCE = 2**17  # 1 MiB of drawn positions, however many examples or repeats


@dataclass(frozen=True)
class Gain:
    """A mean gain in the units of the score, and the ends of its bootstrap interval."""

    mean: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def bootstrap_gain(
    best: npt.NDArray[Any],
    other: npt.NDArray[Any],
    *,
    seed: int,
    repeats: int = 10_000,
    level: float = 0.95,
    groups: npt.NDArray[Any] | None = None,
) -> Gain:
    """The mean of `other - best`, scores of the same N examples, with a paired percentile bootstrap interval.

    Examples are resampled with replacement, whole groups of them if `groups` (N,) is given (Efron &
    Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13; Field & Welsh 2007 for clusters). A single
    example or group says nothing about spread: the interval is then NaN. Raises `ValueError` for unequal
    lengths or scores not finite.
    """
    if best.shape != other.shape or best.ndim != 1 or not len(best):
        raise ValueError(f"Expected two scores for each of N >= 1 examples, got {best.shape} and {other.shape}.")
    if not 0 < level < 1 or repeats < 1:
        raise ValueError(f"Expected 0 < level < 1 and repeats >= 1, got level={level}, repeats={repeats}.")
    gains = np.asarray(other, dtype=np.float64) - np.asarray(best, dtype=np.float64)
    if not np.isfinite(gains).all():
        raise ValueError(
            f"Expected finite scores, got NaN or infinity in {np.sum(~np.isfinite(gains))} of {len(gains)}."
        )
    sums: Floats = gains
    sizes: Floats = np.ones(len(gains))
    if groups is not None:
        if groups.shape != gains.shape:
            raise ValueError(f"Expected a group for each of {len(gains)} examples, got shape {groups.shape}.")
        _, group_of = np.unique(groups, return_inverse=True)
        sums = np.bincount(group_of, gains).astype(np.float64)
        sizes = np.bincount(group_of).astype(np.float64)
    mean = float(gains.mean())
    if len(sums) < 2:
        return Gain(mean, float("nan"), float("nan"))
    means = _resampled_means(sums, sizes, repeats, np.random.default_rng(seed))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Gain(mean, float(low), float(high))


def _resampled_means(sums: Floats, sizes: Floats, repeats: int, generator: np.random.Generator) -> Floats:
    units = len(sums)
    means = np.empty(repeats)
    step = max(1, _DRAWS_AT_ONCE // units)
    for start in range(0, repeats, step):
        drawn = generator.integers(units, size=(min(step, repeats - start), units))
        means[start : start + step] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return means


def error_correlation(gram: Floats) -> Floats:
    """How alike the errors of members are: (k, k), G_ij / sqrt(G_ii G_jj), in [-1, 1], 1 on the diagonal.

    About zero, not about the mean: two members that share a bias count as alike. A member without error is
    alike to none but itself.
    """
    size = np.sqrt(np.diag(gram))
    scale = np.outer(size, size)
    alike = np.divide(gram, scale, out=np.zeros_like(gram), where=scale > 0).clip(-1, 1)
    np.fill_diagonal(alike, 1.0)
    return np.asarray(alike)


def ambiguity(gram: Floats, weights: npt.NDArray[Any]) -> float:
    """What disagreement takes off the members' mean error: sum_i w_i G_ii - w' G w, never negative.

    Krogh & Vedelsby, Neural Network Ensembles, Cross Validation, and Active Learning, NeurIPS 1994.
    """
    return float(np.diag(gram) @ np.asarray(weights, dtype=np.float64) - blend_error(gram, weights))
