"""The section on the search: how the best was found, how trials learned, where the good ones lie."""

import pandas as pd

from search.report.chart import Chart, Drawn
from search.report.figures.progress import history_figure, learning_curves_figure
from search.report.figures.space import parallel_figure, slice_figure
from search.report.markup import Sheet, card, esc, note, section
from search.report.tables.parameters import Parameter
from search.report.tables.progress import history, learning_curves, view_range
from search.report.tables.snapshot import NothingToShow, Snapshot
from search.report.tables.space import MOST_AXES, comparable, parallel, placed
from search.report.wording import count

MOST_SLICES = 24


def search(snap: Snapshot, sheet: Sheet) -> str:
    """How the search went: history, curves, and where in the space the good trials lie."""
    return section("search", "Search", [*(sheet.place(chart, snap) for chart in CHARTS), _slices(snap, sheet)])


def slices(snap: Snapshot) -> list[Chart]:
    """The score against each parameter that varies: a chart for each."""
    return [_slice(parameter) for parameter in snap.varying[:MOST_SLICES]]


def _slices(snap: Snapshot, sheet: Sheet) -> str:
    title = "The score against each parameter"
    try:
        comparable(snap)
    except NothingToShow as nothing:
        return card(title, note(esc(nothing)))
    left = len(snap.varying) - MOST_SLICES
    more = f" {count(left, 'more parameter')} not shown." if left > 0 else ""
    text = f"{esc(_upright(snap))}. Filled dots finished, open ones were stopped early, the star is the winner."
    caption = f'<p class="caption">{text}{more}{_cut(snap.trials["score"], snap)}</p>'
    cards = "".join(sheet.place(chart, snap) for chart in slices(snap))
    return card(title, f'{caption}<div class="slices">{cards}</div>')


def _history(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    best = table.loc[table["is_best"], "number"].iloc[0] if snap.best is not None else None
    caption = f"Each dot is a trial; the line is the best so far.{_cut(table['score'], snap)}"
    scored = int(table["score"].notna().sum())
    described = f"{scored} scores against the number of the trial; the best is that of trial {best}."
    return Drawn(history_figure(table, snap.goal), caption, described)


def _curves(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    shown, of = table.attrs["shown"], table.attrs["trials"]
    kept = f" {shown:,} of {of:,} trials are drawn: the best twenty and others of every rank." if shown < of else ""
    text = "One line a trial, the winner in front; trials that were stopped early are dimmed."
    caption = f"{text}{kept}{_cut(table['value'], snap)}"
    described = f"{snap.goal.name} against iterations for {shown} trials."
    return Drawn(learning_curves_figure(table, snap.goal), caption, described)


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


def _cut(values: pd.Series, snap: Snapshot) -> str:
    ends = view_range(values, snap.goal.maximize)
    if ends is None:
        return ""
    beyond = int((values < ends[0]).sum() if snap.goal.maximize else (values > ends[1]).sum())
    if not beyond:
        return ""
    where = "below" if snap.goal.maximize else "above"
    what = "value lies" if beyond == 1 else "values lie"
    return f" {beyond:,} far worse {what} {where} the chart; double-click shows everything."


CHARTS = (
    Chart("history", "How the best score was found", history, _history),
    Chart("learning_curves", "Learning curves", learning_curves, _curves),
    Chart("parallel", "Every trial through its parameters", parallel, _parallel, "card wide"),
)
