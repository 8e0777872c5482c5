"""Fewer values than there are, so that the shape and the extremes stay: what keeps figures small."""

import numpy as np


def evenly(count: int, most: int) -> np.ndarray:
    """At most so many places of `count`, ascending: the first, the last, and others evenly between."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def first_and_evenly(count: int, most: int, first: int) -> np.ndarray:
    """At most so many places of `count`, ascending: the `first` ones all, which are the best of a ranking, the others
    evenly."""
    if count <= most:
        return np.arange(count)
    return np.r_[:first, np.linspace(first, count - 1, most - first).astype(int)]


def thin(values: np.ndarray, points: int, curve: np.ndarray | None = None) -> np.ndarray:
    """Indices of at most about `points` values a curve that keep its ends and, of each stretch, the extremes.

    `curve` says which of several curves each value belongs to, those of one beside each other; without it all are
    of one.
    """
    if not len(values):
        return np.array([], dtype=int)
    curve = np.zeros(len(values), dtype=int) if curve is None else curve
    starts = np.flatnonzero(np.r_[True, curve[1:] != curve[:-1]])
    lengths = np.diff(np.r_[starts, len(values)])
    length = np.repeat(lengths, lengths)
    stretches = max(1, points // 2 - 1)
    position = np.arange(len(values)) - np.repeat(starts, lengths)
    stretch = np.repeat(np.arange(len(starts)), lengths) * stretches + position * stretches // length
    order = np.lexsort((values, stretch))
    edges = np.flatnonzero(np.diff(stretch[order]))
    keep = length <= points
    for kept in (starts, starts + lengths - 1, order[np.r_[0, edges + 1]], order[np.r_[edges, len(values) - 1]]):
        keep[kept] = True
    return np.flatnonzero(keep)
