"""The grids of a run, read back from its trials: which cell of which round each is, and where that cell lies."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from search.report.tables.parameters import PREFIX, Parameter
from search.report.tables.snapshot import NothingToShow, Snapshot
from search.report.wording import label, plain

COARSE = "coarse"
_LEVEL = re.compile(r"coarse|refine \d+")
_MOST_CELLS, _MOST_PARTS = 40, 64


@dataclass(frozen=True)
class Lattice:
    """Where the cells of an axis lie, as parts of the way from its low end to its high one.

    Attributes:
        origin: the lower end of coarse cell 0.
        width: of a coarse cell.
        parts: finer cells to a coarse one, by level.
        points: the values of an axis that goes by value; None for one that is cut.
    """

    origin: float
    width: float
    parts: dict[str, int]
    points: np.ndarray | None = None

    def ends(self, level: pd.Series, cell: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The low and the high end of each trial's cell."""
        if self.points is None:
            parts = level.map(self.parts).to_numpy(float)
            return self.origin + self.width * cell / parts, self.origin + self.width * (cell + 1) / parts
        gaps = np.diff(self.points)
        step = float(gaps.min()) if len(gaps) else 1.0
        middles = (self.points[1:] + self.points[:-1]) / 2
        edges = np.concatenate([[self.points[0] - step / 2], middles, [self.points[-1] + step / 2]])
        known = np.isfinite(at)
        index = np.clip(np.searchsorted(edges, np.where(known, at, 0.0)) - 1, 0, len(self.points) - 1)
        return np.where(known, edges[index], np.nan), np.where(known, edges[index + 1], np.nan)


@dataclass(frozen=True)
class Grid:
    """One grid and its trials, in the order in which they were suggested.

    Attributes:
        name: of the stage that it was; empty where the whole search was one grid.
        trials: rows of the snapshot with the columns `level` and, by axis, `index.<name>`: the number of its cell, NaN
            on an axis that goes by value.
        axes: those it steps on.
    """

    name: str
    trials: pd.DataFrame
    axes: tuple[Parameter, ...]

    @cached_property
    def ranked(self) -> list[Parameter]:
        """The axes that vary, numbers cut into the most cells first and choices last."""
        cells = {axis.name: self._cells(axis) for axis in self.axes}
        varied = [axis for axis in self.axes if cells[axis.name] > 1]
        return sorted(varied, key=lambda axis: (axis.kind == "choice", -cells[axis.name]))

    def at(self, axis: Parameter) -> np.ndarray:
        """Where each trial lies on an axis, 0 to 1; NaN where it has no value."""
        cells = self.trials[PREFIX + axis.name]
        if axis.kind == "choice":
            # Choices may be lists, and are few: each is looked up once.
            texts = [repr(cell) for cell in cells]
            places = {
                text: axis.position(axis.read(cell)) for text, cell in dict(zip(texts, cells, strict=True)).items()
            }
            return np.array([places[text] for text in texts], dtype=float)
        values = pd.to_numeric(cells, errors="coerce").to_numpy(float)
        return _placed(axis, values)

    def lattice(self, axis: Parameter) -> Lattice:
        """Where the cells of an axis lie."""
        at, cells, level = self.at(axis), self.trials["index." + axis.name].to_numpy(float), self.trials["level"]
        known = np.isfinite(at) & np.isfinite(cells)
        if not known.any():
            places = [axis.position(c) for c in axis.choices] if axis.kind == "choice" else at[np.isfinite(at)]
            return Lattice(0.0, 1.0, {}, np.unique(np.round(places, 9)))
        rough = known & (level == COARSE).to_numpy()
        origin, width = _cut(axis, cells[rough], at[rough]) if rough.any() else (0.0, 1.0)
        parts = {}
        for name in level.unique():
            here = known & (level == name).to_numpy()
            parts[str(name)] = _parts(cells[here], (at[here] - origin) / width)
        return Lattice(origin, width, parts)

    def _cells(self, axis: Parameter) -> int:
        cells = self.trials["index." + axis.name].nunique()
        at = self.at(axis)
        return cells or len(np.unique(at[np.isfinite(at)]))


