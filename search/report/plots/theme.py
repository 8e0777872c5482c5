"""The colours of the report, light and dark, and the layout every figure starts from.

Figures are made in the light colours. `DARK_OF` says which dark colour stands for each of them, so that a page, or
a notebook, turns a figure by swapping strings: every light colour is written in one way and stands for one thing.
The hues follow Okabe and Ito (blue, amber, purple) and are told apart without colour too, by marker shape.
"""

from dataclasses import dataclass, fields
from typing import Any

import plotly.graph_objects as go

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif'


@dataclass(frozen=True)
class Palette:
    """Colours as lower-case hex strings; `scale` runs from a poor score to a good one."""

    ink: str
    muted: str
    grid: str
    axis: str
    surface: str
    finished: str
    stopped: str
    failed: str
    running: str
    best: str
    scale: tuple[str, ...]


LIGHT = Palette(
    ink="#1d2127",
    muted="#5b636e",
    grid="#eceae6",
    axis="#c9c6bf",
    surface="#fffffe",
    finished="#2a6fb5",
    stopped="#a3a19a",
    failed="#a8326e",
    running="#1c8a72",
    best="#d5770a",
    scale=("#d6dce3", "#bccadb", "#9cb5d3", "#7a9fca", "#5889bf", "#3a73b1", "#215d9e", "#0f4580"),
)


DARK = Palette(
    ink="#e9e7e2",
    muted="#a4abb5",
    grid="#2a2f37",
    axis="#4b525d",
    surface="#1b1f25",
    finished="#6fb1f0",
    stopped="#777d87",
    failed="#e886b9",
    running="#52c9ad",
    best="#f7a53c",
    scale=("#39414c", "#41546a", "#486888", "#507da5", "#5b93c2", "#6ea9dd", "#8cc0f2", "#b9dcff"),
)


def _pairs() -> dict[str, str]:
    pairs = dict(zip(LIGHT.scale, DARK.scale, strict=True))
    for field in fields(Palette):
        if field.name != "scale":
            pairs[getattr(LIGHT, field.name)] = getattr(DARK, field.name)
    return pairs


DARK_OF: dict[str, str] = _pairs()


def colorscale() -> list[tuple[float, str]]:
    """The scale of scores as Plotly takes it: from poor (0) to good (1)."""
    steps = len(LIGHT.scale) - 1
    return [(i / steps, color) for i, color in enumerate(LIGHT.scale)]


def base_layout(height: int, **more: Any) -> go.Layout:
    """A quiet layout: no background, thin grid, legend on top; `more` is laid over it."""
    axis = {
        "gridcolor": LIGHT.grid,
        "linecolor": LIGHT.axis,
        "tickcolor": LIGHT.axis,
        "zeroline": False,
        "showline": True,
        "ticks": "outside",
        "ticklen": 4,
        "tickfont": {"color": LIGHT.muted, "size": 12},
        "title": {"font": {"color": LIGHT.muted, "size": 13}, "standoff": 10},
        "automargin": True,
    }
    layout = go.Layout(
        template="none",
        height=height,
        autosize=True,
        margin={"l": 8, "r": 12, "t": 36, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": LIGHT.ink},
        hoverlabel={
            "bgcolor": LIGHT.surface,
            "bordercolor": LIGHT.axis,
            "font": {"family": FONT, "size": 13, "color": LIGHT.ink},
            "align": "left",
            "namelength": -1,
        },
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1,
            "yanchor": "bottom",
            "font": {"color": LIGHT.muted, "size": 13},
            "bgcolor": "rgba(0,0,0,0)",
        },
        hovermode="closest",
        xaxis=axis,
        yaxis={**axis, "showline": False, "ticks": ""},
    )
    return layout.update(more)
