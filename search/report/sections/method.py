"""The section on the method: what stopping early cost, what each stage found, how far a seed moves a score, how a grid
was refined."""

from search.report.chart import Chart
from search.report.markup import Sheet, section
from search.report.sections import grid, stages, stopping
from search.report.tables.snapshot import Snapshot


def method(snap: Snapshot, sheet: Sheet) -> str:
    """Whether the way of searching did its work."""
    return section("method", "Method", sheet.each(charts(snap), snap))


def charts(snap: Snapshot) -> list[Chart]:
    """The charts of this run, those of further pairs of grid axes with them."""
    cells, edges = grid.CHARTS
    return [*stopping.CHARTS, *stages.CHARTS, cells, *grid.grids(snap), edges]


CHARTS = (*stopping.CHARTS, *stages.CHARTS, *grid.CHARTS)
