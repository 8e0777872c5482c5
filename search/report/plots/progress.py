"""How the search went: history and learning curves."""

import pandas as pd
import plotly.graph_objects as go

from search.report.plots.marks import HOVER, axis_title, by_status, dots, joined, safe, star, told_score, trial_hover
from search.report.plots.theme import LIGHT, base_layout
from search.report.tables.progress import view_range
from search.report.tables.snapshot import Goal


def history_figure(table: pd.DataFrame, goal: Goal) -> go.Figure:
    """Every trial's score, and the best so far, against the number of the trial."""
    figure = go.Figure(layout=base_layout(380))
    line = table.dropna(subset=["best_so_far"])
    line = line[(line["best_so_far"] != line["best_so_far"].shift()) | (line.index == line.index.max())]
    best_hover = [
        f"Best up to trial {n}: {told_score(s, goal)}" for n, s in zip(line["number"], line["best_so_far"], strict=True)
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
    for status, rows in by_status(table[table["score"].notna() & (table["status"] != "failed")]):
        dots(figure, rows["number"], _short(rows["score"]), status, [trial_hover(r, goal) for r in rows.itertuples()])
    winner = table[table["is_best"]]
    if len(winner):
        star(figure, winner["number"], winner["score"], [trial_hover(r, goal) for r in winner.itertuples()])
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
        sizes = joined(pd.Series([6 if len(curve) == 1 else 0] * len(curve)) for curve in curves)
        dotted = 6 in sizes
        figure.add_scatter(
            x=joined(curve["iteration"] for curve in curves),
            y=joined(_short(curve["value"]) for curve in curves),
            customdata=joined(curve["number"] for curve in curves),
            mode="lines+markers" if dotted else "lines",
            name=name,
            opacity=opacity,
            line={"color": color, "width": width},
            marker={"color": color, "size": [size or 0 for size in sizes]} if dotted else None,
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


def _short(values: pd.Series) -> pd.Series:
    """Values with the six digits that a figure can show: written out whole they take three times the room."""
    return values.map(lambda value: float(f"{value:.6g}"))
