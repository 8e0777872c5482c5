"""One member's own colour, pixel by pixel or area by area, where a mean would mix colours that nobody predicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ensembles.combining.colours import blocks, to_lab
from ensembles.combining.combiner import Array, Combiner, Predicted, State
from ensembles.combining.gram import Floats
from ensembles.combining.method import Method, Observed
from ensembles.combining.regions import regions
from ensembles.combining.shares import Shared, Weighting, shares_of

By = Literal["pixel", "region"]
_VALUES_AT_ONCE = 2**18


@dataclass(frozen=True, eq=False)
class NearestMember(Shared):
    """The medoid: of the members' predictions the one with the least weighted sum of distances to the others.

    Kaufman & Rousseeuw, Clustering by means of medoids, 1987. By pixel each pixel has a medoid of its own. By region
    the distances are averaged over each area of the line drawing (`regions`), and the whole area is one member's. Of
    members equally near (to 9 digits) the first is taken.

    Args:
        weights: (k,), none below zero, that sum to one.
        by: "pixel" or "region".
        lab: whether predictions are colours (B, 3, H, W) in [-1, 1], compared in CIE L*a*b*. Otherwise they are maps
            (B, C, H, W), compared as they are. Distances are Euclidean.

    The result is made of members' values, unchanged but for colours beyond [-1, 1], which are clipped. By region,
    `ValueError` unless the inputs are line drawings (B, 1, H, W).
    """

    by: By
    lab: bool
    kind: ClassVar[str] = "medoid"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_by(self.by)
        if not isinstance(self.lab, bool):
            raise ValueError(f"Expected lab to be true or false, got {self.lab!r}.")

    def __call__(self, predicted: Predicted) -> Array:
        values, weights = self.counting(predicted)
        shape = values[0].shape
        if len(shape) != 4 or any(one.shape != shape for one in values):
            raise ValueError(f"Expected pictures (B, C, H, W) of one shape, got {[one.shape for one in values]}.")
        if self.by == "region" and not _drawn(predicted.inputs, values[0]):
            raise ValueError(
                f"Expected line drawings (B, 1, H, W) for predictions {shape}, got inputs {predicted.inputs.shape}; "
                'use the medoid by "pixel".'
            )
        result = np.empty(shape, dtype=values[0].dtype)
        step = max(1, _VALUES_AT_ONCE // (len(values) * max(1, values[0][:1].size)))
        for start in range(0, len(result), step):
            some = slice(start, start + step)
            result[some] = self._of([one[some] for one in values], weights, predicted.inputs[some])
        return np.clip(result, -1, 1) if self.lab else result

    def _of(self, values: list[Array], weights: Floats, inputs: Array) -> Array:
        chosen = self._chosen(values, weights, inputs)  # (B, H, W)
        return np.asarray(np.take_along_axis(np.stack(values), chosen[None, :, None], axis=0)[0])

    def _chosen(self, values: list[Array], weights: Floats, inputs: Array) -> npt.NDArray[np.intp]:
        shape = values[0].shape
        costs = np.empty((len(values), shape[0], *shape[2:]))  # (k, B, H, W)
        for examples, rows in blocks(shape, max(1, _VALUES_AT_ONCE // (len(values) * shape[1]))):
            part = np.stack([one[examples, :, rows] for one in values]).astype(np.float64)
            costs[:, examples, rows] = _distances(to_lab(part) if self.lab else part, weights)
        if self.by == "region":
            for example, drawing in enumerate(inputs):
                area = regions(drawing[0])
                for cost in costs[:, example]:
                    cost[:] = (np.bincount(area.ravel(), cost.ravel()) / np.bincount(area.ravel()))[area]
        return np.asarray(costs.round(9).argmin(axis=0), dtype=np.intp)


@dataclass(frozen=True, eq=False)
class MedianValue(Combiner):
    """The median over `size` members of every single value; of an even number the mean of the middle two."""

    size: int
    kind: ClassVar[str] = "median"

    def __post_init__(self) -> None:
        if isinstance(self.size, bool) or not isinstance(self.size, int) or self.size < 1:
            raise ValueError(f"Expected at least one member, got {self.size!r}.")

    @property
    def members(self) -> int:
        return self.size

    def __call__(self, predicted: Predicted) -> Array:
        values = [np.asarray(one) for one in predicted.values]
        if len(values) != self.members:
            raise ValueError(f"Expected the predictions of {self.members} members, got {len(values)}.")
        result = np.empty(values[0].size, dtype=values[0].dtype)
        flat = [one.reshape(-1) for one in values]
        step = max(1, _VALUES_AT_ONCE // self.members)
        for start in range(0, len(result), step):
            part = np.stack([one[start : start + step] for one in flat]).astype(np.float64)
            part.sort(axis=0)
            result[start : start + step] = (part[(self.members - 1) // 2] + part[self.members // 2]) / 2
        return result.reshape(values[0].shape)

    def state(self) -> State:
        return {"size": self.size}, {}

    @classmethod
    def restore(cls, settings: Mapping[str, Any], arrays: Mapping[str, Array]) -> MedianValue:
        return cls(settings["size"])


@dataclass(frozen=True)
class Medoid(Method):
    """The medoid of the members, by pixel or by area of the line drawing: `NearestMember`.

    Args:
        by: "pixel", or "region", so that one area does not get two members' colours.
        weights: from the mean error Gram matrix (k, k) to weights (k,); None for all alike.
    """

    by: By = "pixel"
    weights: Weighting | None = None

    def __post_init__(self) -> None:
        _check_by(self.by)

    def unsuited(self, seen: Observed) -> str | None:
        if seen.measures.output not in ("colours", "dense"):
            return f"it compares pictures, and these members predict {seen.measures.output}"
        if seen.members < 2:
            return "there is one member, and nothing to choose from"
        if self.by == "region":
            predicted, _ = next(iter(seen.stream()))
            if not _drawn(predicted.inputs, predicted.values[0]):
                return "it needs line drawings as inputs, one channel of the size of the predictions"
        return None

    def fit(self, seen: Observed) -> NearestMember:
        return NearestMember(shares_of(seen, self.weights), self.by, seen.measures.output == "colours")


@dataclass(frozen=True)
class Median(Method):
    """The median of every value: `MedianValue`. It has no weights."""

    def unsuited(self, seen: Observed) -> str | None:
        if seen.measures.output == "probabilities":
            return "medians of probabilities do not sum to one"
        return "there is one member, and nothing to choose from" if seen.members < 2 else None

    def fit(self, seen: Observed) -> MedianValue:
        return MedianValue(seen.members)


def _check_by(by: str) -> None:
    if by not in ("pixel", "region"):
        raise ValueError(f'Expected by="pixel" or by="region", got {by!r}.')


def _drawn(inputs: Array, values: Array) -> bool:
    """Whether the inputs are pictures of one channel, of the size of the predictions."""
    return values.ndim == 4 and np.shape(inputs) == (len(values), 1, *values.shape[2:])


def _distances(values: Floats, weights: Floats) -> Floats:
    """(k, B, C, H, W) to the weighted sum of each member's distances to the others, (k, B, H, W)."""
    total = np.zeros((values.shape[0], values.shape[1], *values.shape[3:]))
    for one in range(len(values)):
        for other in range(one):
            distance = np.sqrt(np.square(values[one] - values[other]).sum(axis=1))
            total[one] += weights[other] * distance
            total[other] += weights[one] * distance
    return total
