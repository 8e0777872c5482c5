"""How the training split is cut, so that a second level is fitted only to what the members have not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ensembles.combining.combiner import Positions
from ensembles.combining.method import fold_of

Groups = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Fold:
    """Positions of examples, in the order of the training split: (M,) to train on, (H,) that this leaves unseen."""

    training: Positions
    held_out: Positions

    def __post_init__(self) -> None:
        object.__setattr__(self, "training", np.asarray(self.training))
        object.__setattr__(self, "held_out", np.asarray(self.held_out))


@dataclass(frozen=True, eq=False)
class Folds:
    """The training split cut so that the second level is fitted only to what the members have not seen.

    Raises `ValueError` where an example of `covered` is held out by no fold or by two, or where a fold trains on an
    example, or on a group, that it holds out.

    Attributes:
        folds: at least one, none of them with an empty part.
        groups: (N,), of all examples of the split.
        covered: (N,), the examples that the second level sees. All by default.
    """

    folds: Sequence[Fold]
    groups: Groups
    covered: npt.NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        covered = self.seen
        object.__setattr__(self, "folds", tuple(self.folds))
        if covered.shape != self.groups.shape:
            raise ValueError(f"Expected covered (N,) for groups {self.groups.shape}, got {covered.shape}.")
        for number, fold in enumerate(self.folds):
            _check_fold(number, fold, self.groups)
        times = np.zeros(len(self.groups), dtype=np.int64)
        for fold in self.folds:
            np.add.at(times, fold.held_out, 1)
        if (times > 1).any():
            raise ValueError(
                f"Expected each example in the held-out part of one fold, got {int((times > 1).sum())} of {len(times)} "
                "in those of several; the folds overlap."
            )
        if (times[covered] == 0).any() or not self.folds:
            missing = int((times[covered] == 0).sum())
            raise ValueError(
                f"Expected a fold for each example, got {missing} of {int(covered.sum())} that no fold holds out; "
                "nothing can be predicted for them by a model that did not see them."
            )
        if (times[~covered] > 0).any():
            raise ValueError(
                f"Expected only covered examples in held-out parts, got {int((times[~covered] > 0).sum())} others."
            )

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """(N,), `covered`, or all."""
        return np.ones(len(self.groups), dtype=np.bool_) if self.covered is None else np.asarray(self.covered)

    @property
    def fold_of(self) -> npt.NDArray[np.intp]:
        """(N,), the number of the fold that holds an example out, -1 where none does."""
        result = np.full(len(self.groups), -1, dtype=np.intp)
        for number, fold in enumerate(self.folds):
            result[fold.held_out] = number
        return result

    @classmethod
    def by_group(cls, groups: Groups, k: int = 5, seed: int = 0) -> Folds:
        """k folds that hold out every example once; fewer where there are fewer groups, of which none is split."""
        _named(groups)
        fold = fold_of(groups, k, seed)
        numbers = range(int(fold.max()) + 1)
        return cls([Fold(np.flatnonzero(fold != each), np.flatnonzero(fold == each)) for each in numbers], groups)

    @classmethod
    def blend(cls, groups: Groups, share: float = 0.3, seed: int = 0) -> Folds:
        """One cut: members train on one part, the second level is fitted to the other, about `share` of the groups.

        Blending as in the Netflix prize: Töscher, Jahrer & Bell, The BigChaos Solution, 2009.
        """
        if not 0 < share < 1:
            raise ValueError(f"Expected 0 < share < 1, got {share}.")
        names, group_of = _named(groups)
        count = min(max(1, round(share * len(names))), len(names) - 1)
        held_out = (np.random.default_rng(seed).permutation(len(names)) < count)[group_of]
        return cls([Fold(np.flatnonzero(~held_out), np.flatnonzero(held_out))], groups, held_out)


def _named(groups: Groups) -> tuple[Groups, Positions]:
    names, group_of = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"Expected at least two groups to train on one and hold out another, got {len(names)}.")
    return names, group_of


def _check_fold(number: int, fold: Fold, groups: Groups) -> None:
    for name, rows in (("trains on", fold.training), ("holds out", fold.held_out)):
        if not len(rows) or not np.issubdtype(rows.dtype, np.integer) or len(np.unique(rows)) < len(rows):
            raise ValueError(f"Fold {number}: expected what it {name} to be one example or more, each once.")
        if rows.min() < 0 or rows.max() >= len(groups):
            low, high = rows.min(), rows.max()
            raise ValueError(f"Fold {number}: expected what it {name} in 0..{len(groups) - 1}, got {low}..{high}.")
    shared = np.intersect1d(groups[fold.training], groups[fold.held_out])
    if len(shared):
        raise ValueError(
            f"Fold {number}: expected groups either to train on or to hold out, got {len(shared)} in both, such as "
            f"{shared[0]}; cut with `Folds.by_group`."
        )
