"""Ways to combine by one weight for each member, all fitted to error Gram matrices alone; and limits on any way."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ensembles.combining.combiner import Combiner, Positions, Subset, Weighted
from ensembles.combining.gram import Floats, check_gram
from ensembles.combining.greedy import bagged_greedy, greedy
from ensembles.combining.method import Method, Observed
from ensembles.combining.selection import Blend, best_few, check_costs
from ensembles.combining.simplex import best_for_log_error, best_for_log_error_each, best_on_simplex
from ensembles.combining.weights import inverse_variance, uniform

Folds = npt.NDArray[np.intp]


@dataclass(frozen=True)
class BestSingle(Method):
    """The first member alone: the candidates come best first."""

    def fit(self, seen: Observed) -> Weighted:
        return Weighted(np.eye(seen.members)[0])

    def cross_fit(self, seen: Observed, fold: Folds) -> list[Combiner]:
        return [self.fit(seen)] * folds(fold)


@dataclass(frozen=True)
class Mean(Method):
    """The plain mean."""

    def unsuited(self, seen: Observed) -> str | None:
        return unless_several(seen)

    def fit(self, seen: Observed) -> Weighted:
        return Weighted(uniform(seen.members))

    def cross_fit(self, seen: Observed, fold: Folds) -> list[Combiner]:
        return [self.fit(seen)] * folds(fold)


class _Weighing(Method):
    """Weights for the squared error of all examples together, from the mean of their Gram matrices."""

    @abstractmethod
    def weigh(self, gram: Floats) -> Floats:
        """The weights (k,) from the mean Gram matrix (k, k)."""

    def unsuited(self, seen: Observed) -> str | None:
        return unless_several(seen)

    def fit(self, seen: Observed) -> Weighted:
        per_example = seen.gram
        check_gram(per_example, dimensions=3)
        return Weighted(self.weigh(per_example.mean(axis=0)))

    def cross_fit(self, seen: Observed, fold: Folds) -> list[Combiner]:
        return [Weighted(self.weigh(gram)) for gram in means_without(seen.gram, fold)]


@dataclass(frozen=True)
class InverseVariance(_Weighing):
    """Weights in proportion to one over each member's own error: see `inverse_variance`."""

    def weigh(self, gram: Floats) -> Floats:
        return inverse_variance(gram)


@dataclass(frozen=True)
class Simplex(_Weighing):
    """The weights of the lowest squared error, none negative: see `best_on_simplex`."""

    ridge: float = 1e-3

    def weigh(self, gram: Floats) -> Floats:
        return best_on_simplex(gram, self.ridge)


@dataclass(frozen=True)
class Greedy(_Weighing):
    """Ensemble selection with replacement: see `greedy`."""

    rounds: int = 100

    def weigh(self, gram: Floats) -> Floats:
        return greedy(gram, self.rounds)


@dataclass(frozen=True)
class BaggedGreedy(_Weighing):
    """The mean of ensemble selections from random shares of the members: see `bagged_greedy`."""

    rounds: int = 100
    bags: int = 20
    share: float = 0.5
    seed: int = 0

    def weigh(self, gram: Floats) -> Floats:
        return bagged_greedy(gram, self.rounds, self.bags, self.share, self.seed)


@dataclass(frozen=True)
class SimplexLog(Method):
    """Weights, none negative, for a low logarithm of each example's error, as in PSNR: see `best_for_log_error`."""

    ridge: float = 1e-3

    def unsuited(self, seen: Observed) -> str | None:
        return unless_several(seen)

    def fit(self, seen: Observed) -> Weighted:
        return Weighted(best_for_log_error(seen.gram, self.ridge))

    def cross_fit(self, seen: Observed, fold: Folds) -> list[Combiner]:
        return [Weighted(w) for w in best_for_log_error_each(seen.gram, kept_by_fold(fold), self.ridge)]


@dataclass(frozen=True)
class Limited(Method):
    """Any way to combine, over the few members that do best within limits: see `best_few`.

    The members are chosen on the examples it is fitted to, so that cross-fitting checks the choice as well.

    Attributes:
        method: what combines the members that are chosen.
        max_members: at most so many.
        costs: of each member, such as milliseconds for an image.
        max_cost: for all that are chosen together.
        blend: what they are chosen to be good for.

    Raises:
        ValueError: while fitting, where not a single member keeps within the budget.
    """

    method: Method
    max_members: int
    costs: Sequence[float] | None = None
    max_cost: float | None = None
    blend: Blend = "simplex"

    def __post_init__(self) -> None:
        if self.max_members < 1:
            raise ValueError(f"Expected max_members >= 1, got {self.max_members}.")
        if self.max_cost is not None and self.costs is None:
            raise ValueError(f"Expected the costs of the members beside max_cost={self.max_cost}, got none.")
        if self.costs is not None:
            object.__setattr__(self, "costs", tuple(check_costs(self.costs, len(self.costs)).tolist()))

    def unsuited(self, seen: Observed) -> str | None:
        return self.method.unsuited(seen)

    def fit(self, seen: Observed) -> Subset:
        per_example = seen.gram
        check_gram(per_example, dimensions=3)
        positions = self._chosen(per_example.mean(axis=0))
        return Subset(self.method.fit(seen.of(positions)), positions, seen.members)

    def cross_fit(self, seen: Observed, fold: Folds) -> list[Combiner]:
        chosen = [self._chosen(gram) for gram in means_without(seen.gram, fold)]
        rules: list[Combiner] = []
        by_choice: dict[tuple[int, ...], list[Combiner]] = {}
        for number, positions in enumerate(chosen):
            key = tuple(positions.tolist())
            if key not in by_choice and sum(np.array_equal(positions, other) for other in chosen) > 1:
                by_choice[key] = self.method.cross_fit(seen.of(positions), fold)
            if key in by_choice:
                rule = by_choice[key][number]
            else:
                rule = self.method.fit(seen.of(positions).only(fold != number))
            rules.append(Subset(rule, positions, seen.members))
        return rules

    def _chosen(self, gram: Floats) -> Positions:
        max_cost = np.inf if self.max_cost is None else self.max_cost
        return best_few(gram, self.max_members, self.costs, max_cost, self.blend)


def unless_several(seen: Observed) -> str | None:
    return "there is one member alone, and nothing to weigh" if seen.members == 1 else None


def folds(fold: Folds) -> int:
    """How many there are, numbered from 0."""
    return int(fold.max()) + 1


def kept_by_fold(fold: Folds) -> Floats:
    """For each fold, 1 for the examples outside of it and 0 for its own: (F, N)."""
    kept = fold[None] != np.arange(folds(fold))[:, None]
    if not kept.any(axis=1).all():
        raise ValueError("Expected at least two folds, got one that holds every example; nothing is left to fit on.")
    return kept.astype(np.float64)


def means_without(per_example: Floats, fold: Folds) -> Floats:
    """The mean Gram matrix of the examples outside of each fold, (F, k, k), of those of all examples (N, k, k)."""
    check_gram(per_example, dimensions=3)
    if fold.shape != per_example.shape[:1]:
        raise ValueError(f"Expected the fold of each of {len(per_example)} examples, got shape {fold.shape}.")
    kept = kept_by_fold(fold)
    sums = kept @ per_example.reshape(len(per_example), -1)
    return np.asarray((sums / kept.sum(axis=1, keepdims=True)).reshape(-1, *per_example.shape[1:]))
