"""What the machines did: how many trials at once, seconds an iteration, memory."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from search.report.plots.marks import HOVER, STATUS, by_status, log_axis, safe
from search.report.plots.panels import stacked
from search.report.plots.theme import LIGHT, base_layout
from search.report.plots.timeline import MOST_LANES, NAMES, mark_breaks, sample, time_title
from search.report.wording import count, number, time_unit

MOST_DOTS = 300


def utilisation_figure(table: pd.DataFrame) -> go.Figure:
    """Above, how many trials ran at once against time; below, the share of time that each slot was busy.

    Args:
        table: of `tables.machine.utilisation`.
    """
    facts = table.attrs
    lanes = _shares(facts["lanes"])
    figure = stacked(
        [190, max(60, min(26 * len(lanes), 420))],
        ["Trials at once", "Share of time busy"],
        legend=False,
    )
    unit, size = time_unit(facts["span"])
    figure.add_scatter(
        x=(table["time"] / size).round(4).tolist(),
        y=table["running"].round(2).tolist(),
        mode="lines",
        name="trials at once",
        line={"color": LIGHT.finished, "width": 1.6, "shape": "hv"},
        fill="tozeroy",
        fillcolor=LIGHT.scale[0],
        hovertemplate=f"%{{y:.3~g}} at once<br>from %{{x:.4~g}} {unit}<extra></extra>",
        showlegend=False,
    )
    figure.add_scatter(
        x=[0, facts["span"] / size],
        y=[facts["mean"]] * 2,
        mode="lines",
        line={"color": LIGHT.best, "width": 2, "dash": "dash"},
        hovertemplate=f"{number(facts['mean'], 3)} at once on average<extra></extra>",
        showlegend=False,
    )
    mark_breaks(figure, facts["breaks"], size)
    names = [name for name, _ in lanes]
    figure.add_bar(
        x=[round(100 * share, 1) for _, share in lanes],
        y=list(range(len(lanes))),
        orientation="h",
        marker={"color": LIGHT.finished},
        text=[f"{100 * share:.0f} %" for _, share in lanes] if len(lanes) <= 16 else None,
        textposition="auto",
        hovertext=[f"{safe(name)}<br>busy {100 * share:.1f} % of the time" for name, share in lanes],
        hovertemplate=HOVER,
        xaxis="x2",
        yaxis="y2",
        showlegend=False,
    )
    figure.update_layout(
        bargap=0.3,
        xaxis={"title_text": time_title(unit, facts["breaks"]), "rangemode": "tozero"},
        yaxis={"rangemode": "tozero", "dtick": 1 if facts["peak"] <= 6 else None},
        xaxis2={"title_text": "busy, %", "range": [0, 100]},
        yaxis2={
            "tickvals": list(range(len(lanes))),
            "ticktext": [safe(name) for name in names],
            "range": [len(lanes) - 0.4, -0.6],
            "showgrid": False,
            "ticklabelstandoff": 6,
        },
    )
    return figure


def spread_figure(table: pd.DataFrame, quantity: str) -> go.Figure:
    """Values by node: a dot a trial; a box of the middle half with its median and whiskers to 1.5 of its width (Tukey).

    Args:
        table: number, status, node, value; see `tables.machine.seconds_per_iteration`.
        quantity: what the values are, such as "seconds an iteration".
    """
    nodes = list(dict.fromkeys(sorted(table["node"], key=_natural)))
    if len(nodes) > MOST_LANES:
        middles = table.groupby("node")["value"].median().sort_values(ascending=False)
        nodes = sorted(middles.index[:MOST_LANES].astype(str), key=_natural)
    figure = go.Figure(layout=base_layout(110 + max(70, (64 if len(nodes) < 8 else 26) * len(nodes))))
    order = {node: place for place, node in enumerate(nodes)}
    for node in nodes:
        values = table.loc[table["node"] == node, "value"]
        if len(values) >= 4:
            _box(figure, values, order[node], f"{safe(node)}: half of {len(values):,} trials lie in the box")
    kept = pd.concat([sample(table[table["node"] == node], MOST_DOTS // len(nodes) + 4) for node in nodes])
    shift = np.random.default_rng(0).uniform(-0.22, 0.22, len(kept))
    kept = kept.assign(place=kept["node"].map(order) + shift)
    for status, part in by_status(kept):
        _dots(figure, part["value"], part["place"], part, status, _measured(part, quantity))
    # Trials that went wrong may lie far out, where they would flatten all others.
    log = table["value"].max() > 30 * table["value"].median()
    figure.update_xaxes(
        title_text=f"{quantity}{', logarithmic' if log else ''}",
        **(log_axis(float(table["value"].min()), float(table["value"].max())) if log else {"rangemode": "tozero"}),
    )
    figure.update_yaxes(
        tickvals=list(order.values()),
        ticktext=[safe(node) for node in nodes],
        range=[len(nodes) - 0.5, -0.5],
        showgrid=False,
        ticklabelstandoff=6,
    )
    return figure


def memory_figure(table: pd.DataFrame, log: bool = False) -> go.Figure:
    """Peak memory against the parameter that goes with it, or by node where none does.

    Args:
        table: of `tables.machine.memory`.
        log: whether the parameter's axis is logarithmic.
    """
    quantity = f"MiB of {'GPU memory' if table.attrs['gpu'] else 'memory'} at the peak"
    parameter = table.attrs["parameter"]
    if parameter is None:
        return spread_figure(table, quantity)
    figure = go.Figure(layout=base_layout(340))
    kept = sample(table.dropna(subset=["at"]), MOST_DOTS)
    for status, part in by_status(kept):
        told = [
            f"{hover}<br>{safe(parameter)} {number(at)}"
            for hover, at in zip(_measured(part, quantity), part["at"], strict=True)
        ]
        _dots(figure, part["at"], part["value"], part, status, told)
    axis = log_axis(float(kept["at"].min()), float(kept["at"].max())) if log else {}
    figure.update_xaxes(title_text=safe(parameter, 60), **axis)
    figure.update_yaxes(title_text=quantity, rangemode="tozero")
    return figure


def _shares(lanes: Sequence[tuple[str, int, float]]) -> list[tuple[str, float]]:
    """Slots and how busy each was; nodes where slots are too many to be told apart, of very many the least busy."""
    if len(lanes) <= 16:
        return [(f"{node.partition(' (')[0]}, slot {slot}", share) for node, slot, share in lanes]
    parts: dict[str, list[float]] = {}
    for node, _, share in lanes:
        parts.setdefault(node, []).append(share)
    found = [(f"{node}, {count(len(some), 'slot')}", float(np.mean(some))) for node, some in parts.items()]
    return sorted(found, key=lambda one: one[1])[:MOST_LANES] if len(found) > MOST_LANES else found


def _box(figure: go.Figure, values: pd.Series, at: float, told: str) -> None:
    low, middle, high = (float(v) for v in np.quantile(values, [0.25, 0.5, 0.75]))
    inside = values[(values >= low - 1.5 * (high - low)) & (values <= high + 1.5 * (high - low))]
    figure.add_trace(
        go.Box(
            y=[at],
            q1=[low],
            median=[middle],
            q3=[high],
            lowerfence=[float(inside.min())],
            upperfence=[float(inside.max())],
            orientation="h",
            width=0.62,
            line={"color": LIGHT.muted, "width": 1.5},
            fillcolor=LIGHT.grid,
            name=told,
            hoverinfo="name",
            showlegend=False,
        )
    )


def _dots(figure: go.Figure, x: pd.Series, y: pd.Series, rows: pd.DataFrame, status: str, hovers: list[str]) -> None:
    look = STATUS[status]
    width = {"stopped": 1.4, "running": 2.0, "failed": 2.0}.get(status, 0.0)
    figure.add_scatter(
        x=[float(f"{v:.5g}") for v in x],
        y=[float(f"{v:.5g}") for v in y],
        mode="markers",
        name=NAMES.get(status, status),
        marker={**look, "size": 8, "opacity": 0.8, "line": {"width": width, "color": look["color"]}},
        hovertext=hovers,
        hovertemplate=HOVER,
        customdata=rows["number"].tolist(),
    )


def _measured(rows: pd.DataFrame, quantity: str) -> list[str]:
    told = zip(rows["number"], rows["status"], rows["node"], rows["value"], strict=True)
    return [
        f"Trial {n}, {NAMES.get(status, safe(status))}, {safe(node)}<br>{number(value)} {quantity}"
        for n, status, node, value in told
    ]


def _natural(name: str) -> tuple[int, str]:
    digits = name.split(" ")[1] if name.startswith("node ") else ""
    return (int(digits) if digits.isdigit() else 10**9, name)
