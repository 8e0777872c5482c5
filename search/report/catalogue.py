"""Every figure of a report by name: what exports and notebooks go through."""

from search.report.chart import Chart
from search.report.sections import ensemble, search
from search.report.tables.snapshot import Snapshot

FIXED: tuple[Chart, ...] = (*search.CHARTS, *ensemble.CHARTS)


def charts(snap: Snapshot) -> list[Chart]:
    """The charts of a run, in the order of the page."""
    return [*search.CHARTS, *search.slices(snap), *ensemble.CHARTS]
