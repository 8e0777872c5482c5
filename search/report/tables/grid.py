"""Cells of a jittered grid with the trials in them, and the history of edges that were hit and widened."""

import re
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from search.report.tables.grid_axes import COARSE, Grid, grids, value_at
from search.report.tables.parameters import Parameter
from search.report.tables.snapshot import NothingToShow, Snapshot

MOST_PAIRS = 3
_EDGE = "edge "


def pairs(snap: Snapshot) -> list[tuple[Grid, Parameter, Parameter]]:
    """The grids of a run with two of their axes each, at most three: the first two of every grid, then others.

    Raises `NothingToShow` where there are none.
    """
    found = grids(snap)
    of_grid = [[(grid, *pair) for pair in combinations(grid.ranked[:3], 2)] for grid in found]
    if not any(of_grid):
        one = next((grid.ranked[0].name for grid in found if grid.ranked), None)
        which = f"only {one} has more than one cell" if one else "none has more than one cell"
        raise NothingToShow(f"A map of cells needs two axes; {which}.")
    firsts = [pairs[0] for pairs in of_grid if pairs]
    return [*firsts, *(pair for pairs in of_grid for pair in pairs[1:])][:MOST_PAIRS]


def grid_cells(snap: Snapshot, grid: Grid, x: Parameter, y: Parameter) -> pd.DataFrame:
    """A row a trial of a grid, on two of its axes: number, status, score, is_best, level, reason, cell; x, y, x_low,
    x_high, y_low, y_high (parts of the way along the axis; the ends are those of its cell); x_value, y_value.

    `attrs` name the axes `x` and `y` and the `grid`, and count its `axes`."""
    trials = grid.trials
    columns: dict[str, Any] = {name: trials[name].to_numpy() for name in ("number", "status", "score", "level", "cell")}
    columns |= {"reason": trials["reason"].to_numpy(), "is_best": trials.index == snap.best}
    for side, axis in (("x", x), ("y", y)):
        at = grid.at(axis)
        low, high = grid.lattice(axis).ends(trials["level"], trials["index." + axis.name].to_numpy(float), at)
        columns |= {side: at, f"{side}_low": low, f"{side}_high": high}
        columns[f"{side}_value"] = trials["config." + axis.name].to_numpy()
    table = pd.DataFrame(columns)
    placed = table[["x", "y", "x_low", "y_low", "x_high", "y_high"]].notna().all(axis=1)
    if not (placed & table["score"].notna()).any():
        raise NothingToShow("No trial of the grid has a score yet.")
    table = table[placed].reset_index(drop=True)
    table.attrs = {"x": x.name, "y": y.name, "grid": grid.name, "axes": len(grid.axes)}
    return table


def grid_edges(snap: Snapshot) -> pd.DataFrame:
    """A row an edge that the best of a round lay at, in their order: grid, level, round, axis, side ("+" or "-"),
    hit_by (a trial), hit_value, widened_to, trials, best_before, best_beyond, moved (whether the best then lay beyond),
    after (the best trial then); before_low, before_high, new_low, new_high, best_at, after_at (parts of the way along
    the axis); low_label, high_label (values at the ends of it all).

    `attrs["ends"]` are sentences that say of each grid whether its best ended inside. Raises `NothingToShow`.
    """
    found = grids(snap)
    rows = [row for grid in found for row in _history(snap, grid)]
    ends = [_end(snap, grid) for grid in found]
    if not rows:
        raise NothingToShow("No edge of the grid was widened. " + " ".join(ends))
    table = pd.DataFrame(rows)
    table.attrs = {"ends": ends}
    return table


def _history(snap: Snapshot, grid: Grid) -> list[dict[str, Any]]:
    spans = {axis.name: _spans(grid, axis) for axis in grid.axes}
    return [row for level in grid.trials["level"].unique() for row in _rounds(snap, grid, str(level), spans)]


