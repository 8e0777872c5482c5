"""Which drawing goes into which split."""

from collections.abc import Mapping, Sequence

import numpy as np


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
