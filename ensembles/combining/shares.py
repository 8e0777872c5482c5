"""What votes have in common: how much each member counts, and a few examples to choose a setting on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ensembles.combining.combiner import Array, ByWeights, Predicted
from ensembles.combining.gram import Floats, check_weights
from ensembles.combining.method import Observed
from ensembles.combining.weights import uniform

Weighting = Callable[[Floats], Floats]  # an error Gram matrix (k, k) -> weights (k,) that sum to one


def check_shares(weights: npt.NDArray[Any]) -> Floats:
    """The weights as float64 (k,), or `ValueError` unless they sum to one and none is below zero."""
    values = check_weights(weights, len(weights))
    if values.min() < 0:
        raise ValueError(f"Expected weights >= 0, for a vote cannot count against itself, got {values.tolist()}.")
    return values


def shares_of(seen: Observed, weighting: Weighting | None) -> Floats:
    """How much each member counts, (k,): what `weighting` makes of the mean Gram matrix, all alike without one."""
    if weighting is None:
        return uniform(seen.members)
    return check_shares(np.asarray(weighting(seen.gram.mean(axis=0))))


def spread_out(examples: int, most: int) -> npt.NDArray[np.bool_]:
    """A mask (examples,) over `most` of them, at equal distances; over all where there are no more."""
    chosen = np.zeros(examples, dtype=np.bool_)
    chosen[np.linspace(0, examples - 1, min(most, examples)).round().astype(np.intp)] = True
    return chosen


@dataclass(frozen=True, eq=False)
class Shared(ByWeights):
    """A rule by weights of which none is below zero."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", check_shares(self.weights))

    def counting(self, predicted: Predicted) -> tuple[list[Array], Floats]:
        """The predictions of the members in use, and their weights."""
        if len(predicted.values) != self.members:
            raise ValueError(f"Expected the predictions of {self.members} members, got {len(predicted.values)}.")
        return [predicted.values[member] for member in self.used], self.weights[self.used]
