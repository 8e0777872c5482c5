"""Stages side by side: a strip of scores for each."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from search.report.plots.marks import HOVER, axis_title, by_status, dots, safe, star, told_score, trial_hover
from search.report.plots.theme import LIGHT, base_layout
from search.report.tables.progress import view_range
from search.report.tables.snapshot import Goal
from search.report.wording import count, duration


def stages_figure(table: pd.DataFrame, goal: Goal) -> go.Figure:
    """A strip a stage, the first at the top: a dot a trial, the middle half as a band, the best ringed."""
    summaries = table.attrs["stages"]
    figure = go.Figure(layout=base_layout(120 + 108 * len(summaries)))
    at = {summary["stage"]: float(len(summaries) - 1 - n) for n, summary in enumerate(summaries)}
    random = np.random.default_rng(0)
    jitter = random.uniform(-0.13, 0.13, len(table)) * ~table["is_stage_best"]
    rows = table.assign(place=table["stage"].map(at).astype(float) - 0.2 + jitter)
    several = len({summary["length"] for summary in summaries}) > 1
    for summary in summaries:
        _strip(figure, summary, at[summary["stage"]] - 0.2, goal)
        figure.add_annotation(
            x=0,
            xref="paper",
            xanchor="left",
            y=at[summary["stage"]] + 0.3,
            text=_heading(summary, several),
            align="left",
            showarrow=False,
            font={"size": 13, "color": LIGHT.muted},
        )
    for status, part in by_status(rows[~rows["is_best"]]):
        hovers = [f"{trial_hover(r, goal)}<br>{safe(r.stage)}" for r in part.itertuples()]
        dots(figure, part["score"], part["place"], status, hovers, numbers=part["number"], size=7)
    ringed = rows[rows["is_stage_best"] & ~rows["is_best"]]
    if len(ringed):
        figure.add_scatter(
            x=ringed["score"].tolist(),
            y=ringed["place"].tolist(),
            mode="markers",
            name="best of its stage",
            marker={"symbol": "circle-open", "size": 15, "color": LIGHT.best, "line": {"width": 2}},
            hovertext=[f"Best of {safe(r.stage)}<br>{trial_hover(r, goal)}" for r in ringed.itertuples()],
            hovertemplate=HOVER,
            customdata=ringed["number"].tolist(),
        )
    winner = rows[rows["is_best"]]
    if len(winner):
        hovers = [f"{trial_hover(r, goal)}<br>{safe(r.stage)}" for r in winner.itertuples()]
        star(figure, winner["score"], winner["place"], hovers, numbers=winner["number"])
    figure.update_xaxes(title_text=axis_title(goal), range=view_range(table["score"], goal.maximize))
    figure.update_yaxes(visible=False, range=[-0.5, len(summaries) - 0.45])
    return figure


def _strip(figure: go.Figure, summary: dict[str, Any], place: float, goal: Goal) -> None:
    if summary["scored"] < 4:
        return
    ends = {"x0": summary["low"], "x1": summary["high"], "y0": place - 0.2, "y1": place + 0.2}
    figure.add_shape(type="rect", **ends, fillcolor=LIGHT.grid, line={"width": 0}, layer="below")
    figure.add_scatter(
        x=[summary["middle"]] * 2,
        y=[place - 0.2, place + 0.2],
        mode="lines",
        line={"width": 2, "color": LIGHT.muted},
        showlegend=False,
        hovertext=[f"Median of {safe(summary['stage'])}: {told_score(summary['middle'], goal)}"] * 2,
        hovertemplate=HOVER,
    )


def _heading(summary: dict[str, Any], several: bool) -> str:
    parts = [count(summary["trials"], "trial")]
    if several and summary["length"]:
        parts.append(count(summary["length"], "iteration"))
    if summary["stopped"]:
        parts.append(f"{100 * summary['stopped'] / summary['trials']:.0f} % stopped")
    if summary["seconds"] > 0:
        parts.append(duration(summary["seconds"]))
    return f"<b>{safe(summary['stage'], 24)}</b><br>{' · '.join(parts)}"
