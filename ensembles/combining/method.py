"""A way to combine: what it learns from predictions of known truth, as a rule for new ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ensembles.combining.combiner import Array, Combiner, Positions, Predicted
from ensembles.combining.gram import ErrorGram, Floats
from ensembles.predictor import Output, Scores


class Measures(Protocol):
    """What predictions are, and how they are judged."""

    @property
    def output(self) -> Output: ...

    @property
    def gain_metric(self) -> str: ...

    def scores(self, predictions: Array, targets: Array, /) -> Scores: ...

    def summarize(self, scores: Scores, /) -> dict[str, float]: ...


class Observed(Protocol):
    """The predictions of k members for N examples whose truth is known, read as often as needed, batch by batch."""

    @property
    def members(self) -> int: ...

    @property
    def measures(self) -> Measures: ...

    @property
    def groups(self) -> npt.NDArray[np.int64]: ...  # (N,)

    @property
    def gram(self) -> Floats: ...  # (N, k, k), error Gram matrices

    def stream(self) -> Iterator[tuple[Predicted, Array]]:
        """The predictions with their targets (B, ...), in the order of `groups`, a bounded number at a time."""
        ...

    def only(self, examples: npt.NDArray[np.bool_]) -> Observed:
        """Those of some examples, by a mask (N,)."""
        ...

    def of(self, members: Sequence[int] | Positions) -> Observed:
        """Those of some members."""
        ...


class Method(ABC):
    """A way to combine, with its settings; a frozen value.

    `fit` sees nothing but the examples it is given, so that the same method can be fitted without a fold and judged
    on it.
    """

    @abstractmethod
    def fit(self, seen: Observed) -> Combiner:
        """The rule for these members. Raises `ValueError` where nothing can be learnt from what is given."""

    def unsuited(self, seen: Observed) -> str | None:
        """Why it does not apply to such predictions, None where it does."""
        return None

    def cross_fit(self, seen: Observed, fold: npt.NDArray[np.intp]) -> list[Combiner]:
        """For each fold the rule fitted without it. `fold` (N,) numbers each example's from 0."""
        return [self.fit(seen.only(fold != number)) for number in range(int(fold.max()) + 1)]

    def fit_and_cross_fit(self, seen: Observed, fold: npt.NDArray[np.intp]) -> tuple[Combiner, list[Combiner]]:
        """`fit` and `cross_fit`, for methods that can do both at the cost of one."""
        return self.fit(seen), self.cross_fit(seen, fold)


class InMemory:
    """Predictions that are held as arrays: `Observed` for those who have them already.

    Args:
        measures: what they are and how they are judged.
        predicted: of k members for N inputs.
        targets: (N, ...).
        groups: (N,); examples of one group are never split apart. Each is a group of its own by default.
        at_once: examples of a batch.
    """

    def __init__(
        self,
        measures: Measures,
        predicted: Predicted,
        targets: Array,
        groups: npt.NDArray[np.int64] | None = None,
        at_once: int = 64,
    ) -> None:
        self.measures = measures
        self.groups = np.arange(len(targets)) if groups is None else groups
        self._predicted, self._targets, self._at_once = predicted, targets, at_once
        self._gram: Floats | None = None

    @property
    def members(self) -> int:
        return len(self._predicted.values)

    @property
    def gram(self) -> Floats:
        if self._gram is None:
            gram = ErrorGram(self.members)
            gram.add(self._predicted.values, self._targets)
            self._gram = gram.per_example
        return self._gram

    def stream(self) -> Iterator[tuple[Predicted, Array]]:
        for start in range(0, len(self._targets), self._at_once):
            rows = slice(start, start + self._at_once)
            yield self._predicted.rows(rows), self._targets[rows]

    def only(self, examples: npt.NDArray[np.bool_]) -> InMemory:
        chosen = self._predicted.rows(examples)
        return InMemory(self.measures, chosen, self._targets[examples], self.groups[examples], self._at_once)

    def of(self, members: Sequence[int] | Positions) -> InMemory:
        chosen = self._predicted.of(members)
        return InMemory(self.measures, chosen, self._targets, self.groups, self._at_once)


def fold_of(groups: npt.NDArray[np.int64], folds: int = 5, seed: int = 0) -> npt.NDArray[np.intp]:
    """The fold (N,) of each example, from 0; groups (N,) are never split apart.

    With fewer groups than folds each group is a fold of its own. Raises `ValueError` for fewer than two folds.
    """
    if folds < 2:
        raise ValueError(f"Expected folds >= 2, got {folds}.")
    names, group_of = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names)) % min(folds, len(names))
    return np.asarray(order[group_of], dtype=np.intp)
