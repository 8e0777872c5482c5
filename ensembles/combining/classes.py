"""Votes about classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ensembles.combining.combiner import Array, Predicted
from ensembles.combining.method import Method, Observed
from ensembles.combining.shares import Shared, Weighting, shares_of

_TIE = 1e-9
_LEAD = 1e-3  # large enough for float32, too small to look like a vote


@dataclass(frozen=True, eq=False)
class ClassVotes(Shared):
    """Hard votes: each member votes for the class it holds likeliest; the result is each class's share of the votes.

    Of classes that tie for the first place the one with the higher weighted mean probability leads: the others hand it
    a thousandth of their votes. Should they tie there too, it is the first. A member that holds two classes equally
    likely votes for the first of them.

    Args:
        weights: (k,), none below zero, that sum to one.

    Predictions are probabilities (B, C), and so is the result: rows sum to one.
    """

    kind: ClassVar[str] = "class votes"

    def __call__(self, predicted: Predicted) -> Array:
        values, weights = self.counting(predicted)
        shape = values[0].shape
        if len(shape) != 2 or any(one.shape != shape for one in values):
            raise ValueError(f"Expected probabilities (B, C) of one shape, got {[one.shape for one in values]}.")
        votes, mean = np.zeros(shape), np.zeros(shape)
        rows = np.arange(len(votes))
        for one, weight in zip(values, weights, strict=True):
            votes[rows, one.argmax(axis=1)] += weight
            mean += weight * one
        tied = votes >= votes.max(axis=1, keepdims=True) - _TIE  # (B, C)
        leader = np.where(tied, mean, -np.inf).argmax(axis=1)
        handed = np.where(tied, _LEAD * votes, 0.0)
        handed[rows, leader] = 0.0
        votes -= handed
        votes[rows, leader] += handed.sum(axis=1)
        return votes.astype(values[0].dtype)


@dataclass(frozen=True)
class HardVotes(Method):
    """Each member votes for a class: `ClassVotes`. For soft votes, the mean of the probabilities, take `Weighted`.

    Args:
        weights: from the mean error Gram matrix (k, k) to weights (k,); None for all alike.
    """

    weights: Weighting | None = None

    def unsuited(self, seen: Observed) -> str | None:
        if seen.measures.output != "probabilities":
            return f"it votes about classes, and these members predict {seen.measures.output}"
        return "there is one member, and nothing to vote about" if seen.members < 2 else None

    def fit(self, seen: Observed) -> ClassVotes:
        return ClassVotes(shares_of(seen, self.weights))
