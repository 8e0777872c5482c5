"""The section on the search: how the best was found, how trials learned, where the good ones lie."""

import pandas as pd

from search.report import figures, tables
from search.report.markup import Figures, esc, note, section
from search.report.tables import Snapshot
from search.report.wording import count

MOST_SLICES = 24
MOST_AXES = 12


def search(snap: Snapshot, sheet: Figures) -> str:
    """How the search went: history, curves, and where in the space the good trials lie."""
    scored = int(snap.trials["score"].notna().sum())
    parts = [_history(snap, sheet, scored), _curves(snap, sheet)]
    placed = tables.placed(snap, snap.varying[:MOST_SLICES])
    parts += [_parallel(snap, sheet, placed), _slices(snap, sheet, placed)]
    return section("search", "Search", parts)


def _history(snap: Snapshot, sheet: Figures, scored: int) -> str:
    title = "How the best score was found"
    if scored < 2:
        why = "there is no score yet" if not scored else "there is only one score yet"
        return _sentence(title, f"A history needs two trials with a score; {why}.")
    table = tables.history(snap)
    best = table.loc[table["is_best"], "number"].iloc[0] if snap.best is not None else None
    cut = _cut(table["score"], snap)
    caption = f"Each dot is a trial; the line is the best so far.{cut}"
    described = f"{scored} scores against the number of the trial; the best is that of trial {best}."
    return sheet.place(figures.history_figure(table, snap.goal), title, caption, described)


def _curves(snap: Snapshot, sheet: Figures) -> str:
    title = "Learning curves"
    table = tables.learning_curves(snap)
    if not len(table):
        return _sentence(title, f"No trial has reported a finite {esc(snap.goal.name)} yet.")
    if table.groupby("number").size().max() < 2:
        return _sentence(title, "Every trial reported once, so there are no curves to draw.")
    shown, of = table.attrs["shown"], table.attrs["trials"]
    kept = f" {shown:,} of {of:,} trials are drawn: the best twenty and others of every rank." if shown < of else ""
    text = "One line a trial, the winner in front; trials that were stopped early are dimmed."
    caption = f"{text}{kept}{_cut(table['value'], snap)}"
    described = f"{snap.goal.name} against iterations for {shown} trials."
    return sheet.place(figures.learning_curves_figure(table, snap.goal), title, caption, described)


def _parallel(snap: Snapshot, sheet: Figures, placed: pd.DataFrame) -> str:
    title = "Every trial through its parameters"
    varying = snap.varying
    if len(varying) < 2:
        which = f"only <code>{esc(varying[0].name)}</code> does" if varying else "none does"
        return _sentence(title, f"Parallel coordinates need two parameters that vary; {which}.")
    if len(placed) < 2:
        return _sentence(title, "Parallel coordinates need two trials with a score.")
    more = f" The first {MOST_AXES} of {len(varying)} parameters are drawn." if len(varying) > MOST_AXES else ""
    fewer = (
        f" {len(placed):,} trials are drawn, the better ones all."
        if len(placed) < snap.trials["score"].notna().sum()
        else ""
    )
    caption = (
        f"One line a trial; the stronger its blue, the better its score. The winner is amber.{more}{fewer}"
        '<span class="swipe"> Swipe it sideways to see every axis.</span>'
    )
    described = f"Parallel coordinates of {len(varying)} parameters and the score of {len(placed)} trials."
    figure = figures.parallel_figure(placed, varying[:MOST_AXES], snap.goal)
    return sheet.place(figure, title, caption, described, css="card wide")


def _slices(snap: Snapshot, sheet: Figures, placed: pd.DataFrame) -> str:
    title = "The score against each parameter"
    if len(placed) < 3 or not snap.varying:
        why = "no parameter varies" if not snap.varying else "three trials with a score are needed"
        return _sentence(title, f"Nothing to see here yet: {why}.")
    if placed["score"].nunique() < 2:
        return _sentence(title, "All scores are equal, so no parameter made a difference.")
    cards = []
    for parameter in snap.varying[:MOST_SLICES]:
        figure = figures.slice_figure(placed, parameter, snap.goal)
        scale = {"log": "logarithmic axis", "linear": "", "choice": ""}[parameter.kind]
        cards.append(
            sheet.place(figure, parameter.name, "", f"Score against {parameter.name}. {scale}", css="slice", level=4)
        )
    left = len(snap.varying) - MOST_SLICES
    more = f" {count(left, 'more parameter')} not shown." if left > 0 else ""
    text = f"{esc(_upright(snap))}. Filled dots finished, open ones were stopped early, the star is the winner."
    caption = f"{text}{more}{_cut(placed['score'], snap)}"
    body = f'<div class="slices">{"".join(cards)}</div>'
    return f'<div class="card"><h3>{title}</h3><p class="caption">{caption}</p>{body}</div>'


def _upright(snap: Snapshot) -> str:
    """The metric, its unit and its direction in words."""
    goal = snap.goal
    direction = "higher" if goal.maximize else "lower"
    return f"Upright: {goal.name}{f' in {goal.unit}' if goal.unit else ''}, {direction} is better"


def _cut(values: pd.Series, snap: Snapshot) -> str:
    ends = tables.view_range(values, snap.goal.maximize)
    if ends is None:
        return ""
    beyond = int((values < ends[0]).sum() if snap.goal.maximize else (values > ends[1]).sum())
    if not beyond:
        return ""
    where = "below" if snap.goal.maximize else "above"
    what = "value lies" if beyond == 1 else "values lie"
    return f" {beyond:,} far worse {what} {where} the chart; double-click shows everything."


def _sentence(title: str, sentence: str) -> str:
    return f'<div class="card"><h3>{title}</h3>{note(sentence)}</div>'