def _rounds(snap: Snapshot, grid: Grid, level: str, spans: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """The edges of one level, round by round."""
    trials = grid.trials[grid.trials["level"] == level]
    beyond = trials[trials["reason"].fillna("").str.startswith(_EDGE)]
    rows, number = [], 0
    while len(beyond):
        before = trials[trials["number"] < beyond["number"].iloc[0]]
        best = _best(before, snap.goal.sign)
        if best is None:
            break
        # All cells beside the best are tried in one round; what lies farther off belongs to the next.
        near = _beside(grid, beyond, before.loc[best])
        length = len(beyond) if near.all() else max(1, int(np.argmin(near)))
        layer, beyond, number = beyond.iloc[:length], beyond.iloc[length:], number + 1
        then = trials[trials["number"] <= layer["number"].iloc[-1]]
        after = _best(then, snap.goal.sign)
        rows += [
            {"grid": grid.name, "level": level, "round": number}
            | _hit(snap, grid, axis, side, layer, spans[axis.name], before, best, after)
            for axis, side in _edges(grid, layer)
        ]
    return rows


def _hit(
    snap: Snapshot,
    grid: Grid,
    axis: Parameter,
    side: str,
    layer: pd.DataFrame,
    cells: pd.DataFrame,
    before: pd.DataFrame,
    best: int,
    after: int | None,
) -> dict[str, Any]:
    here = layer[[(axis.name, side) in _tokens(reason, [axis.name]) for reason in layer["reason"]]]
    low, high = _extent(cells, here)
    old_low, old_high = _extent(cells, before)
    up = side == "+"
    if high <= old_high + 1e-9 if up else low >= old_low - 1e-9:
        # The edge of an earlier layer, shorter than the grid: what counts is how far that row of cells goes.
        old_low, old_high = _extent(cells, before[_row(grid, axis, before, before.loc[[best]].iloc[0])])
    whole_low, whole_high = min(old_low, low), max(old_high, high)
    scores = here.loc[here["status"] != "failed", "score"].dropna() * snap.goal.sign
    then = best if after is None else after
    hit, now, column = snap.trial(best), snap.trial(then), "config." + axis.name
    return {
        "axis": axis.name,
        "side": side,
        "hit_by": hit["number"],
        "hit_value": axis.label(axis.read(hit[column])),
        "widened_to": value_at(axis, high if up else low),
        "trials": len(here),
        "best_before": float(hit["score"]),
        "best_beyond": float(scores.max() * snap.goal.sign) if len(scores) else np.nan,
        "moved": then in here.index,
        "after": now["number"],
        "before_low": old_low,
        "before_high": old_high,
        "new_low": max(low, old_high) if up else low,
        "new_high": high if up else min(high, old_low),
        "best_at": axis.position(axis.read(hit[column])),
        "after_at": axis.position(axis.read(now[column])),
        "low_label": value_at(axis, whole_low),
        "high_label": value_at(axis, whole_high),
    }


def _best(trials: pd.DataFrame, sign: int) -> int | None:
    """The row of the best: by the mean over its trials of full length; those only stopped early stand behind."""
    scored = trials[(trials["status"] != "failed") & trials["score"].notna()]
    if not len(scored):
        return None
    stopped = (scored["status"] == "stopped").groupby(scored["configuration"]).transform("all")
    whole = scored[stopped | (scored["status"] != "stopped")]
    by = whole.groupby("configuration", sort=False)
    table = pd.DataFrame(
        {
            "stopped": stopped[whole.index].groupby(whole["configuration"], sort=False).first(),
            "mean": by["score"].mean() * -sign,
            "number": by["number"].first(),
        }
    )
    first = table.sort_values(["stopped", "mean", "number"]).iloc[0]
    return int(trials.index[trials["number"] == first["number"]][0])


def _beside(grid: Grid, rows: pd.DataFrame, best: pd.Series) -> np.ndarray:
    names = [f"index.{axis.name}" for axis in grid.axes]
    far = [(rows[name] - best[name]).abs().to_numpy(float) > 1 for name in names]
    return ~np.any(far, axis=0)


def _row(grid: Grid, axis: Parameter, rows: pd.DataFrame, best: pd.Series) -> np.ndarray:
    """Which trials share the cells of the best on all other axes."""
    names = [f"index.{other.name}" for other in grid.axes if other.name != axis.name]
    apart = [(rows[name] != best[name]).to_numpy() & rows[name].notna().to_numpy() for name in names]
    return ~np.any(apart, axis=0) if apart else np.ones(len(rows), bool)


def _edges(grid: Grid, layer: pd.DataFrame) -> list[tuple[Parameter, str]]:
    """The edges that a round looked beyond, each once, in the order of the axes."""
    names = [axis.name for axis in grid.axes]
    seen = {token for reason in layer["reason"].unique() for token in _tokens(reason, names)}
    return [(axis, side) for axis in grid.axes for side in "-+" if (axis.name, side) in seen]


def _tokens(reason: str, names: list[str]) -> list[tuple[str, str]]:
    """ "edge lr_g+ lr_d-" -> [("lr_g", "+"), ("lr_d", "-")]."""
    known = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    return re.findall(rf"(?:(?<= )|^)({known})([+-])(?= |$)", reason.removeprefix(_EDGE))


def _spans(grid: Grid, axis: Parameter) -> pd.DataFrame:
    """Where the cell of every trial begins and ends on an axis, by row."""
    trials = grid.trials
    low, high = grid.lattice(axis).ends(trials["level"], trials["index." + axis.name].to_numpy(float), grid.at(axis))
    return pd.DataFrame({"low": low, "high": high}, index=trials.index)


def _extent(cells: pd.DataFrame, trials: pd.DataFrame) -> tuple[float, float]:
    here = cells.loc[trials.index]
    return float(here["low"].min()), float(here["high"].max())


def _end(snap: Snapshot, grid: Grid) -> str:
    """Whether the best of the coarse grid lies inside it, or at which end."""
    trials = grid.trials[grid.trials["level"] == COARSE]
    best = _best(trials, snap.goal.sign)
    of = f"the grid {grid.name}" if grid.name else "the coarse grid"
    if best is None:
        return f"No trial of {of} has a score yet."
    at_ends = []
    for axis in grid.axes:
        cells = trials["index." + axis.name]
        own = cells[best]
        if cells.nunique() > 1 and own in (cells.min(), cells.max()):
            at_ends.append(f"the {'low' if own == cells.min() else 'high'} end of {axis.name}")
    named = f"The best of {of}, trial {snap.trial(best)['number']}, lies"
    if not at_ends:
        return f"{named} inside it on every axis."
    where = f"{named} at {' and '.join(at_ends)}"
    if str(snap.definition.get("status")) in ("running", "interrupted"):
        return f"{where} so far."
    return f"{where}, as far as the grid went; wider limits= may let it go on."
