"""Every figure of a report by name: what exports and notebooks go through."""

from search.report.chart import Chart
from search.report.sections import compare, ensemble, health, machine, method, parameters, search, space
from search.report.sections.compare import Compared
from search.report.tables.compare import Comparison
from search.report.tables.snapshot import Snapshot

FIXED: tuple[Chart, ...] = (
    *search.CHARTS,
    *parameters.CHARTS,
    *space.CHARTS,
    *method.CHARTS,
    *machine.CHARTS,
    *health.CHARTS,
    *ensemble.CHARTS,
)
COMPARED: tuple[Compared, ...] = compare.CHARTS


def charts(snap: Snapshot) -> list[Chart]:
    """The charts of a run, in the order of the page."""
    return [
        *search.CHARTS,
        *parameters.CHARTS,
        *space.CHARTS,
        *parameters.contours(snap),
        *space.slices(snap),
        *method.charts(snap),
        *machine.CHARTS,
        *health.charts(snap),
        *ensemble.CHARTS,
    ]


def comparisons(several: Comparison) -> list[Chart]:
    """The charts of several runs, in the order of their page."""
    return [chart.of(several) for chart in COMPARED]
