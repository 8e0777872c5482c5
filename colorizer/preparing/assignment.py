"""What becomes of each drawing: left out as a near duplicate, or its group, label and split."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colorizer.preparing.first_pass import Encoded
from colorizer.preparing.likeness import alike, joined, renumbered
from colorizer.preparing.limits import Limits
from colorizer.splitting import assign_splits


@dataclass(frozen=True)
class Assignment:
    """Of N drawings that were encoded.

    Attributes:
        splits: (N,) text; "": left out, as a near duplicate of an earlier one.
        groups: (N,) drawings of one group have identical line art or look alike.
        labels: (N,) "" where there is none.
        first_alike: (N,) the first drawing that looks the same; of one that looks like no earlier one, itself.
    """

    splits: NDArray[np.str_]
    groups: NDArray[np.int64]
    labels: list[str]
    first_alike: NDArray[np.int64]

    def left_out(self) -> list[int]:
        """The rows without a split."""
        return np.flatnonzero(self.splits == "").tolist()

    def alike(self) -> list[list[int]]:
        """The drawings of each group of several, the largest group first."""
        kept = np.flatnonzero(self.splits != "")
        order = kept[np.argsort(self.groups[kept], kind="stable")]
        groups = np.split(order, np.flatnonzero(np.diff(self.groups[order])) + 1)
        return sorted((group.tolist() for group in groups if len(group) > 1), key=len, reverse=True)

    def samples(self, count: int, seed: int) -> dict[str, list[int]]:
        """Up to `count` drawings of each split, drawn at random."""
        rng = np.random.default_rng(seed)
        members = {str(split): np.flatnonzero(self.splits == split) for split in np.unique(self.splits) if split}
        return {
            split: sorted(rng.choice(rows, min(count, len(rows)), replace=False).tolist())
            for split, rows in members.items()
        }

    def label_counts(self, splits: Sequence[str]) -> dict[str, dict[str, int]]:
        """label -> split -> how many, by name of the label."""
        counts = Counter(zip(self.labels, self.splits.tolist(), strict=True))
        present = {label for label, split in counts if label and split}
        return {label: {split: counts[label, split] for split in splits} for label in sorted(present)}


def assign(
    encoded: Encoded, label_of: Mapping[str, str], limits: Limits, fractions: Mapping[str, float], seed: int
) -> Assignment:
    """Groups what looks alike, leaves out copies if the limits say so, and splits the rest by whole groups.

    Raises:
        ValueError: there are fewer groups than splits.
    """
    count = len(encoded.names)
    near = alike(encoded.measures["likeness"], limits.likeness) if limits.likeness else np.arange(count)
    first_alike = np.unique(near, return_index=True)[1][near]
    kept = first_alike == np.arange(count) if limits.drop_near else np.ones(count, dtype=bool)
    groups = np.full(count, -1)
    groups[kept] = renumbered(joined(near, renumbered(encoded.measures["line_art"]))[kept])
    labels = [label_of.get(name, "") for name in encoded.names]
    stratified = [label for label, stays in zip(labels, kept, strict=True) if stays] if label_of else None
    splits = np.full(count, "", dtype=f"<U{max(map(len, fractions))}")
    splits[kept] = assign_splits(groups[kept].tolist(), fractions, seed, stratified)
    return Assignment(splits, groups, labels, first_alike)
