"""Scores of the same configuration with other seeds, finalist by finalist."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from search.report.plots.marks import HOVER, axis_title, safe, told_score
from search.report.plots.theme import LIGHT, base_layout
from search.report.tables.snapshot import Goal
from search.report.wording import number


def seed_noise_figure(table: pd.DataFrame, goal: Goal) -> go.Figure:
    """A row a configuration, the best mean at the top: a dot a seed, the mean, its interval, the original score."""
    firsts = table.drop_duplicates("configuration")
    places = {name: len(firsts) - 1 - n for n, name in enumerate(firsts["configuration"])}
    figure = go.Figure(layout=base_layout(130 + 46 * len(firsts)))
    known = firsts[firsts["low"].notna()]
    for name, low, high in zip(known["configuration"], known["low"], known["high"], strict=True):
        line = {"color": LIGHT.best if places[name] == len(places) - 1 else LIGHT.finished, "width": 10}
        at, below = places[name], {"opacity": 0.3, "layer": "below"}
        figure.add_shape(type="line", x0=low, x1=high, y0=at, y1=at, line=line, **below)
    dot = {"symbol": "circle", "size": 9, "color": LIGHT.finished}
    _marks(figure, table, table["configuration"].map(places), "score", "a seed", dot, goal)
    original = firsts[firsts["original"].notna()]
    if len(original):
        name = "what it was chosen by" if table.attrs["retest"] else "its first trial"
        ring = {"symbol": "x-thin", "size": 10, "line": {"width": 2, "color": LIGHT.muted}}
        _marks(figure, original, original["configuration"].map(places), "original", name, ring, goal)
    diamond = {"symbol": "diamond", "size": 13, "color": LIGHT.best, "line": {"width": 1, "color": LIGHT.surface}}
    _marks(figure, firsts, firsts["configuration"].map(places), "mean", "mean and 95 % interval", diamond, goal)
    figure.update_xaxes(title_text=axis_title(goal), range=_ends(table))
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(places.values()),
        ticktext=[f"Trial {name}" for name in places],
        range=[-0.6, len(firsts) - 0.4],
        showgrid=False,
        ticklabelstandoff=6,
        tickfont={"color": LIGHT.ink, "size": 13},
    )
    return figure


def _marks(
    figure: go.Figure, rows: pd.DataFrame, at: pd.Series, column: str, name: str, marker: dict[str, Any], goal: Goal
) -> None:
    is_seed = column == "score"
    figure.add_scatter(
        x=rows[column].tolist(),
        y=at.tolist(),
        mode="markers",
        name=name,
        marker=marker,
        hovertext=[_hover(row, column, name, goal) for row in rows.itertuples()],
        hovertemplate=HOVER,
        customdata=rows["number" if is_seed else "configuration"].tolist(),
    )


def _hover(row: Any, column: str, name: str, goal: Goal) -> str:
    if column == "score":
        seed = f", seed {safe(row.seed)}" if pd.notna(row.seed) else ""
        return f"Trial {row.number}{seed}<br>{safe(goal.name)} {told_score(row.score, goal)}"
    value = told_score(getattr(row, column), goal)
    if column == "original":
        return f"Trial {row.configuration}, {name}: {value}<br>better than the others' mean by {number(row.curse, 3)}"
    between = f" ({number(row.low)} to {number(row.high)})" if pd.notna(row.low) else ""
    return f"Trial {row.configuration}, mean {value}{between}"


def _ends(table: pd.DataFrame) -> list[float]:
    """All seeds and originals in view; an interval from two seeds may be far wider than all of them."""
    points = pd.concat([table["score"], table["original"]]).dropna()
    low, high = float(points.min()), float(points.max())
    room = (high - low) or abs(high) * 0.02 or 1.0
    pad = 0.06 * room
    points = pd.concat([points, table["low"], table["high"]]).dropna()
    least, most = float(points.min()), float(points.max())
    return [max(low - room, least) - pad, min(high + room, most) + pad]
