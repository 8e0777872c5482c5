"""The score over two parameters at once."""

import math
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from search.report.plots.marks import HOVER, safe, star, told_score
from search.report.plots.theme import LIGHT, base_layout, colorscale
from search.report.tables.parameters import Parameter
from search.report.tables.snapshot import Goal
from search.report.wording import number


def contour_figure(table: pd.DataFrame, across: Parameter, upright: Parameter, goal: Goal) -> go.Figure:
    """A map of the smoothed score, deeper colour is better; dots are trials, the star is the best."""
    figure = go.Figure(layout=base_layout(300, showlegend=False, margin={"l": 8, "r": 8, "t": 12, "b": 8}))
    cells = table[table["what"] == "cell"]
    square = cells.pivot_table(index="y", columns="x", values="value", sort=True, dropna=False)
    told = cells.assign(told=[_cell_hover(row, across, upright, goal) for row in cells.itertuples()])
    texts = told.pivot_table(index="y", columns="x", values="told", aggfunc="first", sort=True)
    common: dict[str, Any] = {
        "x": square.columns.to_numpy(float).round(4).tolist(),
        "y": square.index.to_numpy(float).round(4).tolist(),
        "z": [[_digits(value) for value in row] for row in square.to_numpy()],
        "hovertext": texts.to_numpy().tolist(),
        "hovertemplate": HOVER,
        "colorscale": colorscale(),
        "reversescale": not goal.maximize,
        "colorbar": _colorbar(square),
    }
    if "choice" in (across.kind, upright.kind):
        gaps = {"xgap": 3 * (across.kind == "choice"), "ygap": 3 * (upright.kind == "choice")}
        figure.add_heatmap(**common, **gaps)
    else:
        figure.add_contour(**common, ncontours=10, connectgaps=False, line={"width": 0.5, "color": LIGHT.surface})
    trials = table[table["what"] == "trial"]
    figure.add_scatter(
        x=_apart(trials["x"], across, 0),
        y=_apart(trials["y"], upright, 1),
        mode="markers",
        marker={"size": 5, "color": LIGHT.ink, "opacity": 0.55, "line": {"width": 0.8, "color": LIGHT.surface}},
        hovertext=[_trial_hover(row, across, upright, goal) for row in trials.itertuples()],
        hovertemplate=HOVER,
        customdata=trials["number"].tolist(),
    )
    best = table[table["what"] == "best"]
    if len(best):
        hovers = [f"The best: {_trial_hover(row, across, upright, goal)}" for row in best.itertuples()]
        star(figure, best["x"], best["y"], hovers, numbers=best["number"])
    figure.update_xaxes(**_axis(across), title_text=safe(across.name, 36), tickangle=0 if _short(across) else -35)
    figure.update_yaxes(**_axis(upright), title_text=safe(upright.name, 30))
    return figure


def _digits(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None


def _apart(at: pd.Series, parameter: Parameter, seed: int) -> list[float]:
    """Dots of one choice side by side, where they would hide each other."""
    if parameter.kind == "choice":
        room = 0.3 / max(1, len(parameter.choices) - 1)
        at = at + np.random.default_rng(seed).uniform(-room, room, len(at))
    return [float(place) for place in at.round(4)]


def _axis(parameter: Parameter) -> dict[str, Any]:
    ticks = parameter.ticks()
    pad = 0.5 / max(1, len(parameter.choices) - 1) if parameter.kind == "choice" else 0.02
    return {
        "tickmode": "array",
        "tickvals": [at for at, _ in ticks],
        "ticktext": [safe(text, 12) for _, text in ticks],
        "range": [-pad, 1 + pad],
        "showgrid": False,
    }


def _short(parameter: Parameter) -> bool:
    return sum(min(len(text), 12) for _, text in parameter.ticks()) < 27


def _colorbar(square: pd.DataFrame) -> dict[str, Any]:
    """Thin, with the ends of the map as its labels."""
    low, high = float(square.min().min()), float(square.max().max())
    middle = (low + high) / 2
    return {
        "thickness": 9,
        "outlinewidth": 0,
        "tickvals": [low, middle, high],
        "ticktext": [number(low), number(middle), number(high)],
        "tickfont": {"size": 11, "color": LIGHT.muted},
        "xpad": 6,
        "ypad": 0,
    }


def _cell_hover(row: Any, across: Parameter, upright: Parameter, goal: Goal) -> str:
    return f"About {told_score(row.value, goal)} around<br>{_where(row, across, upright)}"


def _trial_hover(row: Any, across: Parameter, upright: Parameter, goal: Goal) -> str:
    return f"Trial {row.number}: {safe(goal.name)} {told_score(row.value, goal)}<br>{_where(row, across, upright)}"


def _where(row: Any, across: Parameter, upright: Parameter) -> str:
    pair = f"{safe(across.name, 40)} = {safe(row.x_label)}", f"{safe(upright.name, 40)} = {safe(row.y_label)}"
    return "<br>".join(pair)
