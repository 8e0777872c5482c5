"""Small table -> Plotly figure. No results here, and no files: every figure works in a notebook too.

All figures are SVG, not WebGL: they print, they open in a mail client's preview, and no browser runs out of
contexts. Text that comes from users is escaped, because Plotly reads a little HTML.
"""

import html
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from search.report.parameters import Parameter
from search.report.tables import Goal, view_range
from search.report.theme import LIGHT, base_layout
from search.report.wording import number, with_unit

STATUS: dict[str, dict[str, Any]] = {
    "finished": {"color": LIGHT.finished, "symbol": "circle"},
    "stopped": {"color": LIGHT.stopped, "symbol": "circle-open"},
    "running": {"color": LIGHT.running, "symbol": "diamond-open"},
    "interrupted": {"color": LIGHT.running, "symbol": "square-open"},
    "failed": {"color": LIGHT.failed, "symbol": "x-thin"},
}
STATUS_NAMES = {"stopped": "stopped early", "running": "still running"}
HOVER = "%{hovertext}<extra></extra>"
GAP_AT = -0.16  # where parallel coordinates draw a value that is not set


def safe(text: object, longest: int = 90) -> str:
    """Text from users as Plotly shows it literally: no tags, no placeholders, one line, not endless."""
    line = " ".join(str(text).split())
    line = line if len(line) <= longest else line[: longest - 1] + "…"
    return html.escape(line, quote=False).replace("%{", "%&#123;")


def history_figure(table: pd.DataFrame, goal: Goal) -> go.Figure:
    """Every trial's score, and the best so far, against the number of the trial."""
    figure = go.Figure(layout=base_layout(380))
    line = table.dropna(subset=["best_so_far"])
    best_hover = [
        f"Best up to trial {n}: {_score(s, goal)}" for n, s in zip(line["number"], line["best_so_far"], strict=True)
    ]
    figure.add_scatter(
        x=line["number"].tolist(),
        y=line["best_so_far"].tolist(),
        mode="lines",
        name="best so far",
        line={"shape": "hv", "width": 2.5, "color": LIGHT.best},
        hovertext=best_hover,
        hovertemplate=HOVER,
    )
    for status, rows in _by_status(table[table["score"].notna() & (table["status"] != "failed")]):
        _dots(figure, rows["number"], rows["score"], status, [_trial_hover(r, goal) for r in rows.itertuples()])
    winner = table[table["is_best"]]
    if len(winner):
        _star(figure, winner["number"], winner["score"], [_trial_hover(r, goal) for r in winner.itertuples()])
    failed = table[table["status"] == "failed"]
    if len(failed):
        figure.add_scatter(
            x=failed["number"].tolist(),
            y=[0.02] * len(failed),
            yaxis="y2",
            mode="markers",
            name="failed",
            marker={"symbol": "x-thin", "size": 9, "line": {"width": 2, "color": LIGHT.failed}},
            hovertext=[
                f"Trial {r.number} failed<br>{safe(r.error or 'no reason recorded')}" for r in failed.itertuples()
            ],
            hovertemplate=HOVER,
            customdata=failed["number"].tolist(),
        )
        figure.update_layout(yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True})
    span = (int(table["number"].min()), int(table["number"].max()))
    pad = max(0.6, 0.02 * (span[1] - span[0]))
    figure.update_xaxes(title_text="trial", range=[span[0] - pad, span[1] + pad], tickformat=",d")
    figure.update_yaxes(title_text=axis_title(goal), selector={"visible": None})
    figure.update_layout(yaxis_range=view_range(table["score"], goal.maximize))
    if span[1] - span[0] < 8:
        figure.update_xaxes(dtick=1)
    return figure


