"""Axes cut into cells of equal width, in the logarithm on log axes.

A coarse cell is cut into finer ones by a whole number, the `scale`: cell k of scale s covers what lies k/s to (k+1)/s
coarse cells above the low end of the starting range. Cells below that end have negative numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from search.space import Choice, Number

_TINY = 1e-6
# Coarse cells beyond either end that a log axis may be widened by, unless limits are given.
_WIDEN = 2


@dataclass(frozen=True)
class ChoiceCells:
    """A choice: a cell for each value, without neighbours."""

    axis: Choice

    @property
    def start(self) -> Sequence[int]:
        """The cells that a grid begins with."""
        return range(len(self.axis.labels))

    @property
    def widest(self) -> Sequence[int]:
        """The same: a choice cannot be widened."""
        return self.start

    @property
    def widened(self) -> Choice:
        """Likewise."""
        return self.axis

    def inside(self, cell: int, scale: int) -> bool:
        """Whether there is such a cell."""
        return 0 <= cell < len(self.axis.labels)

    def beside(self, cell: int) -> Sequence[int]:
        """The cell and its neighbours; no value of a choice is near another."""
        return (cell,)

    def near(self, value: Any, cell: int, scale: int, cells: int) -> Sequence[int]:
        """The cells nearest to a value: its own."""
        return (cell,)

    def split(self, factor: float, coarse: float, scale: int) -> int:
        """How many cells each is cut into: a value cannot be cut."""
        return 1

    def point(self, cell: int, scale: int, shift: float) -> Any:
        """The label of a cell; choices are never shifted."""
        return self.axis.labels[cell]

    def title(self, cell: int) -> str:
        """The cell, for people."""
        return f"{self.axis.name}={self.axis.labels[cell]}"


@dataclass(frozen=True)
class NumberCells:
    """A numeric axis in cells, and how far it may be widened. Ends and widths are logarithms on log axes.

    Attributes:
        axis: the axis with its starting range.
        count: coarse cells in the starting range.
        origin: the lower end of cell 0.
        width: of a coarse cell.
        lowest: where it ends when it is widened to its lower hard limit.
        highest: likewise to its upper one.
        limits: the values of both.
        by_value: whether each cell is one value, which is neither cut nor shifted.
    """

    axis: Number
    count: int
    origin: float
    width: float
    lowest: float
    highest: float
    limits: tuple[float, float]
    by_value: bool

    @classmethod
    def cut(cls, axis: Number, factor: float, points: int, limits: tuple[float, float] | None) -> NumberCells:
        """Cut log axes by `factor`, linear ones into `points` cells, few whole numbers or steps by value."""
        begin, end = _ends(axis, axis.low, axis.high)
        count, by_value = (max(1, round((end - begin) / math.log(factor))) if axis.log else points), False
        if _unit(axis):
            values = 1 + _last(axis, end) - _first(axis, begin)
            # A cell of fewer than two values is no cell.
            if by_value := not axis.log and values < 2 * points:
                count = values
        width = (end - begin) / count
        if limits is None:
            widen = _WIDEN * width if axis.log and not _unit(axis) else 0.0
            lowest, highest = begin - widen, end + widen
            limits = (math.exp(lowest), math.exp(highest)) if widen else (axis.low, axis.high)
        else:
            lowest, highest = _ends(axis, *limits)
        return cls(axis, count, begin, width, lowest, highest, limits, by_value)

    @property
    def start(self) -> Sequence[int]:
        """The cells of the starting range."""
        return [cell for cell in range(self.count) if self.inside(cell, 1)]

    @property
    def widest(self) -> Sequence[int]:
        """The coarse cells between the hard limits."""
        first, last = ((end - self.origin) / self.width for end in (self.lowest, self.highest))
        return [cell for cell in range(math.floor(first), math.ceil(last)) if self.inside(cell, 1)]

    @property
    def widened(self) -> Number:
        """The axis up to its hard limits."""
        low, high = self.limits
        if self.axis.integer:
            low, high = math.ceil(low), math.floor(high)
        return replace(self.axis, low=low, high=high)

    def inside(self, cell: int, scale: int) -> bool:
        """Whether the cell lies between the hard limits and has a value in it."""
        begin, end = self.ends(cell, scale)
        if end - begin < _TINY * self.width:
            return False
        return not _unit(self.axis) or _first(self.axis, begin) <= _last(self.axis, end)

    def ends(self, cell: int, scale: int) -> tuple[float, float]:
        """Where a cell begins and ends; the outermost ones are cut off at the hard limits."""
        begin, end = (self.origin + self.width * c / scale for c in (cell, cell + 1))
        return max(begin, self.lowest), min(end, self.highest)

    def beside(self, cell: int) -> Sequence[int]:
        """The cell and its neighbours."""
        return (cell - 1, cell, cell + 1)

    def near(self, value: float, cell: int, scale: int, cells: int) -> Sequence[int]:
        """So many cells of a finer scale, those nearest to a value; by value, its own cell."""
        if self.by_value:
            return (cell,)
        position = ((math.log(value) if self.axis.log else value) - self.origin) / self.width * scale
        first = math.floor(position - cells / 2 + 0.5)
        return range(first, first + cells)

    def split(self, factor: float, coarse: float, scale: int) -> int:
        """How many cells each of this scale is cut into, so that they step by about `factor`.

        Args:
            coarse: the factor of the coarse grid; a linear cell is cut as a log cell of this step would be.
        """
        step = self.width if self.axis.log else math.log(coarse)
        return 1 if self.by_value else max(2, round(step / scale / math.log(factor)))

    def point(self, cell: int, scale: int, shift: float) -> float:
        """The value in the middle of a cell, moved by a `shift` of -1/2 to 1/2 of its width and kept inside it."""
        begin, end = self.ends(cell, scale)
        middle = begin + (0.5 + shift) * (end - begin)
        value, unit = (math.exp(middle) if self.axis.log else middle), _unit(self.axis)
        if not unit:
            # The logarithm and back may have added something in the last digit.
            return min(max(value, self.limits[0]), self.limits[1])
        steps = round((value - _anchor(self.axis)) / unit)
        steps = min(max(steps, _first(self.axis, begin)), _last(self.axis, end))
        value = _anchor(self.axis) + steps * unit
        return int(value) if self.axis.integer else float(value)

    def title(self, cell: int) -> str:
        """The cell, for people."""
        return f"{self.axis.name}={self.point(cell, 1, 0.0):g}" if self.by_value else f"{self.axis.name} {cell}"


AxisCells = ChoiceCells | NumberCells


def _unit(axis: Number) -> float | None:
    """The distance between two values; None on a continuous axis."""
    return axis.step or (1 if axis.integer else None)


def _anchor(axis: Number) -> float:
    """A value that all others are whole steps away from."""
    return 0 if axis.log else axis.low


def _ends(axis: Number, low: float, high: float) -> tuple[float, float]:
    """A range as the axis is cut: whole numbers and steps reach half a step, or on log axes one up, beyond theirs."""
    if unit := _unit(axis):
        low = _anchor(axis) + math.ceil(_steps(axis, low, -1)) * unit
        high = _anchor(axis) + math.floor(_steps(axis, high, 1)) * unit
        low, high = (low, high + unit) if axis.log else (low - unit / 2, high + unit / 2)
    return (math.log(low), math.log(high)) if axis.log else (low, high)


def _first(axis: Number, begin: float) -> int:
    """The steps from the anchor to the first value of a cell that begins there."""
    return math.ceil(_steps(axis, math.exp(begin) if axis.log else begin, -1))


def _last(axis: Number, end: float) -> int:
    """The steps to its last; the end itself belongs to the next cell."""
    return math.ceil(_steps(axis, math.exp(end) if axis.log else end, -1)) - 1


def _steps(axis: Number, value: float, way: int) -> float:
    """Steps from the anchor, a last digit's breadth to one side, where a division may have missed a whole number."""
    steps = (value - _anchor(axis)) / (_unit(axis) or 1)
    return steps + way * 1e-12 * (1 + abs(steps))
