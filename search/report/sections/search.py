"""The section on the search: how and how soon the best was found, and how trials learned."""

import pandas as pd

from search.report.chart import Chart, Drawn
from search.report.markup import Sheet, section
from search.report.plots.progress import history_figure, learning_curves_figure
from search.report.sections import pace
from search.report.sections.baselines import drawn_beside, unbeaten
from search.report.tables.progress import history, learning_curves, view_range
from search.report.tables.snapshot import Snapshot


def search(snap: Snapshot, sheet: Sheet) -> str:
    """How the search went."""
    return section("search", "Search", sheet.each(CHARTS, snap))


def _history(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    best = table.loc[table["is_best"], "number"].iloc[0] if snap.best is not None else None
    shown, of = table.attrs["shown"], table.attrs["trials"]
    kept = f" {shown:,} of {of:,} trials are drawn, every best so far among them." if shown < of else ""
    figure = history_figure(table, snap.goal)
    beside = drawn_beside(figure, snap.baselines, snap.goal) + unbeaten(snap)
    caption = f"Each dot is a trial; the line is the best so far.{kept}{beyond(table['score'], snap)}{beside}"
    scored = int(table["score"].notna().sum())
    described = f"{scored} scores against the number of the trial; the best is that of trial {best}."
    return Drawn(figure, caption, described)


def _curves(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    shown, of = table.attrs["shown"], table.attrs["trials"]
    kept = f" {shown:,} of {of:,} trials are drawn: the best twenty and others of every rank." if shown < of else ""
    text = "One line a trial, the winner in front; trials that were stopped early are dimmed."
    figure = learning_curves_figure(table, snap.goal)
    beside = drawn_beside(figure, snap.baselines, snap.goal) + unbeaten(snap)
    caption = f"{text}{kept}{beyond(table['value'], snap)}{beside}"
    described = f"{snap.goal.name} against iterations for {shown} trials."
    return Drawn(figure, caption, described)


def beyond(values: pd.Series, snap: Snapshot) -> str:
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
    *pace.CHARTS,
)
