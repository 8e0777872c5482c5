"""Groups of hashes are those that comparing all with all would find."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from colorizer.preparing import likeness
from colorizer.preparing.likeness import alike, joined, renumbered


def by_brute_force(hashes: NDArray[np.uint8], limit: int) -> list[int]:
    bits = np.unpackbits(hashes, axis=1)
    numbers = list(range(len(hashes)))
    for i in range(len(hashes)):
        for j in range(i):
            if (bits[i] != bits[j]).sum() <= limit:
                numbers = [numbers[j] if number == numbers[i] else number for number in numbers]
    return [sorted(set(numbers), key=numbers.index).index(number) for number in numbers]


@st.composite
def scattered(draw: st.DrawFn) -> NDArray[np.uint8]:
    """Hashes around few centres, so that many are near each other and some exactly at the limit."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count, width = draw(st.integers(1, 60)), draw(st.sampled_from([2, 3, 16]))
    centres = rng.integers(0, 256, (draw(st.integers(1, 8)), width), dtype=np.uint8)
    flips = rng.random((count, 8 * width)) < draw(st.floats(0, 3)) / (8 * width)
    return centres[rng.integers(0, len(centres), count)] ^ np.packbits(flips, axis=1)


@settings(deadline=None)
@given(scattered(), st.integers(0, 15))
def test_groups_are_those_of_comparing_all_with_all(hashes: NDArray[np.uint8], limit: int) -> None:
    assert alike(hashes, limit).tolist() == by_brute_force(hashes, limit)


def test_the_limit_is_inside() -> None:
    hashes = np.array([[0, 0], [0, 0b111], [0, 0b111111]], dtype=np.uint8)
    assert alike(hashes, 2).tolist() == [0, 1, 2]
    assert alike(hashes, 3).tolist() == [0, 0, 0]  # the last by way of the second
    assert alike(hashes[[0, 2]], 3).tolist() == [0, 1]


def test_few_pairs_are_held_at_once_and_the_groups_stay_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 4, (300, 2), dtype=np.uint8)
    hashes[:, 1] <<= 4
    whole = alike(hashes, 1)
    monkeypatch.setattr(likeness, "_PAIRS_AT_ONCE", 5)
    assert alike(hashes, 1).tolist() == whole.tolist()


def test_many_hashes_are_not_all_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0
    count = np.bitwise_count

    def counting(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        nonlocal compared
        compared += len(values)
        return count(values)

    monkeypatch.setattr(np, "bitwise_count", counting)
    hashes = np.random.default_rng(0).integers(0, 256, (20_000, 16), dtype=np.uint8)
    hashes[10_000:] = hashes[:10_000]
    hashes[10_000:, 5] ^= 0b1011
    assert alike(hashes, 6).tolist() == [*range(10_000)] * 2
    assert compared < 20 * 20_000  # all with all: 200 million


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=30))
def test_joined_groups_hold_what_either_holds_and_no_more(pairs: list[tuple[int, int]]) -> None:
    one, other = (renumbered(np.array(values)) for values in zip(*pairs, strict=True))
    found = joined(one, other)
    numbers = list(range(len(pairs)))
    for _ in pairs:
        for numbering in (one, other):
            numbers = [min(n for n, of in zip(numbers, numbering, strict=True) if of == own) for own in numbering]
    assert found.tolist() == renumbered(np.array(numbers)).tolist()


def test_numbers_come_in_the_order_of_their_first() -> None:
    assert renumbered(np.array([7, 3, 7, 9, 3])).tolist() == [0, 1, 0, 2, 1]
    assert renumbered(np.array([[7, 1], [7, 2], [7, 1]], dtype=np.uint8)).tolist() == [0, 1, 0]
