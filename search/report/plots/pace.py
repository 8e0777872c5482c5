"""How soon the best was found."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from search.report.plots.marks import HOVER, axis_title, safe, told_score
from search.report.plots.theme import LIGHT, base_layout
from search.report.tables.progress import view_range
from search.report.tables.snapshot import Goal
from search.report.wording import duration

_SPANS = ((150.0, 1.0, "seconds"), (150 * 60.0, 60.0, "minutes"), (4 * 86400.0, 3600.0, "hours"))


def pace_figure(table: pd.DataFrame, goal: Goal, unit: str) -> go.Figure:
    """The best so far, a step for every report that was better; the line goes on to where the run stands.

    Args:
        table: seconds, value, number and perhaps iteration of each step; the last row is where the run stands.
        goal: what the search makes large or small.
        unit: "seconds" by the clock; otherwise what is counted, such as "GPU".
    """
    figure = go.Figure(layout=base_layout(320, showlegend=False, margin={"l": 8, "r": 16, "t": 14, "b": 8}))
    span = float(table["seconds"].iloc[-1])
    scale, name = next(((by, name) for most, by, name in _SPANS if span <= most), (86400.0, "days"))
    at = (table["seconds"] / scale).round(5)
    figure.add_scatter(
        x=at.tolist(),
        y=table["value"].tolist(),
        mode="lines",
        line={"shape": "hv", "width": 2.5, "color": LIGHT.best},
        hoverinfo="skip",
    )
    steps = table.iloc[:-1]
    sizes = [6] * (len(steps) - 1) + [16]
    symbols = ["circle"] * (len(steps) - 1) + ["star"]
    figure.add_scatter(
        x=at.iloc[:-1].tolist(),
        y=steps["value"].tolist(),
        mode="markers",
        marker={
            "size": sizes,
            "symbol": symbols,
            "color": LIGHT.best,
            "opacity": 1,
            "line": {"width": 1, "color": LIGHT.surface},
        },
        hovertext=[_hover(row, goal, unit) for row in steps.itertuples()],
        hovertemplate=HOVER,
        customdata=steps["number"].tolist(),
    )
    title = f"{name} since the start" if unit == "seconds" else f"{unit}-{name}"
    figure.update_xaxes(title_text=title, range=[0, 1.03 * float(at.iloc[-1]) or 1], nticks=7)
    figure.update_yaxes(title_text=axis_title(goal), range=view_range(table["value"], goal.maximize), nticks=6)
    return figure


def _hover(row: Any, goal: Goal, unit: str) -> str:
    when = f"after {duration(row.seconds)}" if unit == "seconds" else f"for {duration(row.seconds)} of {unit} time"
    during = f", iteration {row.iteration}" if hasattr(row, "iteration") else ""
    return f"Trial {row.number}{during}: {safe(goal.name)} {told_score(row.value, goal)}<br>{when}"
