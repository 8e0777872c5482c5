"""A space cut into cells, in groups of axes that are crossed with each other; what cannot be cut is named here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from search.errors import SearchError
from search.grid.cells import AxisCells, ChoiceCells, NumberCells
from search.grid.stage import Group, Refine
from search.space import Axis, Choice, Number, Space

Limits = Mapping[str, tuple[float, float]]

_LARGEST = 100_000
POINTS = 3


def cut(
    space: Space,
    *,
    factor: float,
    points: int | Mapping[str, int],
    crossed: Sequence[Sequence[str]] | None,
    limits: Limits,
    refine: Sequence[Refine],
) -> tuple[Group, ...]:
    """The axes of a space as groups of cells; each axis that `crossed` does not name is a group of its own.

    Raises:
        SearchError: a setting does not fit the space, or a grid would be too large to be visited.
    """
    axes = {axis.name: axis for axis in space.axes}
    if not axes:
        raise SearchError(
            'Expected at least one axis for a grid, got none. Add one: {"lr": tune.loguniform(1e-5, 0.1)}.'
        )
    named = [] if isinstance(points, int) else [("points", name) for name in points]
    named += [("limits", name) for name in limits] + [("crossed", name) for group in crossed or () for name in group]
    for setting, name in named:
        if name not in axes:
            raise SearchError(f"Expected {setting} to name axes among {sorted(axes)}, got {name!r}. Correct the name.")
    if not isinstance(points, int):
        for name in points:
            _check_points(axes[name])
    for name, pair in limits.items():
        _check_limits(axes[name], *pair)
    cells = {
        axis.name: ChoiceCells(axis)
        if isinstance(axis, Choice)
        else NumberCells.cut(
            axis, factor, points if isinstance(points, int) else points.get(axis.name, POINTS), limits.get(axis.name)
        )
        for axis in space.axes
    }
    groups = _grouped(cells, [list(cells)] if crossed is None else crossed)
    for group in groups:
        _check_size(group, factor, refine)
    return groups


def windows(group: Group, factor: float, refine: Sequence[Refine]) -> list[tuple[int, int]]:
    """How many cells each refinement has around one point, at first and when it is widened as far as it may be."""
    sizes, scales = [], [1] * len(group)
    for finer in refine:
        splits = [axis.split(finer.factor, factor, scale) for axis, scale in zip(group, scales, strict=True)]
        scales = [scale * split for scale, split in zip(scales, splits, strict=True)]
        sizes.append((math.prod(splits), math.prod(2 * split for split in splits if split > 1)))
    return sizes


def size(axes: Iterable[Sequence[int]]) -> int:
    """How many cells axes have that are crossed with each other."""
    return math.prod(map(len, axes))


def _grouped(cells: Mapping[str, AxisCells], crossed: Sequence[Sequence[str]]) -> tuple[Group, ...]:
    seen = {name for group in crossed for name in group}
    alone = [[name] for name in cells if name not in seen]
    return tuple(tuple(cells[name] for name in group) for group in [*crossed, *alone])


def _check_points(axis: Axis) -> None:
    if isinstance(axis, Choice) or axis.log:
        raise SearchError(
            f"Expected points for linear axes, got points for {axis.name!r}."
            " A log axis steps by the factor of the grid, a choice by value; leave it out."
        )


def _check_limits(axis: Axis, low: float, high: float) -> None:
    if not isinstance(axis, Number):
        raise SearchError(f"Expected limits for numeric axes, got limits for the choice {axis.name!r}. Leave them out.")
    if axis.log and low <= 0:
        raise SearchError(
            f"Expected limits above 0 on the log axis {axis.name!r}, got {(low, high)}. Start above zero, or use a"
            " linear axis."
        )
    if low > axis.low or high < axis.high:
        raise SearchError(
            f"Expected limits that hold the range {axis.low:g} to {axis.high:g} of {axis.name!r}, got {(low, high)}."
            " Widen the limits, or narrow the axis."
        )


def _check_size(group: Group, factor: float, refine: Sequence[Refine]) -> None:
    names = ", ".join(axis.axis.name for axis in group)
    around = [finer.around * cells for finer, (cells, _) in zip(refine, windows(group, factor, refine), strict=True)]
    for what, cells in [("grid", size(axis.start for axis in group)), *(("refinement", cells) for cells in around)]:
        if cells > _LARGEST:
            raise SearchError(
                f"Expected a {what} of at most {_LARGEST:,} cells, got {cells:,} over {names}."
                ' Cross fewer axes with each other, as in crossed=[("lr_g", "lr_d")], or take a larger factor or fewer'
                " points."
            )
