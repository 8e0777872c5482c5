"""Where in the space the good trials lie: parallel coordinates and slices."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from search.report.plots.marks import HOVER, by_status, dots, joined, safe, star, told_score, trial_hover
from search.report.plots.theme import LIGHT, base_layout
from search.report.tables.parameters import Parameter
from search.report.tables.progress import view_range
from search.report.tables.snapshot import Goal
from search.report.wording import number

GAP_AT = -0.16  # where parallel coordinates draw a value that is not set


def parallel_figure(table: pd.DataFrame, parameters: Sequence[Parameter], goal: Goal) -> go.Figure:
    """One line a trial through its parameters' values to its score; deeper colour is a better score."""
    low, high = view_range(table["score"], goal.maximize) or (0.0, 1.0)
    score_at = ((table["score"] - low) / (high - low)).clip(0, 1)
    jitter = np.random.default_rng(0)
    columns, gaps = [], False
    for parameter in parameters:
        at = table["at." + parameter.name].to_numpy(float)
        if parameter.kind == "choice" and len(table) > 12:
            at = at + jitter.uniform(-0.018, 0.018, len(at))
        gaps = gaps or bool(np.isnan(at).any())
        columns.append(np.where(np.isnan(at), GAP_AT, at))
    lines = np.column_stack([*columns, score_at.to_numpy(float)])  # (trials, parameters + 1), each 0 to 1
    figure = go.Figure(layout=base_layout(470, margin={"l": 44, "r": 64, "t": 48, "b": 20}, showlegend=False))
    # By rank, not by score: a few hopeless trials would otherwise take all the pale colours.
    good = table["score"].rank(pct=True, ascending=goal.maximize) - 0.5 / max(1, len(table))
    scale = LIGHT.scale
    bins = np.clip((good * len(scale)).astype(int), 0, len(scale) - 1)
    hovers = _line_hovers(table, parameters, goal)
    looks = [({"color": color, "width": 1.0 + 0.12 * step}, 0.45 + 0.06 * step) for step, color in enumerate(scale)]
    groups = [np.flatnonzero((bins == step) & ~table["is_best"]) for step in range(len(scale))]
    looks.append(({"color": LIGHT.best, "width": 4.0}, 1.0))
    groups.append(np.flatnonzero(table["is_best"]))
    numbers = table["number"].tolist()
    for (line, opacity), group in zip(looks, groups, strict=True):
        if len(group):
            figure.add_scatter(
                x=joined(pd.Series(range(lines.shape[1])) for _ in group),
                y=joined(pd.Series(lines[i].round(4)) for i in group),
                hovertext=joined(pd.Series(hovers[i]) for i in group),
                customdata=joined(pd.Series([numbers[i]] * lines.shape[1]) for i in group),
                mode="lines",
                line=line,
                opacity=opacity,
                hovertemplate=HOVER,
            )
    for index, parameter in enumerate(parameters):
        ticks = parameter.ticks() + ([(GAP_AT, "not set")] if table["at." + parameter.name].isna().any() else [])
        _axis(figure, index, safe(parameter.name, 22), [(at, safe(text)) for at, text in ticks])
    ends = [(0.0, number(low)), (0.5, number((low + high) / 2)), (1.0, number(high))]
    _axis(figure, len(parameters), f"<b>{safe(goal.name, 22)}</b>", ends)
    figure.update_xaxes(visible=False, range=[-0.12, len(parameters) + 0.12], fixedrange=True)
    figure.update_yaxes(visible=False, range=[GAP_AT - 0.04 if gaps else -0.04, 1.04], fixedrange=True)
    return figure


def slice_figure(table: pd.DataFrame, parameter: Parameter, goal: Goal) -> go.Figure:
    """The score against one parameter: a dot a trial, a star for the best."""
    figure = go.Figure(layout=base_layout(250, showlegend=False, margin={"l": 8, "r": 10, "t": 10, "b": 8}))
    needed = ["number", "status", "score", "is_best", f"at.{parameter.name}", f"label.{parameter.name}"]
    rows = table.loc[table["at." + parameter.name].notna(), needed]
    places = rows["at." + parameter.name].to_numpy(float)
    if parameter.kind == "choice":
        room = 0.22 / max(1, len(parameter.choices) - 1)
        places = places + np.random.default_rng(0).uniform(-room, room, len(places)) * (len(rows) > 8)
    rows = rows.assign(place=places, text=rows["label." + parameter.name])
    name = safe(parameter.name, 40)
    for status, part in by_status(rows[~rows["is_best"]]):
        hovers = [f"{trial_hover(r, goal)}<br>{name} = {safe(r.text)}" for r in part.itertuples()]
        dots(figure, part["place"], part["score"], status, hovers, numbers=part["number"], size=7)
    winner = rows[rows["is_best"]]
    if len(winner):
        hovers = [f"{trial_hover(r, goal)}<br>{name} = {safe(r.text)}" for r in winner.itertuples()]
        star(figure, winner["place"], winner["score"], hovers, numbers=winner["number"])
    ticks = parameter.ticks()
    pad = 0.06 if parameter.kind != "choice" else 0.35 / max(1, len(parameter.choices) - 1)
    figure.update_xaxes(
        tickmode="array",
        tickvals=[at for at, _ in ticks],
        ticktext=[safe(text, 16) for _, text in ticks],
        range=[-pad, 1 + pad],
        tickangle=0 if sum(len(text) for _, text in ticks) < 44 else -35,
        showgrid=parameter.kind != "choice",
    )
    figure.update_yaxes(range=view_range(table["score"], goal.maximize), nticks=5)
    return figure


def _line_hovers(table: pd.DataFrame, parameters: Sequence[Parameter], goal: Goal) -> list[list[str]]:
    """For every trial, what is told at each parameter and at the score."""
    labels = [table["label." + parameter.name].tolist() for parameter in parameters]
    names = [safe(parameter.name) for parameter in parameters]
    hovers = []
    for row, (number_, score) in enumerate(zip(table["number"], table["score"], strict=True)):
        about = f"Trial {number_}: {safe(goal.name)} {told_score(score, goal)}"
        told = [f"{about}<br>{name} = {safe(label[row])}" for name, label in zip(names, labels, strict=True)]
        hovers.append([*told, about])
    return hovers


def _axis(figure: go.Figure, x: int, title: str, ticks: list[tuple[float, str]]) -> None:
    figure.add_shape(type="line", x0=x, x1=x, y0=0, y1=1, line={"color": LIGHT.axis, "width": 1.5}, layer="below")
    common = {"x": x, "showarrow": False}
    figure.add_annotation(**common, y=1, yshift=30, text=title, font={"size": 13, "color": LIGHT.ink})
    for at, text in ticks:
        figure.add_annotation(
            **common,
            y=at,
            text=text,
            xanchor="left",
            xshift=5,
            font={"size": 11, "color": LIGHT.muted},
            bgcolor=LIGHT.surface,
            opacity=0.85,
            borderpad=1,
        )
