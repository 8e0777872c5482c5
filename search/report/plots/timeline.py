"""Trials in time: a bar for every start in its slot, or how busy each slot was."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from search.report.plots.marks import HOVER, STATUS, STATUS_NAMES, safe
from search.report.plots.theme import LIGHT, base_layout, colorscale
from search.report.tables.attempts import busy_until
from search.report.tables.thinning import evenly
from search.report.wording import duration, time_unit

MOST_BARS = 500
MOST_LANES = 40
MOST_MARKS = 120
NAMES = {**STATUS_NAMES, "lost": "tried again"}
_BINS = 200
_ORDER = ("finished", "stopped", "running", "interrupted", "lost", "failed")
_COLORS = {**{status: look["color"] for status, look in STATUS.items()}, "lost": LIGHT.failed}


def timeline_figure(table: pd.DataFrame) -> go.Figure:
    """A bar for every start of a trial, in the slot where it ran; how busy each slot was where bars would be too many.

    Args:
        table: of `tables.machine.timeline`.
    """
    unit, size = time_unit(float(table["end"].max()))
    busy = len(table) > MOST_BARS
    whole_nodes = int(table["lane"].max()) >= MOST_LANES
    rows = _node_rows(table) if whole_nodes else _slot_rows(table)
    height = max(150, round(30 * (rows["at"].max() + 1.2)) if len(rows) < 16 else round(18 * rows["at"].max()))
    figure = go.Figure(layout=base_layout(min(height, 760) + 110, bargap=0.25, barmode="overlay"))
    at = table["lane"].map(dict(zip(rows["lane"], rows["at"], strict=True)))
    if busy or whole_nodes:
        _occupancy(figure, table, rows, size)
    else:
        _moves(figure, table, at, size)
        _bars(figure, table, at, size)
    _ends(figure, table, at, size)
    for node, part in rows.groupby("node", sort=False):
        if not whole_nodes:
            _label(figure, 0, float(part["at"].min()) - 0.62, safe(node))
    mark_breaks(figure, table.attrs.get("breaks", []), size)
    figure.update_xaxes(title_text=time_title(unit, table.attrs.get("breaks", [])), rangemode="tozero")
    figure.update_yaxes(
        range=[rows["at"].max() + 0.6, -0.6 if whole_nodes else -0.15],
        tickvals=rows["at"].tolist(),
        ticktext=[safe(text) for text in rows["label"]],
        showgrid=False,
        title_text="" if whole_nodes else "slot",
        zeroline=False,
    )
    return figure


def mark_breaks(figure: go.Figure, breaks: Sequence[tuple[float, float]], size: float) -> None:
    """A line where a stretch in which nothing ran was cut, with its length where there is room."""
    for at, seconds in breaks[:30]:
        line = {"color": LIGHT.muted, "width": 1.5, "dash": "dash"}
        figure.add_shape(type="line", x0=at / size, x1=at / size, y0=0, y1=1, yref="y domain", line=line)
        if len(breaks) <= 3:
            figure.add_annotation(
                x=at / size,
                y=1,
                yref="y domain",
                text=f"break of {duration(seconds)}",
                showarrow=False,
                xanchor="left",
                yanchor="top",
                font={"size": 12, "color": LIGHT.muted},
                bgcolor=LIGHT.surface,
                xshift=3,
            )


def time_title(unit: str, breaks: Sequence[Any]) -> str:
    """The title of an axis of time, see `tables.attempts`."""
    return f"{unit} since the start{', breaks left out' if breaks else ''}"


def sample(rows: pd.DataFrame, most: int, by: str = "value") -> pd.DataFrame:
    """At most so many rows, the extremes among them, the others evenly between."""
    if len(rows) <= most:
        return rows
    return rows.sort_values(by).iloc[evenly(len(rows), most)]


def _slot_rows(table: pd.DataFrame) -> pd.DataFrame:
    """lane, node, label, at: a row a slot, with room for the name of each node above its first."""
    rows = table.groupby("lane", sort=True)[["node", "slot"]].first().reset_index()
    rows["at"] = rows["lane"] + rows["node"].map({n: k + 1 for k, n in enumerate(dict.fromkeys(rows["node"]))}) * 0.9
    rows["at"] -= 0.25
    rows["label"] = rows["slot"].astype(str)
    return rows


def _node_rows(table: pd.DataFrame) -> pd.DataFrame:
    rows = table.groupby("lane", sort=True)[["node", "slot"]].first().reset_index()
    nodes = {node: place for place, node in enumerate(dict.fromkeys(rows["node"]))}
    rows["at"], rows["label"] = rows["node"].map(nodes).astype(float), rows["node"]
    return rows


def _bars(figure: go.Figure, table: pd.DataFrame, at: pd.Series, size: float) -> None:
    edge = {"width": 1 if len(table) < 120 else 0.4, "color": LIGHT.surface}
    groups = [(status, table["status"].eq(status) & ~table["is_best"], NAMES.get(status, status)) for status in _ORDER]
    for status, chosen, name in [*groups, ("best", table["is_best"], "best trial")]:
        rows = table[chosen]
        if not len(rows):
            continue
        figure.add_bar(
            x=((rows["end"] - rows["start"]) / size).round(5).tolist(),
            base=(rows["start"] / size).round(5).tolist(),
            y=at[chosen].tolist(),
            orientation="h",
            width=0.74,
            name=name,
            marker={"color": LIGHT.best if status == "best" else _COLORS[status], "line": edge},
            opacity=0.45 if status == "lost" else 1.0,
            hovertext=[_told(row) for row in rows.itertuples()],
            hovertemplate=HOVER,
            customdata=rows["number"].tolist(),
        )


def _ends(figure: go.Figure, table: pd.DataFrame, at: pd.Series, size: float) -> None:
    """A mark where a trial failed or was lost: a shape, for colours are not seen by all."""
    crowded = len(table) > MOST_BARS
    for status, symbol in (("failed", "x-thin"), ("lost", "triangle-right-open"))[: 1 if crowded else 2]:
        rows = sample(table[table["status"] == status], MOST_MARKS, "start")
        if not len(rows):
            continue
        figure.add_scatter(
            x=(rows["end"] / size).round(5).tolist(),
            y=at[rows.index].tolist(),
            mode="markers",
            name=NAMES.get(status, status),
            showlegend=crowded,
            marker={
                "symbol": symbol,
                "size": 9,
                "color": LIGHT.failed,
                "line": {"width": 2.2, "color": LIGHT.ink if status == "failed" else LIGHT.failed},
            },
            hovertext=[_told(row) for row in rows.itertuples()],
            hovertemplate=HOVER,
            customdata=rows["number"].tolist(),
        )


def _moves(figure: go.Figure, table: pd.DataFrame, at: pd.Series, size: float) -> None:
    """Lines from where a trial was broken off to where it went on."""
    several = table[table["of"] > 1].assign(at=at).sort_values(["number", "attempt"])
    x: list[Any] = []
    y: list[Any] = []
    for _, tries in several.groupby("number"):
        for one, after in zip(tries.itertuples(), tries.iloc[1:].itertuples(), strict=False):
            x += [round(float(one.end) / size, 5), round(float(after.start) / size, 5), None]  # type: ignore[arg-type]
            y += [one.at, after.at, None]
    if x:
        line = {"color": LIGHT.failed, "width": 1.5, "dash": "dot"}
        figure.add_scatter(x=x, y=y, mode="lines", line=line, name="went on", showlegend=False, hoverinfo="skip")


def _occupancy(figure: go.Figure, table: pd.DataFrame, rows: pd.DataFrame, size: float) -> None:
    span = float(table["end"].max())
    edges = np.linspace(0, span, _BINS + 1)
    shares = np.diff(busy_until(table, edges)) / (span / _BINS)
    by_row = pd.DataFrame(shares).groupby(rows["at"].to_numpy()).mean()
    per_cent = (100 * by_row.to_numpy()).clip(0, 100).round().astype(int)
    # The rows' edges, with empty rows between: what belongs to a slot is not to run into the next.
    ends = [float(edge) for at in by_row.index for edge in (at - 0.38, at + 0.38)]
    cells = [line for row in per_cent for line in (row.tolist(), [None] * _BINS)][:-1]
    figure.add_heatmap(
        x=((edges[:-1] + edges[1:]) / 2 / size).round(4).tolist(),
        y=ends,
        z=cells,
        zmin=0,
        zmax=100,
        colorscale=colorscale(),
        showscale=False,
        hoverongaps=False,
        hovertemplate="busy %{z} % of the time<br>around %{x:.4~g}<extra></extra>",
    )


def _label(figure: go.Figure, x: float, y: float, text: str) -> None:
    figure.add_annotation(
        x=x,
        xref="paper",
        y=y,
        text=f"<b>{text}</b>",
        showarrow=False,
        xanchor="left",
        yanchor="middle",
        font={"size": 12, "color": LIGHT.muted},
    )


def _told(row: Any) -> str:
    name = "the best trial" if row.is_best else NAMES.get(row.status, safe(row.status))
    attempt = f", attempt {row.attempt} of {row.of}" if row.of > 1 else ""
    why = f"<br>{safe(row.why)}" if row.why else ""
    times = f"from {duration(row.start)} to {duration(row.end)}: {duration(row.end - row.start)}"
    return f"Trial {row.number}{attempt}, {name}<br>{safe(row.node)}, slot {row.slot}<br>{times}{why}"