def learning_curves_figure(table: pd.DataFrame, goal: Goal) -> go.Figure:
    """The metric against iterations: stopped trials dimmed, the best one in front."""
    figure = go.Figure(layout=base_layout(420))
    looks = {
        "stopped": (LIGHT.stopped, 1.0, 0.5, "stopped early"),
        "failed": (LIGHT.failed, 1.0, 0.7, "failed"),
        "interrupted": (LIGHT.running, 1.0, 0.6, "interrupted"),
        "running": (LIGHT.running, 1.4, 0.8, "still running"),
        "finished": (LIGHT.finished, 1.2, 0.5, "finished"),
        "best": (LIGHT.best, 3.0, 1.0, "best trial"),
    }
    for group, (color, width, opacity, name) in looks.items():
        rows = table[table["group"] == group]
        if not len(rows):
            continue
        curves = [part for _, part in rows.groupby("number", sort=True)]
        # A curve of one report is a dot; on longer ones markers would be noise.
        sizes = _joined(pd.Series([6 if len(curve) == 1 else 0] * len(curve)) for curve in curves)
        figure.add_scatter(
            x=_joined(curve["iteration"] for curve in curves),
            y=_joined(curve["value"] for curve in curves),
            customdata=_joined(curve["number"] for curve in curves),
            mode="lines+markers" if 6 in sizes else "lines",
            name=name,
            opacity=opacity,
            line={"color": color, "width": width},
            marker={"color": color, "size": [size or 0 for size in sizes]},
            hovertemplate=(f"Trial %{{customdata}}, {name}<br>iteration %{{x}}: %{{y:.4g}} {goal.unit}<extra></extra>"),
        )
    best = table[table["group"] == "best"]
    if len(best):
        end = best.iloc[-1]
        figure.add_annotation(
            x=end["iteration"],
            y=end["value"],
            text=f"<b>Trial {end['number']}</b>",
            showarrow=False,
            xanchor="right",
            yanchor="bottom" if goal.maximize else "top",
            font={"color": LIGHT.best, "size": 13},
        )
    last = float(table["iteration"].max())
    figure.update_xaxes(title_text="iteration", range=[0, 1.02 * last], tickformat=",d")
    if last <= 12:
        figure.update_xaxes(dtick=1)
    figure.update_yaxes(title_text=axis_title(goal), range=view_range(table["value"], goal.maximize))
    return figure


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
                x=_joined(pd.Series(range(lines.shape[1])) for _ in group),
                y=_joined(pd.Series(lines[i].round(4)) for i in group),
                hovertext=_joined(pd.Series(hovers[i]) for i in group),
                customdata=_joined(pd.Series([numbers[i]] * lines.shape[1]) for i in group),
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
    for status, part in _by_status(rows[~rows["is_best"]]):
        hovers = [f"{_trial_hover(r, goal)}<br>{name} = {safe(r.text)}" for r in part.itertuples()]
        _dots(figure, part["place"], part["score"], status, hovers, numbers=part["number"], size=7)
    winner = rows[rows["is_best"]]
    if len(winner):
        hovers = [f"{_trial_hover(r, goal)}<br>{name} = {safe(r.text)}" for r in winner.itertuples()]
        _star(figure, winner["place"], winner["score"], hovers, numbers=winner["number"])
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


def axis_title(goal: Goal) -> str:
    """ "PSNR (dB), higher is better"."""
    direction = "higher" if goal.maximize else "lower"
    return f"{safe(goal.name, 40)}{f' ({goal.unit})' if goal.unit else ''}, {direction} is better"


def _score(value: float, goal: Goal) -> str:
    return with_unit(number(value), goal.unit)


def _trial_hover(row: Any, goal: Goal) -> str:
    best = ", the best" if row.is_best else ""
    status = STATUS_NAMES.get(row.status, safe(row.status))
    return f"Trial {row.number}, {status}{best}<br>{safe(goal.name)} {_score(row.score, goal)}"


def _by_status(table: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
    for status in ("stopped", "failed", "interrupted", "running", "finished"):
        rows = table[table["status"] == status]
        if len(rows):
            yield status, rows


def _dots(
    figure: go.Figure,
    x: pd.Series,
    y: pd.Series,
    status: str,
    hovers: list[str],
    *,
    numbers: pd.Series | None = None,
    size: int = 9,
) -> None:
    look = STATUS[status]
    line_width = {"stopped": 1.4, "running": 2.0, "failed": 2.0}.get(status, 0.0)
    figure.add_scatter(
        x=x.tolist(),
        y=y.tolist(),
        mode="markers",
        name=STATUS_NAMES.get(status, status),
        marker={**look, "size": size, "opacity": 0.85, "line": {"width": line_width, "color": look["color"]}},
        hovertext=hovers,
        hovertemplate=HOVER,
        customdata=(x if numbers is None else numbers).tolist(),
    )


def _star(figure: go.Figure, x: pd.Series, y: pd.Series, hovers: list[str], numbers: pd.Series | None = None) -> None:
    figure.add_scatter(
        x=x.tolist(),
        y=y.tolist(),
        mode="markers",
        name="best trial",
        marker={
            "symbol": "star",
            "size": 17,
            "color": LIGHT.best,
            "line": {"width": 1, "color": LIGHT.surface},
        },
        hovertext=hovers,
        hovertemplate=HOVER,
        customdata=(x if numbers is None else numbers).tolist(),
    )


def _line_hovers(table: pd.DataFrame, parameters: Sequence[Parameter], goal: Goal) -> list[list[str]]:
    """For every trial, what is told at each parameter and at the score."""
    labels = [table["label." + parameter.name].tolist() for parameter in parameters]
    names = [safe(parameter.name) for parameter in parameters]
    hovers = []
    for row, (number_, score) in enumerate(zip(table["number"], table["score"], strict=True)):
        about = f"Trial {number_}: {safe(goal.name)} {_score(score, goal)}"
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


def _joined(parts: Iterable[pd.Series]) -> list[Any]:
    """Several curves as one, a gap between each two."""
    joined: list[Any] = []
    for part in parts:
        joined += [*part.tolist(), None]
    return joined[:-1]
