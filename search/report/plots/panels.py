"""Panels of one figure, one below the other, each with axes of its own."""

from collections.abc import Sequence

import plotly.graph_objects as go

from search.report.plots.theme import LIGHT, base_layout

_BETWEEN = 74  # pixels from one panel to the next: the title of an axis and of a panel
_TITLE, _LEGEND, _BOTTOM = 26, 30, 44


def stacked(heights: Sequence[int], titles: Sequence[str], legend: bool = True) -> go.Figure:
    """A figure of empty panels, the first on top: draw into panel n (from 1) with xaxis="xn", yaxis="yn".

    Args:
        heights: of each panel's plot, in pixels.
        titles: above each, as Plotly reads it.
        legend: whether there is one.
    """
    inner = sum(heights) + _BETWEEN * (len(heights) - 1)
    top_margin = _TITLE + (_LEGEND if legend else 0)
    layout = base_layout(
        inner + top_margin + _BOTTOM, margin={"l": 8, "r": 12, "t": top_margin, "b": _BOTTOM}, showlegend=legend
    )
    layout.legend.y = 1 + _TITLE / inner
    x, y = layout.xaxis.to_plotly_json(), layout.yaxis.to_plotly_json()
    top = float(inner)
    for n, height in enumerate(heights, start=1):
        number = "" if n == 1 else str(n)
        domain = [max(0.0, (top - height) / inner), top / inner]
        layout[f"xaxis{number}"] = {**x, "anchor": f"y{number}", "domain": [0, 1]}
        layout[f"yaxis{number}"] = {**y, "anchor": f"x{number}", "domain": domain}
        top -= height + _BETWEEN
    figure = go.Figure(layout=layout)
    for n, title in enumerate(titles, start=1):
        figure.add_annotation(
            text=title,
            x=0,
            y=layout[f"yaxis{'' if n == 1 else n}"].domain[1],
            xref="paper",
            yref="paper",
            xanchor="left",
            yanchor="bottom",
            yshift=3,
            showarrow=False,
            font={"size": 14, "color": LIGHT.ink},
        )
    return figure
