"""Least squares from sums: what a linear fit needs of its data, gathered once, added up for any folds, solved often."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import nnls

from ensembles.combining.gram import Floats

Solution = tuple[Floats, Floats]  # coefficients (G, p, T) and intercepts (G, T)


@dataclass(frozen=True, eq=False)
class Moments:
    """Means and centred sums of products of p features and T targets, for G separate problems on the same rows.

    Two of them add up to those of their rows together (Chan, Golub & LeVeque, Algorithms for Computing the Sample
    Variance, The American Statistician 37, 1983), so that the moments without a fold are the sum of the others:
    nothing is subtracted, and a large mean costs no digits.

    Attributes:
        rows: how many there are.
        weight: the sum of their weights, `rows` where each weighs one.
        x, y: weighted means, (G, p) and (G, T).
        xx, xy, yy: weighted sums of products about the means, (G, p, p), (G, p, T) and (G, T).
    """

    rows: int
    weight: float
    x: Floats
    y: Floats
    xx: Floats
    xy: Floats
    yy: Floats

    @classmethod
    def of(cls, features: Floats, targets: Floats, weights: Floats | None = None) -> Moments:
        """Of features (G, p, n) and targets (G, T, n) in n rows, n >= 1, with weights (n,) above zero."""
        rows = features.shape[2]
        share = np.full(rows, 1.0 / rows) if weights is None else weights / weights.sum()
        x, y = features @ share, targets @ share
        features, targets = features - x[..., None], targets - y[..., None]
        weighted, total = features, float(rows)
        if weights is not None:
            weighted, total = features * weights, float(weights.sum())
        squares = np.square(targets) if weights is None else np.square(targets) * weights
        return cls(
            rows,
            total,
            x,
            y,
            weighted @ features.transpose(0, 2, 1),
            weighted @ targets.transpose(0, 2, 1),
            squares.sum(axis=2),
        )

    def __add__(self, other: Moments) -> Moments:
        weight = self.weight + other.weight
        share = other.weight / weight
        x, y = other.x - self.x, other.y - self.y
        both = self.weight * share
        return Moments(
            self.rows + other.rows,
            weight,
            self.x + share * x,
            self.y + share * y,
            self.xx + other.xx + both * x[:, :, None] * x[:, None, :],
            self.xy + other.xy + both * x[:, :, None] * y[:, None, :],
            self.yy + other.yy + both * np.square(y),
        )

    @property
    def even(self) -> Moments:
        """The same with weights that have a mean of one, the scale on which `alpha` counts."""
        scale = self.rows / self.weight
        return replace(self, weight=float(self.rows), xx=self.xx * scale, xy=self.xy * scale, yy=self.yy * scale)

    @property
    def spread(self) -> float:
        """The mean over features of their sum of squares about the mean."""
        return float(np.trace(self.xx, axis1=1, axis2=2).mean() / self.xx.shape[1])

    def squared_error(self, solution: Solution) -> float:
        """The weighted sum of squared errors of a solution on these rows, over all problems and targets."""
        coefficients, intercepts = solution
        bias = self.y - np.einsum("gp,gpt->gt", self.x, coefficients) - intercepts
        fitted = np.einsum("gpt,gpt->", coefficients, self.xx @ coefficients - 2 * self.xy)
        return float(self.yy.sum() + fitted + self.weight * np.square(bias).sum())


def solve(moments: Moments, alpha: float, start: Floats, *, positive: bool, pull_intercept: bool) -> Solution:
    """Coefficients B and intercepts b that minimise |y - x B - b|^2 + alpha |B - start|^2, summed over the rows.

    With `pull_intercept` the penalty has alpha |b|^2 too; without, the intercept is free (Hoerl & Kennard, Ridge
    Regression, Technometrics 12, 1970). With `positive` no coefficient is below zero (Lawson & Hanson, Solving Least
    Squares Problems, 1974, ch. 23). Where features are collinear and alpha is zero, B is the solution nearest to
    `start`; under `positive`, one of those that are as good. `start` is (G, p, T).
    """
    # The best b for given B is a multiple of the mean residual; put back in, it adds these products of the means.
    held = moments.weight * alpha / (moments.weight + alpha) if pull_intercept else 0.0
    matrix = moments.xx + held * moments.x[:, :, None] * moments.x[:, None, :]
    goal = moments.xy + held * moments.x[:, :, None] * moments.y[:, None, :]
    coefficients = np.empty_like(start)
    for problem, (a, v, s) in enumerate(zip(matrix, goal, start, strict=True)):
        coefficients[problem] = _above_zero(a, v, alpha, s) if positive else _nearest(a, v, alpha, s)
    residual = moments.y - np.einsum("gp,gpt->gt", moments.x, coefficients)
    return coefficients, residual * (moments.weight / (moments.weight + alpha) if pull_intercept else 1.0)


def _spectrum(matrix: Floats) -> tuple[Floats, Floats, float]:
    """Eigenvalues, eigenvectors, and the value below which an eigenvalue is nothing but rounding."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return values.clip(min=0), vectors, float(values.max(initial=0.0)) * len(matrix) * np.finfo(np.float64).eps


def _nearest(matrix: Floats, goal: Floats, alpha: float, start: Floats) -> Floats:
    values, vectors, rounding = _spectrum(matrix)
    known = values > rounding  # along the others the data say nothing, and `start` stays
    steps = np.divide(1.0, values + alpha, out=np.zeros_like(values), where=known)
    return np.asarray(start + vectors @ (steps[:, None] * (vectors.T @ (goal - matrix @ start))))


def _above_zero(matrix: Floats, goal: Floats, alpha: float, start: Floats) -> Floats:
    penalised = matrix + alpha * np.eye(len(matrix))
    goal = goal + alpha * start
    scale = float(np.trace(penalised)) / len(matrix)
    if scale <= 0:  # constant features and no penalty
        return start.clip(min=0)
    values, vectors, rounding = _spectrum(penalised / scale)
    known = values > rounding
    root = np.sqrt(values[known])
    factor = root[:, None] * vectors[:, known].T  # factor' factor = penalised / scale
    wanted = (vectors[:, known].T @ goal) / scale / root[:, None]
    columns = [nnls(factor, column, maxiter=30 * len(matrix))[0] for column in wanted.T]
    return np.stack([_polished(penalised, *pair) for pair in zip(goal.T, columns, strict=True)], axis=1)


def _polished(matrix: Floats, goal: Floats, found: Floats) -> Floats:
    """Solve for the coefficients above zero once more without the square root, which halves the digits."""
    used = np.flatnonzero(found)
    try:
        exact = np.linalg.solve(matrix[np.ix_(used, used)], goal[used])
    except np.linalg.LinAlgError:  # collinear features and no penalty: one solution is as good as another
        return found
    if not np.isfinite(exact).all() or exact.min(initial=0.0) < 0:
        return found
    result = np.zeros_like(found)
    result[used] = exact
    return result
