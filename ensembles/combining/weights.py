"""Weights for the members of an ensemble from their error Gram matrix, and a fair score for the fitting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from ensembles.combining.gram import Floats, blend_error

Fit = Callable[[Floats], Floats]  # Gram matrices of examples (N, k, k) -> weights (k,) that sum to one

_PERFECT = 1e-12  # an error below this counts as this one: the logarithm of zero would decide alone
_TIE = 1e-12  # relative; errors closer than this differ by rounding alone


def uniform(members: int) -> Floats:
    """The plain mean: (k,), all 1 / k."""
    if members < 1:
        raise ValueError(f"Expected at least one member, got {members}.")
    return np.full(members, 1.0 / members)


def best_on_simplex(gram: Floats, ridge: float = 1e-3) -> Floats:
    """Weights w >= 0, sum 1, that minimise w' G w + ridge * g * |w - 1/k|^2, g the error of the best member.

    The ridge pulls near-duplicates, which make G singular, toward equal shares. It can cost at most the
    fraction `ridge` of g on the data fitted; should that make the blend worse than the best member alone,
    that member gets all the weight. Exact up to rounding: since the weights sum to one the problem is min w'
    A w with A = G + ridge * g * I, and the solution x of the non-negative least squares problem min x' A x +
    (sum x - 1)^2 is a multiple of it (Lawson & Hanson, Solving Least Squares Problems, 1974, ch. 23).
    Stacking with non-negative weights: Breiman, Stacked Regressions, Machine Learning 24, 1996.
    """
    _check_gram(gram)
    if not 0 <= ridge < np.inf:
        raise ValueError(f"Expected 0 <= ridge, got {ridge}.")
    own = np.diag(gram)  # (k,)
    best = float(own.min())
    if best <= 0:  # a perfect member leaves nothing to weigh
        perfect = np.asarray(own <= 0, dtype=np.float64)
        return np.asarray(perfect / perfect.sum())
    scaled = gram / best
    scaled = (scaled + scaled.T) / 2 + ridge * np.eye(len(gram))
    weights = _minimal_on_simplex(scaled)
    if float(blend_error(gram, weights)) > best:
        weights = np.zeros(len(gram))
        weights[own.argmin()] = 1.0
    return weights


def best_for_log_error(per_example: Floats, ridge: float = 1e-3, rounds: int = 100) -> Floats:
    """Weights on the simplex for a low mean of the logarithm of each example's squared error: for a high PSNR.

    `per_example` (N, k, k). The squared error alone would care for the hard examples and leave the easy ones, of
    which PSNR is made. The logarithm is concave, so each round replaces it by its tangent, which bounds it from above:
    the examples are weighted by one over their present error, `best_on_simplex` solves the rest, and no round makes
    the mean logarithm worse (majorisation-minimisation, Hunter & Lange, The American Statistician 58, 2004).
    """
    members = per_example.shape[-1]
    best = weights = uniform(members)
    value = np.inf
    for _ in range(rounds):
        errors = np.maximum(blend_error(per_example, weights), _PERFECT)
        if not np.log(errors).mean() < value - 1e-9:
            break
        value = float(np.log(errors).mean())
        best, weights = weights, best_on_simplex((per_example / errors[:, None, None]).mean(axis=0), ridge)
    return best


def _minimal_on_simplex(matrix: Floats) -> Floats:
    members = len(matrix)
    values, vectors = np.linalg.eigh(matrix)
    factor = np.sqrt(values.clip(min=0))[:, None] * vectors.T  # factor' factor = matrix
    system = np.vstack([factor, np.ones((1, members))])  # (k + 1, k)
    goal = np.zeros(members + 1)
    goal[-1] = 1.0
    solution = np.asarray(nnls(system, goal, maxiter=30 * members)[0], dtype=np.float64)
    weights = solution / solution.sum()
    return _polished(matrix, weights)


def _polished(matrix: Floats, weights: Floats) -> Floats:
    """Solve for the members in use once more without the square root, which halves the digits."""
    used = np.flatnonzero(weights)
    try:
        exact = np.linalg.solve(matrix[np.ix_(used, used)], np.ones(len(used)))
    except np.linalg.LinAlgError:  # duplicates and no ridge: any of their shares is as good as another
        return weights
    if not np.isfinite(exact).all() or exact.min() <= 0:
        return weights
    result = np.zeros(len(weights))
    result[used] = exact / exact.sum()
    return result


def greedy(gram: Floats, rounds: int = 100) -> Floats:
    """Ensemble selection: (k,), the share of each member in a bag of at most `rounds` picks with replacement.

    Caruana, Niculescu-Mizil, Crew & Ksikes, Ensemble Selection from Libraries of Models, ICML 2004. The start
    is the sorted one: the members in order of their own error, as many of them as give the best mean. From
    there the member that helps most is added each round; of members that help equally, one already in the
    bag. The best prefix of all the bags seen is kept, so the result is never worse than the best member on
    the data fitted.
    """
    _check_gram(gram)
    if rounds < 1:
        raise ValueError(f"Expected rounds >= 1, got {rounds}.")
    order = np.argsort(np.diag(gram), kind="stable")
    start = order[: min(rounds, len(order))]
    prefix_sums = np.cumsum(np.cumsum(gram[np.ix_(start, start)], axis=0), axis=1)
    errors = np.diag(prefix_sums) / np.arange(1, len(start) + 1) ** 2
    size = _first_lowest(errors) + 1

    counts = np.zeros(len(gram), dtype=np.int64)
    counts[order[:size]] = 1
    best_counts, best_error = counts.copy(), float(errors[size - 1])
    rank = np.argsort(order)
    for picks in range(size + 1, rounds + 1):
        product = gram @ counts  # (k,)
        candidates = (counts @ product + 2 * product + np.diag(gram)) / picks**2
        tied = np.flatnonzero(candidates <= candidates.min() * (1 + _TIE))
        pick = min(tied, key=lambda member: (-counts[member], rank[member]))
        counts[pick] += 1
        if candidates[pick] < best_error * (1 - _TIE):
            best_counts, best_error = counts.copy(), float(candidates[pick])
    return np.asarray(best_counts / best_counts.sum(), dtype=np.float64)


def _first_lowest(errors: Floats) -> int:
    return int(np.flatnonzero(errors <= errors.min() * (1 + _TIE))[0])


def cross_fitted_weights(
    per_example: Floats, groups: npt.NDArray[Any], fit: Fit, folds: int = 5, seed: int = 0
) -> Floats:
    """For each example the weights fitted without its fold, (N, k). Groups are never split apart.

    `per_example` (N, k, k), `groups` (N,). With fewer groups than folds each group is a fold of its own.
    Raises `ValueError` for fewer than two groups: nothing would be left to fit on.
    """
    if per_example.ndim != 3 or groups.shape != per_example.shape[:1]:
        raise ValueError(f"Expected Gram matrices (N, k, k) and N groups, got {per_example.shape} and {groups.shape}.")
    if folds < 2:
        raise ValueError(f"Expected folds >= 2, got {folds}.")
    names, group_of = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"Expected at least two groups of examples to fit on one and score another, got {len(names)}.")
    fold_of = np.random.default_rng(seed).permutation(len(names)) % min(folds, len(names))
    fold = fold_of[group_of]  # (N,)
    weights = np.empty(per_example.shape[:2])
    for held_out in range(fold_of.max() + 1):
        inside = fold == held_out
        weights[inside] = fit(per_example[~inside])
    return weights


def cross_fitted_errors(
    per_example: Floats, groups: npt.NDArray[Any], fit: Fit, folds: int = 5, seed: int = 0
) -> Floats:
    """The squared error of each example, (N,), under its `cross_fitted_weights`."""
    weights = cross_fitted_weights(per_example, groups, fit, folds, seed)
    return np.asarray(np.einsum("ni,nij,nj->n", weights, per_example, weights))


def _check_gram(gram: Floats) -> None:
    if gram.ndim != 2 or gram.shape[0] != gram.shape[1] or not len(gram):
        raise ValueError(f"Expected a Gram matrix (k, k) with k >= 1, got shape {gram.shape}.")
    if not np.isfinite(gram).all():
        raise ValueError("Expected a finite Gram matrix, got NaN or infinity.")
