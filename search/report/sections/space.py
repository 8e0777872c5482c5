"""Charts of where in the space the good trials lie: parallel coordinates, and the score against each parameter."""

import pandas as pd

from search.report.chart import Chart, Drawn
from search.report.markup import Sheet, card, esc, note
from search.report.plots.space import parallel_figure, slice_figure
from search.report.sections.search import beyond
from search.report.tables.parameters import Parameter
from search.report.tables.snapshot import NothingToShow, Snapshot
from search.report.tables.space import MOST_AXES, comparable, parallel, placed
from search.report.wording import count

MOST_SLICES = 24


def slices(snap: Snapshot) -> list[Chart]:
    """The score against each parameter that varies: a chart for each."""
    return [_slice(parameter) for parameter in snap.varying[:MOST_SLICES]]


def slices_card(snap: Snapshot, sheet: Sheet) -> str:
    """The score against each parameter in one card, or the reason why that says nothing."""
    title = "The score against each parameter"
    try:
        comparable(snap)
    except NothingToShow as nothing:
        return card(title, note(esc(nothing)))
    left = len(snap.varying) - MOST_SLICES
    more = f" {count(left, 'more parameter')} not shown." if left > 0 else ""
    text = f"{esc(_upright(snap))}. Filled dots finished, open ones were stopped early, the star is the winner."
    caption = f'<p class="caption">{text}{more}{beyond(snap.trials["score"], snap)}</p>'
    cards = "".join(sheet.place(chart, snap) for chart in slices(snap))
    return card(title, f'{caption}<div class="slices">{cards}</div>')


def _parallel(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    varying = snap.varying
    more = f" The first {MOST_AXES} of {len(varying)} parameters are drawn." if len(varying) > MOST_AXES else ""
    fewer = len(table) < snap.trials["score"].notna().sum()
    drawn = f" {len(table):,} trials are drawn, the better ones all." if fewer else ""
    caption = (
        f"One line a trial; the stronger its blue, the better its score. The winner is amber.{more}{drawn}"
        '<span class="swipe"> Swipe it sideways to see every axis.</span>'
    )
    described = f"Parallel coordinates of {len(varying)} parameters and the score of {len(table)} trials."
    return Drawn(parallel_figure(table, varying[:MOST_AXES], snap.goal), caption, described)


def _slice(parameter: Parameter) -> Chart:
    def table(snap: Snapshot) -> pd.DataFrame:
        comparable(snap)
        return placed(snap, [parameter])

    def draw(table: pd.DataFrame, snap: Snapshot) -> Drawn:
        scale = " Logarithmic axis." if parameter.kind == "log" else ""
        described = f"Score against {parameter.name}.{scale}"
        return Drawn(slice_figure(table, parameter, snap.goal), "", described)

    return Chart(f"slice_{parameter.name}", parameter.name, table, draw, css="slice", level=4)


def _upright(snap: Snapshot) -> str:
    """The metric, its unit and its direction in words."""
    goal = snap.goal
    direction = "higher" if goal.maximize else "lower"
    return f"Upright: {goal.name}{f' in {goal.unit}' if goal.unit else ''}, {direction} is better"


CHARTS = (Chart("parallel", "Every trial through its parameters", parallel, _parallel, "card wide"),)
