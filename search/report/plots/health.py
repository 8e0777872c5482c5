"""What trials report of their training over the iterations: a panel a measure."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from search.report.plots.marks import HOVER, joined, log_axis, safe
from search.report.plots.panels import stacked
from search.report.plots.theme import LIGHT
from search.report.wording import number


def course_figure(table: pd.DataFrame, log: bool) -> go.Figure:
    """Median and middle 90 % of trials as a band, the best trial in front, those that failed with a cross at the end.

    Args:
        table: of `tables.health.course`.
        log: whether measures are drawn on logarithmic axes, as far as they are above zero.
    """
    measures = table.attrs["measures"]
    figure = stacked([210] * len(measures), [safe(name, 50) for name in measures])
    seen: set[str] = set()
    for place, measure in enumerate(measures, start=1):
        rows = table[table["measure"] == measure]
        logarithmic = log and bool((rows["value"] > 0).mean() > 0.9)
        if logarithmic:
            rows = rows[rows["value"] > 0]
        axes = {"xaxis": f"x{place}" if place > 1 else "x", "yaxis": f"y{place}" if place > 1 else "y"}
        _band(figure, rows[rows["line"] == "typical"], axes, seen, logarithmic)
        _failed(figure, rows[rows["line"] == "failed"], axes, seen)
        _best(figure, rows[rows["line"] == "best"], axes, seen)
        figure.layout[axes["xaxis"].replace("x", "xaxis")].update(title_text="iteration", tickformat=",d")
        ends = rows[["value", "low", "high"]].to_numpy(float)
        ends = ends[np.isfinite(ends) & (ends > 0)]
        kind = log_axis(float(ends.min()), float(ends.max())) if logarithmic and len(ends) else {"nticks": 6}
        figure.layout[axes["yaxis"].replace("y", "yaxis")].update(kind)
    return figure


def _band(figure: go.Figure, rows: pd.DataFrame, axes: dict[str, str], seen: set[str], logarithmic: bool) -> None:
    if not len(rows):
        return
    rows = rows.sort_values("iteration")
    # On a logarithmic axis an edge at or below zero has no place; the median is the nearest that has.
    low = rows["low"].where(rows["low"] > 0, rows["value"]) if logarithmic else rows["low"]
    x = rows["iteration"].tolist()
    quiet = {"mode": "lines", "line": {"width": 0, "color": LIGHT.scale[1]}, "hoverinfo": "skip"}
    figure.add_scatter(x=x, y=_short(rows["high"]), showlegend=False, **quiet, **axes)
    figure.add_scatter(
        x=x,
        y=_short(low),
        fill="tonexty",
        fillcolor=LIGHT.scale[1],
        name="middle 90 %",
        showlegend=_first(seen, "band"),
        **quiet,
        **axes,
    )
    hovers = [
        f"median {number(value)} at iteration {iteration}<br>middle 90 %: {number(least)} to {number(most)}"
        for iteration, value, least, most in zip(x, rows["value"], rows["low"], rows["high"], strict=True)
    ]
    figure.add_scatter(
        x=x,
        y=_short(rows["value"]),
        mode="lines" if len(x) > 1 else "markers",
        line={"color": LIGHT.finished, "width": 2.5},
        marker={"color": LIGHT.finished},
        name="median",
        showlegend=_first(seen, "median"),
        hovertext=hovers,
        hovertemplate=HOVER,
        **axes,
    )


def _failed(figure: go.Figure, rows: pd.DataFrame, axes: dict[str, str], seen: set[str]) -> None:
    if not len(rows):
        return
    rows = rows.sort_values(["number", "iteration"])
    curves = [part for _, part in rows.groupby("number", sort=True)]
    # A cross at its last report says that it came no further.
    sizes = joined(pd.Series([0] * (len(curve) - 1) + [8]) for curve in curves)
    figure.add_scatter(
        x=joined(curve["iteration"] for curve in curves),
        y=joined(pd.Series(_short(curve["value"])) for curve in curves),
        customdata=joined(curve["number"].astype(int) for curve in curves),
        mode="lines+markers",
        line={"color": LIGHT.failed, "width": 1.2},
        marker={
            "symbol": "x-thin",
            "size": [size or 0 for size in sizes],
            "color": LIGHT.failed,
            "line": {"width": [2 if size else 0 for size in sizes], "color": LIGHT.failed},
        },
        name="failed",
        showlegend=_first(seen, "failed"),
        hovertemplate="Trial %{customdata}, failed<br>iteration %{x}: %{y:.4~g}<extra></extra>",
        **axes,
    )


def _best(figure: go.Figure, rows: pd.DataFrame, axes: dict[str, str], seen: set[str]) -> None:
    if not len(rows):
        return
    rows = rows.sort_values("iteration")
    figure.add_scatter(
        x=rows["iteration"].tolist(),
        y=_short(rows["value"]),
        customdata=rows["number"].astype(int).tolist(),
        mode="lines" if len(rows) > 1 else "markers",
        line={"color": LIGHT.best, "width": 2.5, "dash": "solid"},
        marker={"color": LIGHT.best, "symbol": "star", "size": 12},
        name="best trial",
        showlegend=_first(seen, "best"),
        hovertemplate="Trial %{customdata}, the best<br>iteration %{x}: %{y:.4~g}<extra></extra>",
        **axes,
    )


def _short(values: pd.Series) -> list[float]:
    return [float(f"{value:.5g}") for value in values]


def _first(seen: set[str], name: str) -> bool:
    """Whether a line is the first of its kind: the panels share a legend."""
    new = name not in seen
    seen.add(name)
    return new
