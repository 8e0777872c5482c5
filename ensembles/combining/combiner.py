"""What makes one prediction of several: frozen rules that can be stored, without pickling, and applied again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ensembles.combining.gram import Floats, blend, check_weights

Array = npt.NDArray[Any]
Positions = npt.NDArray[np.intp]
State = tuple[dict[str, Any], dict[str, Array]]  # what JSON can hold, and arrays


@dataclass(frozen=True, eq=False)
class Predicted:
    """What k members predict for B inputs.

    Attributes:
        inputs: (B, ...), what they were given.
        values: k arrays (B, ...) of one shape, floating point, finite.
        log_variances: k arrays that broadcast to the values: the logarithm of the error's variance that each member
            expects. None unless every member tells its own.
    """

    inputs: Array
    values: Sequence[Array]
    log_variances: Sequence[Array] | None = None

    def of(self, members: Sequence[int] | Positions) -> Predicted:
        """Those of some members, in the order given."""
        told = self.log_variances
        return Predicted(
            self.inputs, [self.values[m] for m in members], None if told is None else [told[m] for m in members]
        )

    def rows(self, chosen: Any) -> Predicted:
        """Those for some of the inputs: an index, a slice or a mask over the first axis."""
        told = self.log_variances
        return Predicted(
            self.inputs[chosen],
            [values[chosen] for values in self.values],
            None if told is None else [values[chosen] for values in told],
        )


class Combiner(ABC):
    """A rule that makes one prediction (B, ...) of those of its members.

    It holds numbers alone: `state` gives them, `restore` makes an equal rule of them.
    """

    kind: ClassVar[str]
    asks_confidence: ClassVar[bool] = False  # whether it reads the members' log-variances

    @property
    @abstractmethod
    def members(self) -> int:
        """How many members it combines."""

    @property
    def used(self) -> Positions:
        """The positions of the members it needs, in the order in which `narrowed` takes them. Others never run."""
        return np.arange(self.members)

    def narrowed(self) -> Combiner:
        """The same rule over the members in use alone."""
        return self

    @abstractmethod
    def __call__(self, predicted: Predicted) -> Array:
        """(B, ...), of the shape and type of a member's predictions."""

    @abstractmethod
    def state(self) -> State:
        """Everything that `restore` needs."""

    @classmethod
    @abstractmethod
    def restore(cls, settings: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """An equal rule from what `state` gave. Raises `ValueError` or `KeyError` where it is not whole."""


@dataclass(frozen=True, eq=False)
class ByWeights(Combiner):
    """A rule in which members count by weights (k,) that sum to one; those of zero never run.

    A rule of this kind is a frozen dataclass whose other fields are JSON values, checked when it is made.
    """

    weights: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", check_weights(self.weights, len(self.weights)))

    @property
    def members(self) -> int:
        return len(self.weights)

    @property
    def used(self) -> Positions:
        return np.flatnonzero(self.weights)

    def narrowed(self) -> Self:
        return replace(self, weights=self.weights[self.used])

    def state(self) -> State:
        others = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "weights"}
        return {"weights": self.weights.tolist(), **others}, {}

    @classmethod
    def restore(cls, settings: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        given = {field.name: settings[field.name] for field in fields(cls)}
        return cls(**given | {"weights": np.asarray(given["weights"], dtype=np.float64)})


@dataclass(frozen=True, eq=False)
class Weighted(ByWeights):
    """The weighted mean. `ValueError` for weights that do not sum to one."""

    kind: ClassVar[str] = "weights"

    def __call__(self, predicted: Predicted) -> Array:
        return blend([predicted.values[member] for member in self.used], self.weights[self.used])


@dataclass(frozen=True, eq=False)
class Subset(Combiner):
    """A rule over some of `size` members: `positions` (m,) are theirs, in the order in which `rule` takes them.

    It is narrowed to that rule before it is stored, and has no state of its own.
    """

    rule: Combiner
    positions: Positions
    size: int
    kind: ClassVar[str] = "subset"

    @property
    def members(self) -> int:
        return self.size

    @property
    def used(self) -> Positions:
        return np.asarray(self.positions)[self.rule.used]

    def narrowed(self) -> Combiner:
        return self.rule.narrowed()

    def __call__(self, predicted: Predicted) -> Array:
        return self.rule(predicted.of(self.positions))

    def state(self) -> State:
        raise ValueError("Expected a rule over all of its members; store what `narrowed` gives.")

    @classmethod
    def restore(cls, settings: Mapping[str, Any], arrays: Mapping[str, Array]) -> Subset:
        raise ValueError("Expected a rule over all of its members, found a subset.")
