"""Jittered grids: their cells, and the edges that were hit and widened."""

import pandas as pd

from search.report.chart import Chart, Drawn
from search.report.markup import esc
from search.report.plots.grid import MOST_DOTS, grid_cells_figure, grid_edges_figure
from search.report.tables.grid import grid_cells, grid_edges, pairs
from search.report.tables.snapshot import NothingToShow, Snapshot, records
from search.report.wording import count, number, with_unit

_MOST_TOLD = 6


def grids(snap: Snapshot) -> list[Chart]:
    """The cells of other axes and other grids than those of the first chart."""
    try:
        return [_chart(index) for index in range(1, len(pairs(snap)))]
    except NothingToShow:
        return []


def _chart(index: int) -> Chart:
    """The cells of one pair of axes, by its place among `pairs`."""

    def table(snap: Snapshot) -> pd.DataFrame:
        return grid_cells(snap, *pairs(snap)[index])

    def draw(table: pd.DataFrame, snap: Snapshot) -> Drawn:
        named = {parameter.name: parameter for parameter in snap.parameters}
        x, y = (named[table.attrs[side]] for side in "xy")
        of = f" of {table.attrs['grid']}" if table.attrs["grid"] else ""
        others = table.attrs["axes"] - 2
        over = f" over {count(others, 'other axis', 'other axes')}" if others > 0 else ""
        refined = " A frame is a refinement, drawn over what it refines." if table["level"].nunique() > 1 else ""
        dots = (
            f" {MOST_DOTS} of {len(table):,} trials are drawn, the better ones all." if len(table) > MOST_DOTS else ""
        )
        read = (
            f"The colour of a cell is the best score in it{over}, by rank: the stronger its blue, the better. A dot is"
            " a trial, moved within its cell."
        )
        caption = f"<strong>{esc(y.name)} against {esc(x.name)}{esc(of)}.</strong> {read}{refined}{dots}"
        cells = len(table.drop_duplicates(["level", "x_low", "y_low"]))
        described = f"{count(len(table), 'trial')} in {count(cells, 'cell')} of {y.name} against {x.name}{of}."
        return Drawn(grid_cells_figure(table, x, y, snap.goal), caption, described)

    title = "Cells of the grid" if index == 0 else "Cells of the grid, other axes"
    return Chart("grid_cells" if index == 0 else f"grid_cells_{index + 1}", title, table, draw)


def _edges(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    told = [_sentence(row, snap) for row in records(table.head(_MOST_TOLD))]
    more = f" {count(len(table) - _MOST_TOLD, 'more edge')} below." if len(table) > _MOST_TOLD else ""
    story = " ".join([*told, *table.attrs["ends"]])
    read = " A row is an edge: the grey bar is the range so far, the blue one what was added. Axes differ in scale."
    return Drawn(grid_edges_figure(table, snap.goal), f"{esc(story)}{more}{read}", story)


def _sentence(row: dict[str, object], snap: Snapshot) -> str:
    where = ", ".join(str(part) for part in (row["grid"], row["level"]) if part)
    again = " again" if int(str(row["round"])) > 1 else ""
    end = "high" if row["side"] == "+" else "low"
    then = "stayed"
    if row["moved"]:
        score = with_unit(number(float(str(row["best_beyond"]))), snap.goal.unit)
        then = f"moved there ({score}, trial {row['after']})"
    return (
        f"In {where}{again}, trial {row['hit_by']} lay at the {end} end of {row['axis']}; widened to"
        f" {row['widened_to']}, the best {then}."
    )


CHARTS = (
    _chart(0),
    Chart("grid_edges", "Edges that were hit and widened", grid_edges, _edges),
)
