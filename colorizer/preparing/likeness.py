"""Which of many hashes differ in few bits, found without comparing all with all."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]

_PAIRS_AT_ONCE = 1_000_000


def alike(hashes: NDArray[np.uint8], limit: int) -> NDArray[np.int64]:
    """Numbers for N hashes; two have the same number if a chain of steps of at most `limit` bits joins them.

    Memory grows with N and not with the number of pairs that are alike. Numbers count from 0 in the order in which they
    first come.

    Args:
        hashes: (N, B) uint8, B bytes each.
        limit: in bits, at least 0 and below 8 B.
    """
    distinct, copy_of = np.unique(hashes, axis=0, return_inverse=True)
    numbers = np.arange(len(distinct))
    for one, other in _gathered(_near(distinct, limit)):
        links = coo_array((np.ones(len(one)), (numbers[one], numbers[other])), shape=(len(distinct), len(distinct)))
        numbers = connected_components(links, directed=False)[1][numbers]
    return renumbered(numbers[copy_of.ravel()])


def joined(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """The groups that come of joining two groupings of N things, each given as (N,) numbers from 0."""
    nodes = 1 + int(one.max()) + 1 + int(other.max())
    links = coo_array((np.ones(len(one)), (one, 1 + one.max() + other)), shape=(nodes, nodes))
    return renumbered(connected_components(links, directed=False)[1][one])


def renumbered(values: NDArray[Any]) -> NDArray[np.int64]:
    """N values, or rows of values, as numbers from 0 in the order in which they first come."""
    _, first, inverse = np.unique(values, axis=0, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse.ravel()]


def _near(hashes: NDArray[np.uint8], limit: int) -> Iterator[_Pairs]:
    """All pairs of different hashes at most `limit` bits apart; some come more than once.

    Of limit + 1 pieces of a hash at least one is the same in both (multi-index hashing; Norouzi, Punjani and Fleet
    2012), so only hashes that share a piece are compared: sorted by it, each with the next, the next but one, ...
    """
    bits = np.unpackbits(hashes, axis=1)
    for piece in np.array_split(bits, limit + 1, axis=1):
        key = np.unique(np.packbits(piece, axis=1), axis=0, return_inverse=True)[1].ravel()
        order = np.argsort(key, kind="stable")
        key = key[order]
        here = np.arange(len(order))
        for step in range(1, len(order)):
            here = here[: np.searchsorted(here, len(order) - step)]
            here = here[key[here] == key[here + step]]
            if not len(here):
                break
            one, other = order[here], order[here + step]
            near = np.bitwise_count(hashes[one] ^ hashes[other]).sum(axis=1) <= limit
            yield one[near], other[near]


def _gathered(pairs: Iterator[_Pairs]) -> Iterator[_Pairs]:
    """The pairs in batches that are worth a step of their own."""
    batch: list[_Pairs] = []
    waiting = 0
    for one, other in pairs:
        batch.append((one, other))
        waiting += len(one)
        if waiting > _PAIRS_AT_ONCE:
            yield _joined(batch)
            batch, waiting = [], 0
    if waiting:
        yield _joined(batch)


def _joined(batch: list[_Pairs]) -> _Pairs:
    return np.concatenate([one for one, _ in batch]), np.concatenate([other for _, other in batch])
