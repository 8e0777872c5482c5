"""One stage of a jittered grid: the coarse grid or a finer one, round by round until its best lies inside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from search.errors import SearchError
from search.grid.cells import AxisCells
from search.grid.order import Box, Cell, Cells, Ranking, combined, visiting_order

# A group of axes that are crossed with each other.
Group = tuple[AxisCells, ...]
# The corners of an edge are tried as long as an edge layer and what it surrounds have no more cells.
_CORNERS = 1000


@dataclass(frozen=True)
class Refine:
    """A finer grid around the best points of the stage before.

    Attributes:
        factor: its cells step by about this factor on log axes; linear cells are cut into as many parts.
        around: how many of the best points it is laid around.
        budget: the length of its trials, in lengths of a coarse one; needs a search that has `iterations`.
    """

    factor: float = 3.0
    around: int = 2
    budget: float = 3.0

    def __post_init__(self) -> None:
        if not 1 < self.factor < math.inf:
            raise SearchError(
                f"Expected a factor above 1 in Refine, got factor={self.factor}. It is the step from cell to cell."
            )
        if not isinstance(self.around, int) or self.around < 1:
            raise SearchError(f"Expected around to be a whole number from 1, got around={self.around}. Try 2.")
        if not 0 < self.budget < math.inf:
            raise SearchError(
                f"Expected a budget above 0, got budget={self.budget}. 3.0 trains three times as long as at first."
            )

    def __str__(self) -> str:
        return f"Refine(factor={self.factor:g}, around={self.around}, budget={self.budget:g})"


@dataclass(frozen=True)
class Centre:
    """A point that a finer grid is laid around."""

    cells: Cells
    values: Mapping[str, Any]


@dataclass
class GridStage:
    """The rounds of a stage: its cells first, then layers beyond its edges. What comes next depends on calls alone.

    Attributes:
        name: "coarse", "refine 1", ...
        level: 0 for coarse, then the number of the refinement.
        groups: the axes.
        scales: finer cells to a coarse one, by group and axis.
        iterations: the length of its trials; None for that of the search.
        reach: what may be tried, by group: cells in any of the boxes; None as far as the limits go.
    """

    name: str
    level: int
    groups: tuple[Group, ...]
    scales: list[list[int]]
    iterations: int | None = None
    reach: list[list[Box]] | None = None
    rounds: int = 0
    queue: list[tuple[Cells, str]] = field(default_factory=list)
    handed: int = 0
    running: set[str] = field(default_factory=set)
    ranking: Ranking = field(default_factory=Ranking)

    def __post_init__(self) -> None:
        self._tried: list[set[Cell]] = [set() for _ in self.groups]

    @classmethod
    def coarse(cls, groups: tuple[Group, ...], rng: np.random.Generator) -> GridStage:
        """The grid over the starting range."""
        stage = cls("coarse", 0, groups, [[1] * len(group) for group in groups])
        orders = [visiting_order([[axis.start for axis in group]], lambda _: True, rng) for group in groups]
        stage._begin([(cells, stage.name) for cells in combined(orders, rng)])
        return stage

    def finer(
        self, refine: Refine, coarse: float, centres: Sequence[Centre], iterations: int | None, rng: np.random.Generator
    ) -> GridStage:
        """A grid as wide as a cell of this stage around each centre, which may widen to a whole cell to each side."""
        scales, windows, reach = [], [], []
        for number, (group, scale) in enumerate(zip(self.groups, self.scales, strict=True)):
            splits = [axis.split(refine.factor, coarse, s) for axis, s in zip(group, scale, strict=True)]
            finer = [s * n for s, n in zip(scale, splits, strict=True)]
            scales.append(finer)
            windows.append([_around(group, centre, number, finer, splits) for centre in centres])
            reach.append([_around(group, centre, number, finer, [2 * n for n in splits]) for centre in centres])
        level = self.level + 1
        stage = GridStage(f"refine {level}", level, self.groups, scales, iterations, reach)
        orders = [visiting_order(boxes, partial(stage.free, number), rng) for number, boxes in enumerate(windows)]
        stage._begin([(cells, stage.name) for cells in combined(orders, rng)])
        return stage

    def widen(self, best: Cells, rng: np.random.Generator) -> bool:
        """Begin a round with the free cells beside the best; False where there is none, because it lies inside."""
        orders, reasons = [], []
        for number, (group, cell) in enumerate(zip(self.groups, best, strict=True)):
            sides = [
                [c for c in axis.beside(at) if c == at or axis.inside(c, scale)]
                for axis, at, scale in zip(group, cell, self.scales[number], strict=True)
            ]
            boxes: list[Box] = [sides]
            if math.prod(map(len, sides)) > _CORNERS:
                boxes = [[side if i == j else [cell[j]] for j, side in enumerate(sides)] for i in range(len(sides))]
            order = visiting_order(boxes, partial(self.free, number), rng)
            reasons.append({c: self._edge(number, cell, c) for c in order})
            orders.append(order or [cell])
        if not any(reasons):
            return False
        layer = combined(orders, rng)
        why = [" ".join(r[c] for r, c in zip(reasons, cells, strict=True) if c in r) for cells in layer]
        self._begin([(cells, f"edge {edges}") for cells, edges in zip(layer, why, strict=True)])
        return True

    @property
    def complete(self) -> bool:
        """Whether every cell of the round has ended."""
        return self.handed == len(self.queue) and not self.running

    def free(self, number: int, cell: Cell) -> bool:
        """Whether a cell of a group is within reach, has a value in it, and was not tried."""
        if cell in self._tried[number]:
            return False
        if not all(a.inside(c, s) for a, c, s in zip(self.groups[number], cell, self.scales[number], strict=True)):
            return False
        return self.reach is None or any(
            all(c in cells for cells, c in zip(box, cell, strict=True)) for box in self.reach[number]
        )

    def _begin(self, queue: list[tuple[Cells, str]]) -> None:
        self.rounds += 1
        self.queue, self.handed = queue, 0
        for cells, _ in queue:
            for tried, cell in zip(self._tried, cells, strict=True):
                tried.add(cell)

    def _edge(self, number: int, best: Cell, cell: Cell) -> str:
        """The edges that lie between the best and a cell, such as "lr_g+ lr_d-"."""
        steps = [(i, c - b) for i, (b, c) in enumerate(zip(best, cell, strict=True)) if c != b]
        # Of a step to the side along an edge only the step across it counts.
        across = [(i, s) for i, s in steps if self.free(number, (*best[:i], best[i] + s, *best[i + 1 :]))]
        names = [axis.axis.name for axis in self.groups[number]]
        return " ".join(f"{names[i]}{'+' if s > 0 else '-'}" for i, s in across or steps)


def _around(group: Group, centre: Centre, number: int, scales: Sequence[int], cells: Sequence[int]) -> Box:
    """So many cells on each axis of a group, those nearest to a point."""
    return [
        axis.near(centre.values[axis.axis.name], at, scale, count)
        for axis, at, scale, count in zip(group, centre.cells[number], scales, cells, strict=True)
    ]
