"""Several runs in one figure: a colour and a dash for each run, or for each group of runs that differ in their seed."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from search.report.plots.marks import HOVER, STATUS_NAMES, axis_title, safe, told_score
from search.report.plots.theme import LIGHT, base_layout
from search.report.tables.progress import view_range
from search.report.tables.snapshot import Goal
from search.report.wording import plain

COLOURS = (LIGHT.finished, LIGHT.best, LIGHT.running, LIGHT.failed, LIGHT.ink, LIGHT.muted)
DASHES = ("solid", "dash", "dot", "dashdot")
_ENDED = {
    "finished": (LIGHT.finished, ""),
    "stopped": (LIGHT.stopped, "/"),
    "failed": (LIGHT.failed, "x"),
    "running": (LIGHT.running, "."),
    "interrupted": (LIGHT.axis, "-"),
}


def look(group: int) -> tuple[str, str]:
    """The colour and the dash of a group: the first twelve differ, any four in a row in both."""
    return COLOURS[group % len(COLOURS)], DASHES[group % len(DASHES)]


def best_figure(table: pd.DataFrame, goal: Goal) -> go.Figure:
    """The best so far against what was spent: a line a run; a group is its median in a band from least to largest."""
    figure = go.Figure(layout=base_layout(420))
    unit = table.attrs["unit"]
    banded = set(table.loc[table["kind"] == "band", "group"])
    # Bands first, so that no line lies under one.
    for (group, label), rows in _series(table[table["kind"] == "band"]):
        _band(figure, rows, look(group)[0], label)
    for (group, label), rows in _series(table[table["kind"] == "run"]):
        in_band = group in banded
        _line(figure, rows, group, label, goal, unit, width=1.0 if in_band else 2.5, listed=not in_band)
    for (group, label), rows in _series(table[table["kind"] == "band"]):
        _line(figure, rows, group, label, goal, unit, width=3.0, listed=True)
    figure.update_xaxes(title_text=unit, range=[0, 1.02 * float(table["at"].max())])
    if unit == "trials":
        figure.update_xaxes(tickformat=",d")
    figure.update_yaxes(title_text=axis_title(goal), range=view_range(table["best"], goal.maximize))
    return figure


def distributions_figure(table: pd.DataFrame, goal: Goal) -> go.Figure:
    """The share of trials that came to at least a score: a line a run, those of a group in one colour."""
    figure = go.Figure(layout=base_layout(380))
    listed: set[int] = set()
    for (group, label), rows in _series(table):
        colour, dash = look(group)
        figure.add_scatter(
            x=rows["score"].tolist(),
            y=rows["share"].tolist(),
            mode="lines",
            name=safe(table.attrs["groups"][group], 40),
            legendgroup=str(group),
            showlegend=group not in listed,
            line={"shape": "vh", "width": 2.2, "color": colour, "dash": dash},
            hovertext=[
                f"{safe(label)}: {share:.0%} of its trials came to {told_score(score, goal)} or better"
                for score, share in zip(rows["score"], rows["share"], strict=True)
            ],
            hovertemplate=HOVER,
        )
        listed.add(group)
    figure.update_xaxes(title_text=axis_title(goal), range=view_range(table["score"], goal.maximize))
    figure.update_yaxes(title_text="share of trials", tickformat=".0%", range=[0, 1.03])
    return figure


def spent_figure(table: pd.DataFrame) -> go.Figure:
    """What the trials of each run took, by how they ended: a bar a run, the first run on top."""
    labels = list(dict.fromkeys(table["series"]))
    unit = table.attrs["unit"]
    figure = go.Figure(layout=base_layout(110 + 38 * len(labels)))
    for status, (colour, pattern) in _ENDED.items():
        rows = table[(table["status"] == status) & (table["amount"] > 0)]
        if not len(rows):
            continue
        name = STATUS_NAMES.get(status, status)
        figure.add_bar(
            x=rows["amount"].tolist(),
            y=[labels.index(label) for label in rows["series"]],
            orientation="h",
            name=name,
            marker={
                "color": colour,
                "pattern": {"shape": pattern, "fillmode": "overlay", "size": 7, "fgcolor": LIGHT.surface},
            },
            hovertext=[
                f"{safe(label)}: {plain(amount, 3)} {unit} in trials that are {name}"
                for label, amount in zip(rows["series"], rows["amount"], strict=True)
            ],
            hovertemplate=HOVER,
        )
    figure.update_layout(barmode="stack", bargap=0.35, legend_traceorder="normal")
    figure.update_xaxes(title_text=unit, rangemode="tozero")
    figure.update_yaxes(
        tickvals=list(range(len(labels))), ticktext=[safe(label, 28) for label in labels], autorange="reversed"
    )
    return figure


def _series(table: pd.DataFrame) -> Iterable[tuple[tuple[int, str], pd.DataFrame]]:
    for label in dict.fromkeys(table["series"]):
        rows = table[table["series"] == label]
        yield (int(rows["group"].iloc[0]), str(label)), rows


def _line(
    figure: go.Figure, rows: pd.DataFrame, group: int, label: str, goal: Goal, unit: str, *, width: float, listed: bool
) -> None:
    colour, dash = look(group)
    what = "median best" if (rows["kind"] == "band").any() else "best"
    figure.add_scatter(
        x=rows["at"].tolist(),
        y=rows["best"].tolist(),
        mode="lines" if len(rows) > 1 else "lines+markers",
        name=safe(label, 40),
        legendgroup=str(group),
        showlegend=listed,
        line={"shape": "hv", "width": width, "color": colour, "dash": dash},
        hovertext=[
            f"{safe(label)}<br>{what} after {plain(at, 3)} {unit}: {told_score(best, goal)}"
            for at, best in zip(rows["at"], rows["best"], strict=True)
        ],
        hovertemplate=HOVER,
    )


def _band(figure: go.Figure, rows: pd.DataFrame, colour: str, label: str) -> None:
    """The outline of the stairs of `low` and `high`, as one shape."""
    at = np.repeat(rows["at"].to_numpy(float), 2)[1:]
    low, high = (np.repeat(rows[end].to_numpy(float), 2)[:-1] for end in ("low", "high"))
    figure.add_scatter(
        x=[*at, *at[::-1]],
        y=[*high, *low[::-1]],
        fill="toself",
        fillcolor=colour,
        opacity=0.18,
        mode="lines",
        line={"width": 0, "color": colour},
        name=safe(label, 40),
        legendgroup=str(rows["group"].iloc[0]),
        showlegend=False,
        hoverinfo="skip",
    )
