"""Splits by groups and labels; the rows that a page shows."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from colorizer.preparing.assignment import Assignment, assign
from colorizer.preparing.first_pass import MEASURES, Encoded
from colorizer.preparing.limits import Limits

FRACTIONS = {"train": 0.7, "val": 0.2, "test": 0.1}


def encoded(looks: list[int], line_arts: list[int]) -> Encoded:
    """Drawings whose hashes are the same or far apart, as their line art."""
    measures = np.zeros(len(looks), dtype=MEASURES)
    hashes = np.random.default_rng(0).integers(0, 256, (100, 16), dtype=np.uint8)
    measures["likeness"], measures["line_art"][:, 0] = hashes[looks], line_arts
    return Encoded([f"{i:03}" for i in range(len(looks))], measures)


pairs = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=10, max_size=80)


@settings(deadline=None)
@given(pairs, st.booleans())
def test_what_looks_alike_or_has_the_same_lines_is_never_in_two_splits(
    pairs: list[tuple[int, int]], drop: bool
) -> None:
    unique = [(40 + i, 40 + i) for i in range(3)]  # so that there are groups for all splits
    looks, lines = map(list, zip(*pairs, *unique, strict=True))
    found = assign(encoded(looks, lines), {}, Limits(drop_near=drop), FRACTIONS, 0)
    first_of_its_look = [looks.index(look) == place for place, look in enumerate(looks)]
    assert ((found.splits != "") == (first_of_its_look if drop else np.ones(len(looks), dtype=bool))).all()
    for numbers in (looks, lines):
        for number in set(numbers):
            splits = {split for split, own in zip(found.splits, numbers, strict=True) if own == number and split}
            assert len(splits) <= 1
    assert found.first_alike.tolist() == [looks.index(look) for look in looks]
    groups = found.groups[found.splits != ""]
    assert set(groups) == set(range(len(set(groups))))


def test_the_rows_of_families_samples_and_leftovers() -> None:
    splits = np.array(["train", "val", "", "train", "train", "val", "train"])
    assignment = Assignment(splits, np.array([0, 1, -1, 2, 0, 1, 0]), ["a", "b", "a", "", "a", "b", "b"], np.arange(7))
    assert assignment.left_out() == [2]
    assert assignment.alike() == [[0, 4, 6], [1, 5]]
    assert assignment.label_counts(["train", "val"]) == {"a": {"train": 2, "val": 0}, "b": {"train": 1, "val": 2}}
    samples = assignment.samples(3, seed=0)
    assert samples["val"] == [1, 5]
    assert len(set(samples["train"])) == 3
    assert set(samples["train"]) <= {0, 3, 4, 6}
