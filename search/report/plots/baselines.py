"""Dashed lines for what trivial models score, across a figure that shows the metric of a search upwards."""

from collections.abc import Mapping

import plotly.graph_objects as go

from search.report.plots.marks import safe, told_score
from search.report.plots.theme import LIGHT
from search.report.tables.baselines import in_view
from search.report.tables.snapshot import Goal
from search.report.wording import method_name


def add_baselines(figure: go.Figure, baselines: Mapping[str, float], goal: Goal) -> list[str]:
    """Draw those that lie within the figure or near it, each with its name and score; the figure makes room for them.

    Args:
        figure: whose vertical axis has a range.
        baselines: what each scores.
        goal: of the search.

    Returns:
        The names of those that are drawn.
    """
    shown, ends = in_view(baselines, figure.layout.yaxis.range)
    # Neighbours are named at opposite ends and the lowest below its line, so that no name lies on another or on a line.
    for index, (name, value) in enumerate(sorted(shown.items(), key=lambda told: told[1])):
        side = "left" if index % 2 else "right"
        line = {"color": LIGHT.muted, "width": 1.5, "dash": "dash"}
        figure.add_shape(type="line", xref="x domain", x0=0, x1=1, y0=value, y1=value, line=line, layer="below")
        figure.add_annotation(
            text=f"{safe(method_name(name), 30)} {told_score(value, goal)}",
            xref="x domain",
            x=float(side == "right"),
            y=value,
            xanchor=side,
            yanchor="bottom" if index or len(shown) == 1 else "top",
            showarrow=False,
            font={"color": LIGHT.muted, "size": 12},
        )
    if shown:
        figure.update_layout(yaxis_range=ends)
    return list(shown)
