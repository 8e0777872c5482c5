"""Weights for the members of an ensemble that take no search: equal ones, and by each member's own error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ensembles.combining.gram import Floats, check_gram

Fit = Callable[[Floats], Floats]  # Gram matrices of examples (N, k, k) -> weights (k,) that sum to one


def uniform(members: int) -> Floats:
    """The plain mean: (k,), all 1 / k."""
    if members < 1:
        raise ValueError(f"Expected at least one member, got {members}.")
    return np.full(members, 1.0 / members)


def inverse_variance(gram: Floats) -> Floats:
    """Weights in proportion to one over each member's own error, G_ii: (k,). Perfect members share all weight.

    The best weights for errors that do not correlate (Bates & Granger, The Combination of Forecasts, Operational
    Research Quarterly 20, 1969). How errors correlate, which few examples tell badly, is left out.
    """
    check_gram(gram)
    own = np.diag(gram)
    worth = own.min() / own if own.min() > 0 else np.asarray(own <= 0, dtype=np.float64)
    return np.asarray(worth / worth.sum())
