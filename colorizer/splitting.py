"""Which drawing goes into which split, and which part of a split a training on less data learns from."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

# One for all: trials compare only if their parts are the same.
_PART_SEED = 0


def assign_splits(groups: Sequence[int], fractions: Mapping[str, float], seed: int) -> list[str]:
    """A split for each of N examples, such that no group is in two and the numbers are near the fractions.

    Groups are shuffled, then the larger ones go first: each to the split that is relatively the emptiest among
    those it still fits in. So groups of every size are spread in proportion, and single examples even out the rest.
    No split is left empty.

    Args:
        groups: (N,) the group of each example.
        fractions: split -> share of the examples; positive, of sum 1.
        seed: of the shuffle.

    Raises:
        ValueError: there are fewer groups than splits.
    """
    names = list(fractions)
    members, sizes = np.unique(np.asarray(groups, dtype=np.int64), return_counts=True)
    if len(members) < len(names):
        raise ValueError(
            f"{', '.join(names)} need at least {len(names)} drawings of different line art, "
            f"got {len(members)} (in {len(groups)} drawings)"
        )
    order = np.random.default_rng(seed).permutation(len(members))
    order = order[np.argsort(-sizes[order], kind="stable")]
    wanted = np.array([fractions[name] * len(groups) for name in names])
    missing = wanted.copy()
    empty = np.ones(len(names), dtype=bool)
    split_of: dict[int, str] = {}
    for placed, group in enumerate(order):
        left = len(order) - placed
        allowed = empty if empty.sum() == left else np.ones_like(empty)
        fits = allowed & (missing >= sizes[group])
        need = np.where(fits, missing / wanted, -np.inf) if fits.any() else np.where(allowed, missing, -np.inf)
        chosen = int(need.argmax())
        missing[chosen] -= sizes[group]
        empty[chosen] = False
        split_of[int(members[group])] = names[chosen]
    return [split_of[int(group)] for group in groups]


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
