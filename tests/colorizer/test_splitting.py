"""Splits keep groups whole, meet their fractions, and depend on the seed alone."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colorizer.splitting import assign_splits, part_of

FRACTIONS = {"train": 0.7, "val": 0.2, "test": 0.1}
groups_lists = st.lists(st.integers(0, 30), min_size=3, max_size=200).filter(lambda groups: len(set(groups)) >= 3)


@settings(deadline=None)
@given(groups_lists, st.integers(0, 2**32))
def test_no_group_is_in_two_splits_and_no_split_is_empty(groups: list[int], seed: int) -> None:
    splits = assign_splits(groups, FRACTIONS, seed)
    assert len(splits) == len(groups)
    assert len(set(zip(groups, splits, strict=True))) == len(set(groups))
    assert set(splits) == FRACTIONS.keys()


@settings(deadline=None)
@given(st.integers(3, 400), st.integers(0, 2**32), st.tuples(*[st.integers(1, 9)] * 3))
def test_single_drawings_meet_the_fractions_to_the_drawing(count: int, seed: int, parts: tuple[int, ...]) -> None:
    fractions = {name: part / sum(parts) for name, part in zip(FRACTIONS, parts, strict=True)}
    counts = Counter(assign_splits(range(count), fractions, seed))
    for name, fraction in fractions.items():
        # No split is empty, which may take up to two drawings from the others where there are few.
        slack = 1 if min(fractions.values()) * count >= 1 else 3
        assert abs(counts[name] - fraction * count) < slack + 1e-9


@settings(deadline=None)
@given(groups_lists, st.integers(0, 2**32))
def test_no_split_is_more_than_one_group_above_its_fraction(groups: list[int], seed: int) -> None:
    largest = max(Counter(groups).values())
    counts = Counter(assign_splits(groups, FRACTIONS, seed))
    for name, fraction in FRACTIONS.items():
        assert counts[name] <= fraction * len(groups) + largest


def test_groups_of_every_size_are_spread_over_the_splits() -> None:
    groups = [group for group in range(100) for _ in range(1 + group % 2)]  # 50 single drawings, 50 pairs
    split_of = dict(zip(groups, assign_splits(groups, FRACTIONS, 0), strict=True))
    for odd in (0, 1):
        counts = Counter(split for group, split in split_of.items() if group % 2 == odd)
        assert all(abs(counts[name] - 50 * fraction) <= 2 for name, fraction in FRACTIONS.items())


@pytest.mark.parametrize("seed", range(10))
def test_single_drawings_even_out_what_large_groups_leave(seed: int) -> None:
    groups = [0] * 10 + [1] * 10 + [2] * 10 + list(range(3, 73))
    assert Counter(assign_splits(groups, FRACTIONS, seed)) == {"train": 70, "val": 20, "test": 10}


def test_a_group_too_large_for_the_small_splits_goes_to_the_large_one() -> None:
    groups = [0] * 5 + [1] * 5 + list(range(2, 12))
    splits = assign_splits(groups, FRACTIONS, 0)
    assert set(splits[:10]) == {"train"}


def test_the_seed_decides() -> None:
    groups = list(range(50))
    assert assign_splits(groups, FRACTIONS, 3) == assign_splits(groups, FRACTIONS, 3)
    assert assign_splits(groups, FRACTIONS, 3) != assign_splits(groups, FRACTIONS, 4)


@settings(deadline=None)
@given(groups_lists, st.integers(0, 2**32), st.integers(1, 9))
def test_labels_never_cost_a_group_its_wholeness_nor_a_split_its_drawings(
    groups: list[int], seed: int, kinds: int
) -> None:
    labels = [str((group * 7 + place) % kinds) for place, group in enumerate(groups)]  # groups of several labels too
    splits = assign_splits(groups, FRACTIONS, seed, labels)
    assert len(set(zip(groups, splits, strict=True))) == len(set(groups))
    assert set(splits) == FRACTIONS.keys()
    assert splits == assign_splits(groups, FRACTIONS, seed, labels)


@settings(deadline=None)
@given(st.lists(st.integers(0, 12), min_size=30, max_size=300), st.integers(0, 2**32))
def test_of_single_drawings_every_split_has_its_share_of_each_label(kinds: list[int], seed: int) -> None:
    labels = [f"label {kind}" for kind in kinds]
    splits = assign_splits(range(len(labels)), FRACTIONS, seed, labels)
    found, of_label, in_split = Counter(zip(labels, splits, strict=True)), Counter(labels), Counter(splits)
    for split, fraction in FRACTIONS.items():
        assert abs(in_split[split] - fraction * len(labels)) < 3
        for label, count in of_label.items():
            assert abs(found[label, split] - fraction * count) < 1


def test_many_labels_do_not_unbalance_the_splits() -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        labels = [str(label) for label in rng.integers(0, rng.integers(20, 100), 300)]
        counts = Counter(assign_splits(range(300), FRACTIONS, seed, labels))
        assert all(abs(counts[split] - 300 * fraction) < 2 for split, fraction in FRACTIONS.items())


def test_rare_labels_are_spread_where_a_shuffle_would_not() -> None:
    labels = ["rare"] * 10 + ["frequent"] * 990
    for seed in range(5):
        splits = assign_splits(range(1000), FRACTIONS, seed, labels)
        assert Counter(splits[:10]) == {"train": 7, "val": 2, "test": 1}
        assert Counter(splits) == {"train": 700, "val": 200, "test": 100}


def test_labels_that_are_large_groups_do_not_unbalance_the_splits() -> None:
    groups = [i // 2 for i in range(100)]
    labels = [f"label {group}" for group in groups]  # each label one pair, which no split has a share for
    assert Counter(assign_splits(groups, FRACTIONS, 0, labels)) == {"train": 70, "val": 20, "test": 10}


def test_one_label_for_all_is_none() -> None:
    groups = [group for group in range(40) for _ in range(1 + group % 3)]
    for seed in range(20):
        assert assign_splits(groups, FRACTIONS, seed, ["x"] * len(groups)) == assign_splits(groups, FRACTIONS, seed)


def test_too_few_groups_are_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"at least 3 drawings of different line art, got 2 \(in 40 drawings\)"):
        assign_splits([0, 1] * 20, FRACTIONS, 0)


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.floats(0.001, 1), st.floats(0.001, 1))
def test_a_part_keeps_groups_whole_and_is_inside_every_larger_part(groups: list[int], one: float, other: float) -> None:
    known = np.array(groups)
    small, large = (part_of(known, fraction) for fraction in sorted((one, other)))
    assert set(small) <= set(large)
    for part in (small, large):
        assert len(part) >= 1
        assert not set(known[part]) & set(np.delete(known, part))


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.floats(0.001, 1))
def test_a_part_is_as_large_as_asked_for_to_a_group(groups: list[int], fraction: float) -> None:
    part, sizes = part_of(np.array(groups), fraction), Counter(groups)
    kept = {groups[row] for row in part}
    assert len(part) <= fraction * len(groups) + 1e-6 or len(kept) == 1
    assert len(part) > fraction * len(groups) - max(sizes.values())


def test_the_whole_is_everything_in_its_own_order() -> None:
    assert part_of(np.array([3, 1, 3, 2, 1]), 1.0).tolist() == [0, 1, 2, 3, 4]


def test_a_part_is_spread_over_the_dataset_and_not_its_beginning() -> None:
    part = part_of(np.arange(1000), 0.2)
    assert len(part) == 200
    assert 60 < (part < 500).sum() < 140
