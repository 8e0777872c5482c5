"""The best weights that are not negative and sum to one, for the squared error and for its logarithm."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from ensembles.combining.gram import Floats, blend_error, check_gram

_PERFECT = 1e-12  # of the members' mean error; a smaller one counts as this: the logarithm of zero would decide alone


def best_on_simplex(gram: Floats, ridge: float = 1e-3) -> Floats:
    """Weights w >= 0, sum 1, that minimise w' G w + ridge * g * |w - 1/k|^2, g the error of the best member.

    The ridge pulls near-duplicates, which make G singular, toward equal shares. It can cost at most the
    fraction `ridge` of g on the data fitted; should that make the blend worse than the best member alone,
    that member gets all the weight. Exact up to rounding: since the weights sum to one the problem is min w'
    A w with A = G + ridge * g * I, and the solution x of the non-negative least squares problem min x' A x +
    (sum x - 1)^2 is a multiple of it (Lawson & Hanson, Solving Least Squares Problems, 1974, ch. 23).
    Stacking with non-negative weights: Breiman, Stacked Regressions, Machine Learning 24, 1996.
    """
    check_gram(gram)
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
    the mean logarithm worse (majorisation-minimisation, Hunter & Lange, The American Statistician 58, 2004). Where
    the best member alone has a lower one all the same, that member gets all the weight.
    """
    return best_for_log_error_each(per_example, np.ones((1, len(per_example))), ridge, rounds)[0]


def best_for_log_error_each(per_example: Floats, counted: Floats, ridge: float = 1e-3, rounds: int = 100) -> Floats:
    """`best_for_log_error` of several choices of the examples at once, (m, k): a pass over the matrices serves all.

    `counted` (m, N): 1 for the examples of a choice, 0 for others.
    """
    check_gram(per_example, dimensions=3)
    members = per_example.shape[-1]
    flat = per_example.reshape(len(per_example), -1)  # (N, k * k)
    own = np.diagonal(per_example, axis1=1, axis2=2)  # (N, k)
    share = counted / counted.sum(axis=1, keepdims=True)  # (m, N)
    floor = np.maximum(_PERFECT * (share @ own).mean(axis=1, keepdims=True), np.finfo(np.float64).tiny)  # (m, 1)

    weights = np.full((len(share), members), 1 / members)
    best, value = weights.copy(), np.full(len(share), np.inf)
    falling = np.arange(len(share))
    for _ in range(rounds):
        tried = weights[falling]
        pairs = (tried[:, :, None] * tried[:, None, :]).reshape(len(falling), -1)
        errors = np.maximum(pairs @ flat.T, floor[falling])  # (m, N)
        now = (share[falling] * np.log(errors)).sum(axis=1)
        lower = now < value[falling] - 1e-9
        falling = falling[lower]
        if not len(falling):
            break
        best[falling], value[falling] = tried[lower], now[lower]
        tangents = ((share[falling] / errors[lower]) @ flat).reshape(-1, members, members)
        weights[falling] = [best_on_simplex(tangent, ridge) for tangent in tangents]

    for row, least in enumerate(floor):
        alone = share[row] @ np.log(np.maximum(own, least))  # (k,)
        if alone.min() < value[row]:
            best[row] = np.eye(members)[alone.argmin()]
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
