"""Which drawing goes into which split, and which part of a split a training on less data learns from."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# One for all: trials compare only if their parts are the same.
_PART_SEED = 0

_ROUNDING = 1e-6  # shares of whole numbers: what floating point takes from them must not cost a place


def assign_splits(
    groups: Sequence[int], fractions: Mapping[str, float], seed: int, labels: Sequence[str] | None = None
) -> list[str]:
    """A split for each of N examples, such that no group is in two and the numbers are near the fractions.

    Groups are shuffled, then the larger ones go first: each to the split that is relatively the emptiest among
    those it still fits in. So groups of every size are spread in proportion, and single examples even out the rest.
    No split is left empty. With labels, "fits" and "emptiest" are asked of the examples of the group's label, so that
    every split holds its share of each label. What is left of a label, less than one example a split, waits until all
    else is placed and then evens out the sizes of the splits. Where every group is a single example, no label is more
    than one example from its share in any split.

    Args:
        groups: (N,) the group of each example.
        fractions: split -> share of the examples; positive, of sum 1.
        seed: of the shuffle.
        labels: (N,) the label of each example; None: they are all alike.

    Raises:
        ValueError: there are fewer groups than splits.
    """
    names = list(fractions)
    members, member_of, sizes = np.unique(np.asarray(groups, dtype=np.int64), return_inverse=True, return_counts=True)
    if len(members) < len(names):
        raise ValueError(
            f"{', '.join(names)} need at least {len(names)} drawings of different line art, "
            f"got {len(members)} (in {len(groups)} drawings)"
        )
    shares = np.array([fractions[name] for name in names])
    label_of = np.zeros(len(groups), dtype=np.int64)
    if labels is not None:
        numbers = {label: number for number, label in enumerate(sorted(set(labels)))}
        label_of = np.array([numbers[label] for label in labels])
    plan = _Plan(np.bincount(label_of)[:, None] * shares)
    contents = _contents(member_of, label_of, len(members))
    order = np.random.default_rng(seed).permutation(len(members))
    order = order[np.argsort(-sizes[order], kind="stable")]
    waiting = []
    chosen: dict[int, int] = {}
    for group in order:
        split = plan.best_fit(contents[group], left=len(members) - len(chosen))
        if split is None:
            waiting.append(group)
        else:
            chosen[group] = plan.place(contents[group], split)
    for group in waiting:
        split = plan.least_harm(contents[group], left=len(members) - len(chosen))
        chosen[group] = plan.place(contents[group], split)
    return [names[chosen[group]] for group in member_of]


class _Group(NamedTuple):
    """What a group consists of: its labels, the most frequent first, and how many examples it has of each."""

    labels: NDArray[np.int64]
    counts: NDArray[np.int64]


class _Plan:
    """How many examples of each of L labels each of S splits still misses, (L, S); below 0: it has too many."""

    def __init__(self, wanted: NDArray[np.float64]) -> None:
        self._wanted, self._missing = wanted, wanted.copy()
        self._empty = np.ones(wanted.shape[1], dtype=bool)

    def best_fit(self, group: _Group, left: int) -> int | None:
        """The split for a group, or None if it can wait: a single example that fits nowhere."""
        allowed = self._allowed(left)
        fits = allowed & (self._missing[group.labels] >= group.counts[:, None] - _ROUNDING).all(axis=0)
        if fits.any():
            main = group.labels[0]
            return _greatest(self._missing[main] / self._wanted[main], fits)
        if group.counts.sum() == 1:
            return None
        # Large: where it is missed most, among the splits that have room for so many examples.
        roomy = allowed & (self._missing.sum(axis=0) >= group.counts.sum() - _ROUNDING)
        return _greatest(group.counts @ self._missing[group.labels], roomy if roomy.any() else allowed)

    def least_harm(self, group: _Group, left: int) -> int:
        """The split for a single example that fits nowhere: the emptiest of those that miss its label."""
        allowed = self._allowed(left)
        missed = allowed & (self._missing[group.labels[0]] > 0)
        return _greatest(self._missing.sum(axis=0), missed if missed.any() else allowed)

    def place(self, group: _Group, split: int) -> int:
        self._missing[group.labels, split] -= group.counts
        self._empty[split] = False
        return split

    def _allowed(self, left: int) -> NDArray[np.bool_]:
        """All splits, or the empty ones once there are only as many groups left as those."""
        return self._empty if self._empty.sum() == left else np.ones_like(self._empty)


def _greatest(values: NDArray[np.float64], among: NDArray[np.bool_]) -> int:
    return int(np.where(among, values, -np.inf).argmax())


def _contents(member_of: NDArray[np.int64], label_of: NDArray[np.int64], groups: int) -> list[_Group]:
    pairs, counts = np.unique(np.stack([member_of, label_of], axis=1), axis=0, return_counts=True)
    order = np.lexsort((-counts, pairs[:, 0]))
    bounds = np.searchsorted(pairs[order, 0], np.arange(1, groups))
    return list(map(_Group, np.split(pairs[order, 1], bounds), np.split(counts[order], bounds)))


def part_of(groups: NDArray[np.int64], fraction: float) -> NDArray[np.int64]:
    """Which of N examples make up a part of about `fraction` of them, by whole groups.

    It depends on the groups alone, so trials that differ in whatever else learn from the same examples; and a smaller
    part is inside every larger one. It is never larger than asked for, unless it is a single group.

    Args:
        groups: (N,) the group of each example, N >= 1.
        fraction: above 0, at most 1.

    Returns:
        Positions of the examples, (M,), ascending; M >= 1.
    """
    _, first, members = np.unique(groups, return_index=True, return_inverse=True)
    order = np.random.default_rng(_PART_SEED).permutation(len(first))
    sizes = np.bincount(members)[order].cumsum()
    # A sum of sizes is whole: what floating point adds to or takes from fraction * N must not cost a group.
    taken = max(1, int(np.searchsorted(sizes, fraction * len(groups) + 1e-6, side="right")))
    return np.flatnonzero(np.isin(members, order[:taken]))
