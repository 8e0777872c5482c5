"""How the scores are distributed."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from search.report.plots.marks import HOVER, axis_title, safe, told_score
from search.report.plots.theme import LIGHT, base_layout
from search.report.tables.progress import view_range
from search.report.tables.snapshot import Goal

# Told apart by dash as well as by colour.
_LOOKS = (
    (LIGHT.finished, "solid"),
    (LIGHT.best, "dash"),
    (LIGHT.running, "dot"),
    (LIGHT.failed, "dashdot"),
    (LIGHT.muted, "longdash"),
)


def distribution_figure(table: pd.DataFrame, goal: Goal) -> go.Figure:
    """The share of trials that are at least so good: a line a group; the higher one is the better."""
    groups = list(table["group"].unique())
    single = len(groups) == 1
    top = 14 if single else 36 + 18 * (len(groups) > 2)
    figure = go.Figure(layout=base_layout(320, showlegend=not single, margin={"l": 8, "r": 16, "t": top, "b": 8}))
    for name, (color, dash) in zip(groups, _LOOKS, strict=False):
        rows = table[table["group"] == name]
        figure.add_scatter(
            x=rows["score"].tolist(),
            y=rows["share"].round(5).tolist(),
            mode="lines",
            name=safe(name, 32),
            line={"shape": "hv", "width": 2.5, "color": color, "dash": dash},
            hovertext=[_hover(row, goal, single) for row in rows.itertuples()],
            hovertemplate=HOVER,
        )
    figure.update_xaxes(title_text=axis_title(goal), range=view_range(table["score"], goal.maximize), nticks=7)
    figure.update_yaxes(title_text="share of trials at least this good", range=[0, 1.03], tickformat=".0%", nticks=6)
    return figure


def _hover(row: Any, goal: Goal, single: bool) -> str:
    whose = "trials" if single else f"trials of {safe(row.group)}"
    better = "or more" if goal.maximize else "or less"
    return f"{100 * row.share:.0f} % of the {whose}<br>came to {told_score(row.score, goal)} {better}"
