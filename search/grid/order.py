"""In which order the cells of a grid are visited, and how its configurations stand."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np
from scipy.stats import qmc

from search.suggestion import Told

Cell = tuple[int, ...]
# The cells of some axes, crossed with each other.
Box = Sequence[Sequence[int]]
# A cell of every group of crossed axes.
Cells = tuple[Cell, ...]


def visiting_order(boxes: Sequence[Box], wanted: Callable[[Cell], bool], rng: np.random.Generator) -> list[Cell]:
    """The wanted cells of some boxes, each once: from every box by turns, in an order that spreads over it early."""
    spread = [_spread(box, rng) for box in boxes]
    by_turns = (cell for turn in zip_longest(*spread) for cell in turn if cell is not None)
    return [cell for cell in dict.fromkeys(by_turns) if wanted(cell)]


def combined(orders: Sequence[Sequence[Cell]], rng: np.random.Generator) -> list[Cells]:
    """The next cell of every group for each trial, as many as the largest group has; the others begin again, shuffled.

    As in a Latin hypercube (McKay et al., Technometrics 1979), every cell of a group is met about equally often.
    """
    length = max(map(len, orders))
    columns = []
    for order in orders:
        column = list(order)
        while len(column) < length:
            column += [order[i] for i in rng.permutation(len(order))]
        columns.append(column[:length])
    return list(zip(*columns, strict=True))


def _spread(box: Box, rng: np.random.Generator) -> Iterator[Cell]:
    """The cells as a scrambled Sobol sequence (Owen, J. Complexity 1998) first hits them, then those it misses."""
    sizes = [len(cells) for cells in box]
    count = math.prod(sizes)
    points = qmc.Sobol(len(sizes), seed=rng).random_base2(math.ceil(math.log2(4 * count)))
    hits = np.ravel_multi_index(tuple((points * sizes).astype(int).T), sizes)
    found, first = np.unique(hits, return_index=True)
    missed = rng.permutation(np.setdiff1d(np.arange(count), found))
    order = np.concatenate([found[np.argsort(first)], missed])
    for index in zip(*np.unravel_index(order, sizes), strict=True):
        yield tuple(cells[i] for cells, i in zip(box, index, strict=True))


# Stopped early, mean loss, number of the first trial, name.
_Entry = tuple[bool, float, int, str]


@dataclass
class Ranking:
    """Configurations by the mean loss of their full-length trials; those only stopped early stand behind all others.

    It is kept sorted: to ask for the best costs the same however many trials there were.
    """

    _sorted: list[_Entry] = field(default_factory=list)
    _entries: dict[str, _Entry] = field(default_factory=dict)
    _losses: dict[str, list[float]] = field(default_factory=dict)

    def add(self, trial: Told, loss: float) -> None:
        """Count a trial that has ended with a value."""
        name, stopped = trial.configuration, trial.state != "COMPLETE"
        before = self._entries.get(name)
        if before is not None:
            del self._sorted[bisect_left(self._sorted, before)]
        losses = self._losses.setdefault(name, [])
        if not stopped:
            losses.append(loss)
        mean = float(np.mean(losses)) if losses else loss
        self._entries[name] = (not losses, mean, before[2] if before else trial.number, name)
        insort(self._sorted, self._entries[name])

    def best(self, count: int) -> list[str]:
        """The best configurations."""
        return [name for *_, name in self._sorted[:count]]

    def complete(self, count: int) -> list[str]:
        """Those of the best that ran their full length."""
        return [name for stopped, *_, name in self._sorted[:count] if not stopped]