def grids(snap: Snapshot) -> list[Grid]:
    """The grids of a run, in their order. Raises `NothingToShow` where it has none."""
    trials = snap.trials[snap.trials["cell"].notna()]
    if not len(trials):
        raise NothingToShow("This search was no grid: JitteredGrid() is one, with cells to look at.")
    alone = trials["stage"].map(lambda stage: bool(_LEVEL.fullmatch(stage or "")))
    names = trials["stage"].where(~alone, "")
    return [_grid(str(name), part, snap.parameters) for name, part in trials.groupby(names, sort=False)]


def value_at(axis: Parameter, at: float) -> str:
    """The value at a place on an axis, as a reader wants it; places of choices are those of the nearest."""
    if axis.kind == "choice":
        steps = max(1, len(axis.choices) - 1)
        return label(axis.choices[min(len(axis.choices) - 1, max(0, round(at * steps)))])
    if axis.kind == "log":
        return plain(axis.low * (axis.high / axis.low) ** at, 3)
    return plain(axis.low + (axis.high - axis.low) * at, 3)


def _grid(name: str, trials: pd.DataFrame, parameters: Sequence[Parameter]) -> Grid:
    known = {p.name: p for p in parameters if PREFIX + p.name in trials}
    by_length = sorted(known, key=len, reverse=True)
    parts = {part: _index(part, by_length) for cell in trials["cell"].unique() for part in cell.split(", ")}
    # A value may hold a comma: a part that begins with no axis belongs to the one before.
    read = {
        cell: dict(found for part in cell.split(", ") if (found := parts[part])) for cell in trials["cell"].unique()
    }
    axes = tuple(p for p in known.values() if any(p.name in cells for cells in read.values()))
    rounds = trials["reason"].where(trials["reason"].map(lambda reason: bool(_LEVEL.fullmatch(reason or ""))))
    columns = {"level": rounds.ffill().fillna(COARSE)}
    for axis in axes:
        columns["index." + axis.name] = trials["cell"].map(lambda cell, of=axis.name: read[cell].get(of, math.nan))
    return Grid(name, trials.assign(**columns), axes)


def _index(part: str, names: Iterable[str]) -> tuple[str, float] | None:
    """The axis and the cell of "lr_d -1"; NaN for one that goes by value, as "norm=batch"; None for neither."""
    for name in names:
        rest = part.removeprefix(name) if part.startswith((f"{name} ", f"{name}=")) else ""
        if rest.startswith("="):
            return name, math.nan
        if re.fullmatch(r" -?\d+", rest):
            return name, float(rest)
    return None


def _placed(axis: Parameter, values: np.ndarray) -> np.ndarray:
    low, high = axis.low, axis.high
    if axis.kind == "log":
        values, low, high = np.log(np.where(values > 0, values, np.nan)), math.log(low), math.log(high)
    return (values - low) / (high - low) if high > low else np.where(np.isfinite(values), 0.5, np.nan)


def _cut(axis: Parameter, cells: np.ndarray, at: np.ndarray) -> tuple[float, float]:
    """The origin and the width of coarse cells.

    A run does not say how its axes were cut, but that follows from where its trials lie: a log axis may be widened by
    two cells to either side unless the search had limits of its own, the others not at all. Where no such cut holds
    every trial, as with limits, it is the line through the trials.
    """
    begin, end = 0.0, 1.0
    if axis.integer:
        ends = (axis.low, axis.high + 1) if axis.kind == "log" else (axis.low - 0.5, axis.high + 0.5)
        begin, end = _placed(axis, np.array(ends)).tolist()
    for count in (int(cells.max()) + 1, *range(1, _MOST_CELLS)):
        for beyond in (2, 0) if axis.kind == "log" and not axis.integer else (0,):
            if count > 0:
                width = (end - begin) / (count + 2 * beyond)
                origin = begin + beyond * width
                if _holds(cells, (at - origin) / width).all():
                    return origin, width
    if len(np.unique(cells)) < 2:
        return float(at.mean() - cells[0] - 0.5), 1.0
    width, origin = np.polyfit(cells + 0.5, at, 1)
    return (float(origin), float(width)) if width > 0 else (0.0, 1.0)


def _parts(cells: np.ndarray, places: np.ndarray) -> int:
    """How many cells a coarse one was cut into, from the numbers of cells and where their trials lie."""
    if not len(cells):
        return 1
    return 1 + int(np.argmax([_holds(cells, places * parts).mean() for parts in range(1, _MOST_PARTS + 1)]))


def _holds(cells: np.ndarray, places: np.ndarray) -> np.ndarray:
    return (places >= cells - 1e-6) & (places <= cells + 1 + 1e-6)
