"""Ensemble selection: members picked one by one, with replacement, for the lowest error of their mean.

Caruana, Niculescu-Mizil, Crew & Ksikes, Ensemble Selection from Libraries of Models, ICML 2004.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ensembles.combining.gram import Floats, blend_error, check_gram

_TIE = 1e-12  # relative; errors closer than this differ by rounding alone


def greedy(gram: Floats, rounds: int = 100) -> Floats:
    """Ensemble selection: (k,), the share of each member in a bag of at most `rounds` picks with replacement.

    The start is the sorted one: the members in order of their own error, as many of them as give the best mean. From
    there the member that helps most is added each round; of members that help equally, one already in the
    bag. The best prefix of all the bags seen is kept, so the result is never worse than the best member on
    the data fitted.
    """
    return _selected(gram, np.ones((1, len(gram)), dtype=np.bool_), rounds)[0]


def bagged_greedy(gram: Floats, rounds: int = 100, bags: int = 20, share: float = 0.5, seed: int = 0) -> Floats:
    """The mean of `greedy` selections, each from a random share of the members: (k,).

    A selection that may not take the few members it would like best finds others nearly as good, and their mean
    depends less on the examples it was fitted to (bagged ensemble selection in the paper named above).
    Should it be worse than the best member alone on the data fitted, that member gets all the weight.

    Args:
        gram: (k, k).
        rounds: picks of a selection.
        bags: selections.
        share: of the members that each selection may take from, in (0, 1]; one at least.
        seed: of the draw; the same gives the same weights.
    """
    check_gram(gram)
    if bags < 1 or not 0 < share <= 1:
        raise ValueError(f"Expected bags >= 1 and 0 < share <= 1, got bags={bags}, share={share}.")
    members = len(gram)
    drawn = np.random.default_rng(seed).random((bags, members)).argsort(axis=1)
    library = drawn < math.ceil(share * members)  # (bags, k)
    weights = np.asarray(_selected(gram, library, rounds).mean(axis=0))
    own = np.diag(gram)
    if float(blend_error(gram, weights)) > own.min():
        weights = np.zeros(members)
        weights[own.argmin()] = 1.0
    return weights


def _selected(gram: Floats, library: npt.NDArray[np.bool_], rounds: int) -> Floats:
    """The shares (S, k) of S selections that go on side by side, each from its own members, `library` (S, k)."""
    check_gram(gram)
    if rounds < 1:
        raise ValueError(f"Expected rounds >= 1, got {rounds}.")
    order = np.argsort(np.diag(gram), kind="stable")
    gram, library = gram[np.ix_(order, order)], library[:, order]
    own, rank = np.diag(gram), np.arange(len(gram))

    counts, error = _sorted_start(gram, library, rounds)
    best_counts, best_error = counts.copy(), error
    open_ = np.flatnonzero(counts.sum(axis=1) < rounds)
    while len(open_):
        bag = counts[open_]
        product = bag @ gram  # (s, k)
        candidates = (bag * product).sum(axis=1, keepdims=True) + 2 * product + own
        candidates /= (bag.sum(axis=1, keepdims=True) + 1) ** 2
        candidates[~library[open_]] = np.inf
        tied = candidates <= candidates.min(axis=1, keepdims=True) * (1 + _TIE)
        picks = np.where(tied, bag * len(gram) - rank, -np.inf).argmax(axis=1)
        counts[open_, picks] += 1
        reached = candidates[np.arange(len(open_)), picks]
        better = reached < best_error[open_] * (1 - _TIE)
        best_counts[open_[better]], best_error[open_[better]] = counts[open_[better]], reached[better]
        open_ = open_[counts[open_].sum(axis=1) < rounds]

    shares = np.empty_like(best_counts)
    shares[:, order] = best_counts / best_counts.sum(axis=1, keepdims=True)
    return shares


def _sorted_start(gram: Floats, library: npt.NDArray[np.bool_], rounds: int) -> tuple[Floats, Floats]:
    """The members that each selection begins with, (S, k) of 0 or 1, and the error of their mean, (S,)."""
    inside = library.astype(np.float64)
    sums = np.cumsum(np.cumsum(inside[:, :, None] * inside[:, None, :] * gram, axis=1), axis=2)
    sizes = inside.cumsum(axis=1)
    allowed = library & (sizes <= rounds)
    errors = np.full(library.shape, np.inf)
    errors[allowed] = np.diagonal(sums, axis1=1, axis2=2)[allowed] / sizes[allowed] ** 2
    last = (errors <= errors.min(axis=1, keepdims=True) * (1 + _TIE)).argmax(axis=1)
    return inside * (np.arange(len(gram)) <= last[:, None]), errors[np.arange(len(last)), last]
