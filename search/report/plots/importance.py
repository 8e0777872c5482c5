"""How much each parameter mattered, beside what chance alone would give."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from search.report.plots.marks import HOVER, safe
from search.report.plots.theme import LIGHT, base_layout
from search.report.tables.snapshot import Goal


def importance_figure(table: pd.DataFrame, goal: Goal) -> go.Figure:
    """A bar a parameter with its interval, filled where it is longer than chance; a mark where chance ends."""
    rows = table.assign(at=range(len(table) - 1, -1, -1))
    figure = go.Figure(layout=base_layout(96 + 34 * len(rows), bargap=0.35, margin={"l": 8, "r": 16, "t": 36, "b": 8}))
    looks = {True: ("above chance", LIGHT.finished, 0.9), False: ("within chance", LIGHT.surface, 1.0)}
    for above, (name, color, opacity) in looks.items():
        part = rows[rows["above"] == above]
        if not len(part):
            continue
        figure.add_bar(
            x=part["importance"].round(5).tolist(),
            y=part["at"].tolist(),
            orientation="h",
            name=name,
            marker={
                "color": color,
                "opacity": opacity,
                "line": {"width": 1.5, "color": LIGHT.finished if above else LIGHT.stopped},
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": (part["high"] - part["importance"]).round(5).tolist(),
                "arrayminus": (part["importance"] - part["low"]).round(5).tolist(),
                "color": LIGHT.muted,
                "thickness": 1.5,
                "width": 4,
            },
            hovertext=[_hover(row, name, goal) for row in part.itertuples()],
            hovertemplate=HOVER,
        )
    marks = zip(rows["parameter"], rows["chance"], strict=True)
    figure.add_scatter(
        x=rows["chance"].round(5).tolist(),
        y=rows["at"].tolist(),
        mode="markers",
        name="chance ends here",
        marker={"symbol": "line-ns", "size": 20, "line": {"width": 3, "color": LIGHT.best}},
        hovertext=[f"{safe(name)}: chance alone reaches {_share(chance)}" for name, chance in marks],
        hovertemplate=HOVER,
    )
    end = float(rows[["high", "chance", "importance"]].max().max())
    figure.update_xaxes(title_text="share of the importance", range=[0, 1.04 * end], tickformat=".0%", nticks=6)
    figure.update_yaxes(
        tickmode="array",
        tickvals=rows["at"].tolist(),
        ticktext=[safe(name, 20) for name in rows["parameter"]],
        range=[-0.6, len(rows) - 0.4],
        showgrid=False,
        fixedrange=True,
    )
    return figure


def _hover(row: Any, verdict: str, goal: Goal) -> str:
    share, low, high, chance = (_share(value) for value in (row.importance, row.low, row.high, row.chance))
    about = f"{safe(row.parameter)}: {share} of the importance for {safe(goal.name)}"
    return f"{about}<br>90 % interval {low} to {high}<br>{verdict}, which ends at {chance}"


def _share(value: float) -> str:
    return f"{100 * value:.1f} %" if value < 0.0995 else f"{100 * value:.0f} %"
