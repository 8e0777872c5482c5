"""A Gaussian process over configurations and budgets together, so that a stopped trial counts for what it says.

The loss of configuration x, carried to the full budget, is f(x) + s d(x) + noise: f is the loss at the
full budget, d how x departs from the typical gain of later reports, and s how much trials differ in that gain, which
is 0 at the full budget. Both f and d are Gaussian processes with one Matern 5/2 kernel (Rasmussen and Williams 2006,
ch. 4-5; an additive model of budgets as in Kennedy and O'Hagan, Biometrika 2000).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

# Priors of the logarithms of hyperparameters, (mean, standard deviation) each. An inverse squared length scale: the
# unit cube is wider in more dimensions, so that the mean falls by log(dims).
_INVERSE_SQUARE = (1.5, 1.0)
# The variances of f, of d, of what stopped trials depart beyond d, and of the noise of a full trial.
_VARIANCES = ((0.0, 1.0), (-2.0, 1.0), (-2.0, 1.0), (-4.5, 1.5))
_JITTER = 1e-6


@dataclass(frozen=True)
class Data:
    """Observations.

    Attributes:
        features: (N, F); the kernel sees distances between them.
        axes: (F,) the parameter that each feature belongs to, from 0.
        losses: (N,) carried to the full budget, of mean 0 and variance 1.
        spreads: (N,) how unsure that is, in the same unit; 0 for a full trial.
    """

    features: np.ndarray
    axes: np.ndarray
    losses: np.ndarray
    spreads: np.ndarray


class GaussianProcess:
    """The posterior for some hyperparameters.

    Args:
        data: at least one observation.
        log_hyper: logarithms of an inverse squared length scale for every parameter, and of the four variances.
    """

    def __init__(self, data: Data, log_hyper: np.ndarray) -> None:
        self.data, self.log_hyper = data, log_hyper
        dims = len(log_hyper) - len(_VARIANCES)
        self._stretch = np.exp(0.5 * log_hyper[:dims])[data.axes]
        self._signal, departure, unexplained, noise = np.exp(log_hyper[dims:])
        s = data.spreads
        covariance = self._kernel(data.features) * (self._signal + departure * np.outer(s, s))
        covariance[np.diag_indices(len(s))] += noise + unexplained * s**2 + _JITTER
        self._factor = cholesky(covariance, lower=True)
        self._alpha = cho_solve((self._factor, True), data.losses)

    @classmethod
    def fit(cls, data: Data) -> GaussianProcess:
        """The most probable hyperparameters (L-BFGS from the prior's mean)."""
        dims = int(data.axes.max()) + 1
        squares = np.stack([_squares(data.features[:, data.axes == axis]) for axis in range(dims)])  # (dims, N, N)
        scale = (_INVERSE_SQUARE[0] - np.log(dims), _INVERSE_SQUARE[1])
        prior = np.array([scale] * dims + list(_VARIANCES))
        found = minimize(
            negative_log_posterior,
            prior[:, 0],
            args=(squares, data.losses, data.spreads, prior),
            jac=True,
            method="L-BFGS-B",
            bounds=[(mean - 4 * deviation, mean + 4 * deviation) for mean, deviation in prior],
            options={"maxiter": 40},
        )
        return cls(data, found.x)

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the loss at the full budget, without noise; (M,) each."""
        cross = self._signal * self._kernel(features)  # (M, N)
        solved = solve_triangular(self._factor, cross.T, lower=True)
        return cross @ self._alpha, np.maximum(self._signal - (solved**2).sum(0), 1e-12)

    def believing(self, features: np.ndarray) -> GaussianProcess:
        """The posterior after full trials at these places came to just what it expects of them."""
        return GaussianProcess(
            Data(
                np.vstack([self.data.features, features]),
                self.data.axes,
                np.append(self.data.losses, self.predict(features)[0]),
                np.append(self.data.spreads, np.zeros(len(features))),
            ),
            self.log_hyper,
        )

    def _kernel(self, features: np.ndarray) -> np.ndarray:
        a, b = features * self._stretch, self.data.features * self._stretch
        squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
        return _matern(np.sqrt(5 * np.maximum(squares, 0)))


def negative_log_posterior(
    log_hyper: np.ndarray, squares: np.ndarray, losses: np.ndarray, spreads: np.ndarray, prior: np.ndarray
) -> tuple[float, np.ndarray]:
    """What `fit` minimizes, up to a constant, and its gradient.

    Args:
        log_hyper: (dims + 4,).
        squares: (dims, N, N) squared distances along each parameter.
        losses: (N,).
        spreads: (N,).
        prior: (dims + 4, 2) mean and standard deviation.
    """
    dims, n = len(squares), len(losses)
    weights = np.exp(log_hyper[:dims])
    signal, departure, unexplained, noise = np.exp(log_hyper[dims:])
    r = np.sqrt(5 * np.tensordot(weights, squares, 1))
    kernel = _matern(r)
    both = np.outer(spreads, spreads)
    amplitude = signal + departure * both
    covariance = kernel * amplitude
    covariance[np.diag_indices(n)] += noise + unexplained * spreads**2 + _JITTER
    factor = cholesky(covariance, lower=True)
    alpha = cho_solve((factor, True), losses)
    offset = (log_hyper - prior[:, 0]) / prior[:, 1]
    value = 0.5 * losses @ alpha + np.log(np.diag(factor)).sum() + 0.5 * offset @ offset
    # d value / d covariance, and d kernel / d squared distance = -5/6 (1 + r) exp(-r).
    slope = 0.5 * (cho_solve((factor, True), np.eye(n)) - np.outer(alpha, alpha))
    along = slope * amplitude * (-5 / 6) * (1 + r) * np.exp(-r)
    gradient = np.concatenate(
        [
            weights * np.tensordot(squares, along, ([1, 2], [0, 1])),
            [
                signal * (slope * kernel).sum(),
                departure * (slope * kernel * both).sum(),
                unexplained * (np.diag(slope) * spreads**2).sum(),
                noise * np.trace(slope),
            ],
        ]
    )
    return float(value), gradient + offset / prior[:, 1]


def _matern(r: np.ndarray) -> np.ndarray:
    return np.asarray((1 + r + r**2 / 3) * np.exp(-r))


def _squares(columns: np.ndarray) -> np.ndarray:
    return np.asarray(((columns[:, None] - columns[None]) ** 2).sum(-1))
