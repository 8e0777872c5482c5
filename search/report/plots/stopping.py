"""How far trials came before they were stopped, and where those that were stopped might have ended."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from search.report.plots.marks import HOVER, axis_title, safe, told_score
from search.report.plots.theme import LIGHT, base_layout
from search.report.tables.snapshot import Goal
from search.report.wording import count, number, plain

MOST_ROWS = 15


def rung_survival_figure(table: pd.DataFrame) -> go.Figure:
    """A bar a rung, of the trials that came to it: those that went on, were stopped, or ended in another way."""
    figure = go.Figure(layout=base_layout(360, barmode="stack", bargap=0.28))
    hovers = [_rung_hover(row) for row in table.itertuples()]
    parts = {"went_on": ("went on", LIGHT.finished), "stopped": ("stopped here", LIGHT.stopped)}
    if table["ended"].any():
        parts["ended"] = ("ended in another way", LIGHT.failed)
    for column, (name, color) in parts.items():
        values = table[column].tolist()
        figure.add_bar(
            x=list(range(len(table))),
            y=values,
            name=name,
            marker={"color": color, "line": {"width": 1, "color": LIGHT.surface}},
            hovertext=hovers,
            hovertemplate=HOVER,
        )
    full = int(table.attrs["full"])
    figure.add_bar(
        x=[len(table)],
        y=[full],
        name="ran in full",
        marker={"color": LIGHT.running, "line": {"width": 1, "color": LIGHT.surface}},
        hovertext=[f"{count(full, 'trial')} of {table.attrs['trials']:,} ran in full"],
        hovertemplate=HOVER,
    )
    tops = [*table["came"].tolist(), full]
    texts = [f"−{100 * share:.0f} %" for share in table["share"]] + [f"{full:,}"]
    for x, (top, text) in enumerate(zip(tops, texts, strict=True)):
        label: dict[str, Any] = {"size": 12 if len(table) < 8 else 10, "color": LIGHT.muted}
        figure.add_annotation(x=x, y=top, text=text, showarrow=False, yanchor="bottom", font=label)
    ticks = [*table["rung"].tolist(), "the end"]
    figure.update_xaxes(
        title_text="iteration", tickmode="array", tickvals=list(range(len(ticks))), ticktext=ticks, showgrid=False
    )
    figure.update_layout(legend_traceorder="normal")
    figure.update_yaxes(title_text="trials", range=[0, 1.12 * max(tops)], tickformat=",d")
    return figure


def stopping_regret_figure(table: pd.DataFrame, goal: Goal) -> go.Figure:
    """The stopped trials that came nearest: where each stood, where it might have ended, and the winner."""
    rows = table.head(MOST_ROWS).iloc[::-1].reset_index(drop=True)
    figure = go.Figure(layout=base_layout(110 + 26 * len(rows), margin={"l": 8, "r": 52, "t": 56, "b": 8}))
    places, numbers = list(range(len(rows))), rows["number"].tolist()
    hovers = [_regret_hover(row, goal) for row in rows.itertuples()]
    common = {"y": places, "customdata": numbers, "hovertext": hovers, "hovertemplate": HOVER}
    for place, row in zip(places, rows.itertuples(), strict=True):
        line = {"color": LIGHT.finished, "width": 3}
        figure.add_shape(type="line", x0=row.low, x1=row.high, y0=place, y1=place, line=line, opacity=0.45)
    looks = {
        "where it stood": ("value", {"symbol": "circle-open", "color": LIGHT.stopped, "size": 9, "line": {"width": 2}}),
        "where it might have ended": ("expected", {"symbol": "circle", "color": LIGHT.finished, "size": 9}),
    }
    for name, (column, marker) in looks.items():
        figure.add_scatter(x=rows[column].tolist(), mode="markers", name=name, marker=marker, **common)
    winner = float(table.attrs["winner"])
    figure.add_scatter(
        x=[winner, winner],
        y=[-0.7, len(rows) - 0.3],
        mode="lines",
        name="winner",
        line={"color": LIGHT.best, "width": 2.5},
        hovertext=[f"The winner: {safe(goal.name)} {told_score(winner, goal)}"] * 2,
        hovertemplate=HOVER,
    )
    for place, chance in zip(places, rows["chance"], strict=True):
        text = f"{100 * chance:.0f} %" if chance >= 0.01 or not chance else "&lt;1 %"
        font = {"size": 12, "color": LIGHT.ink if chance else LIGHT.muted}
        figure.add_annotation(
            x=1, xref="paper", xanchor="left", xshift=8, y=place, text=text, showarrow=False, font=font
        )
    figure.update_xaxes(title_text=axis_title(goal))
    figure.update_yaxes(
        tickmode="array",
        tickvals=places,
        ticktext=[f"Trial {n}" for n in numbers],
        range=[-0.7, len(rows) - 0.3],
        showgrid=False,
        ticklabelstandoff=6,
    )
    return figure


def _rung_hover(row: Any) -> str:
    ended = f", {row.ended:,} ended there in another way" if row.ended else ""
    agreement = ""
    if pd.notna(row.agreement):
        between = f"{plain(row.agreement_low, 2)} to {plain(row.agreement_high, 2)}"
        agreement = (
            f"<br>Order here and in the end, Kendall's tau {plain(row.agreement, 2)} ({between})"
            f"<br>among {count(row.pairs, 'trial')} of full length"
        )
    return (
        f"Iteration {row.rung}<br>{row.came:,} came, {row.stopped:,} stopped, {row.went_on:,} went on{ended}{agreement}"
    )


def _regret_hover(row: Any, goal: Goal) -> str:
    between = f"{number(row.low)} to {told_score(row.high, goal)}"
    return (
        f"Trial {row.number}, stopped at iteration {row.stopped_at:,}<br>{safe(goal.name)}"
        f" {told_score(row.value, goal)} there<br>might have ended at {told_score(row.expected, goal)}"
        f" ({between})<br>chance to beat the winner {100 * row.chance:.1f} %"
    )
