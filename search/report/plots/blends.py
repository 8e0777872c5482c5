"""What blending brings by members, by cost and in colour: small tables -> Plotly figures."""

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from search.report.plots.labels import add_names
from search.report.plots.marks import HOVER, log_axis, safe
from search.report.plots.theme import LIGHT, base_layout
from search.report.tables.snapshot import records
from search.report.wording import capital, count, method_name, metric_name, metric_unit, number, with_unit

_LINES = (
    {"color": LIGHT.finished, "symbol": "circle", "dash": "solid"},
    {"color": LIGHT.running, "symbol": "square", "dash": "dash"},
    {"color": LIGHT.failed, "symbol": "triangle-up", "dash": "dot"},
)
_IN_USE = {"symbol": "diamond", "size": 14, "color": LIGHT.best, "line": {"width": 1, "color": LIGHT.surface}}
_SINGLE = {"symbol": "square", "size": 11, "color": LIGHT.ink}
_OTHER = {"symbol": "circle", "size": 10, "color": LIGHT.finished, "opacity": 0.85}
_BEATEN = {"symbol": "circle-open", "size": 9, "color": LIGHT.muted, "line": {"width": 1.6}}
COST_NAMES = {"ms_per_example": "milliseconds for an example", "parameters": "parameters"}


def size_figure(table: pd.DataFrame) -> go.Figure:
    """The gain against the number of members: a line a method, with whiskers for 95 % intervals."""
    metric = table.attrs["metric"]
    figure = go.Figure(layout=base_layout(380))
    lines = table[~table["ships"]]
    sizes = sorted({int(size) for size in lines["members"]})
    by_ratio = sizes[-1] > 16  # 1, 2, 4, 8, …: each as far from the next
    methods = list(dict.fromkeys(lines["method"]))
    for index, method in enumerate(methods):
        # Side by side, so that two intervals at one number of members can be told apart.
        aside = (index - (len(methods) - 1) / 2) * 0.03
        rows = lines[lines["method"] == method]
        look = _LINES[index % len(_LINES)]
        members = rows["members"].astype(float)
        figure.add_scatter(
            x=(members * (1 + aside) if by_ratio else members + aside * sizes[-1] / 3).tolist(),
            y=rows["gain"].tolist(),
            error_y={
                "type": "data",
                "symmetric": False,
                "array": _gaps(rows["gain_high"] - rows["gain"]),
                "arrayminus": _gaps(rows["gain"] - rows["gain_low"]),
                "thickness": 1.4,
                "width": 0,
                "color": look["color"],
            },
            mode="lines+markers",
            name=safe(method_name(method), 30),
            line={"color": look["color"], "width": 2, "dash": look["dash"]},
            marker={"color": look["color"], "symbol": look["symbol"], "size": 8},
            hovertext=[_size_hover(row, metric) for row in records(rows)],
            hovertemplate=HOVER,
        )
    for row in records(table[table["ships"]]):
        told = _size_hover(row, metric)
        _dots(figure, [row["members"]], [row["gain"]], f"in use: {safe(method_name(row['method']), 30)}", _IN_USE, told)
    figure.update_xaxes(
        title_text="members, the best on validation first",
        tickvals=sizes,
        ticktext=[str(size) for size in sizes],
        showgrid=False,
        **({"type": "log"} if by_ratio else {}),
    )
    figure.update_yaxes(title_text=gain_title(metric), rangemode="tozero")
    return figure


def cost_figure(table: pd.DataFrame) -> go.Figure:
    """The gain of each method against what a prediction costs; a line through those that none beats."""
    metric, cost = table.attrs["metric"], table.attrs["cost"]
    figure = go.Figure(layout=base_layout(420))
    frontier = table[table["frontier"]]
    figure.add_scatter(
        x=frontier["cost"].tolist(),
        y=frontier["gain"].tolist(),
        mode="lines",
        name="most gain for its cost",
        line={"color": LIGHT.finished, "width": 2, "shape": "hv"},
        opacity=0.6,
        hoverinfo="skip",
    )
    single, ships = table["method"] == "best_single", table["ships"].fillna(False).astype(bool)
    groups = (
        ("other methods", _BEATEN, ~table["frontier"] & ~single & ~ships),
        ("on the line", _OTHER, table["frontier"] & ~single & ~ships),
        ("best single model", _SINGLE, single & ~ships),
        ("in use", _IN_USE, ships),
    )
    for name, look, chosen in groups:
        rows = table[chosen]
        hovers = [_cost_hover(row, metric) for row in records(rows)]
        if len(rows):
            _dots(figure, rows["cost"], rows["gain"], name, look, hovers)
    exponents = [math.log10(value) for value in table["cost"]]
    x_range, y_range = _padded(exponents, 0.16, 0.1), _padded(table["gain"], 0.08, 0.12)
    axis = log_axis(10 ** x_range[0], 10 ** x_range[1])
    figure.update_xaxes(**axis, range=x_range, title_text=COST_NAMES[cost], showgrid=False)
    figure.update_yaxes(range=y_range, title_text=gain_title(metric))
    places = _places(exponents, table["gain"], x_range, y_range)
    points = list(zip(exponents, table["gain"], strict=True))
    points = [(10**x, y) for x, y in points]
    rank = (~ships).astype(int) * 4 + (~single).astype(int) * 2 + (~table["frontier"]).astype(int)
    _named(figure, table, points, places, rank)
    return figure


def colour_figure(table: pd.DataFrame) -> go.Figure:
    """How colourful each method is against how close it is; a line where the truth lies."""
    metric = table.attrs["metric"]
    figure = go.Figure(layout=base_layout(420))
    x_range = _padded(table["value"], 0.08, 0.08)
    y_range = _padded([*table["colourfulness"], 1.0], 0.1, 0.1)
    figure.add_scatter(
        x=list(x_range),
        y=[1.0, 1.0],
        mode="lines",
        name="the truth",
        line={"color": LIGHT.muted, "width": 1.5, "dash": "dot"},
        hoverinfo="skip",
    )
    single, ships = table["method"] == "best_single", table["ships"].fillna(False).astype(bool)
    groups = (
        ("other methods", _OTHER, ~single & ~ships),
        ("best single model", _SINGLE, single & ~ships),
        ("in use", _IN_USE, ships),
    )
    for name, look, chosen in groups:
        rows = table[chosen]
        if len(rows):
            hovers = [_colour_hover(row, table) for row in records(rows)]
            _dots(figure, rows["value"], rows["colourfulness"], name, look, hovers)
    unit = metric_unit(metric)
    measured = f"{safe(capital(metric_name(metric)), 40)}{f' ({unit})' if unit else ''} on the test split"
    title = gain_title(metric) if table.attrs["is_gain"] else measured
    figure.update_xaxes(range=x_range, title_text=title)
    figure.update_yaxes(range=y_range, title_text="colourfulness, 1 is the truth's", showgrid=False)
    places = _places(table["value"], table["colourfulness"], x_range, y_range)
    points = list(zip(table["value"].tolist(), table["colourfulness"].tolist(), strict=True))
    apart = (table["colourfulness"] - 1).abs().rank() / len(table)
    _named(figure, table, points, places, (~ships).astype(int) * 4 + (~single).astype(int) * 2 + apart)
    return figure


def gain_title(metric: str) -> str:
    """ "gain in PSNR (dB) on the test split"."""
    unit = metric_unit(metric)
    return f"gain in {safe(metric_name(metric), 40)}{f' ({unit})' if unit else ''} on the test split"


def _dots(
    figure: go.Figure, x: Iterable[float], y: Iterable[float], name: str, look: dict[str, Any], hovers: str | list[str]
) -> None:
    figure.add_scatter(
        x=list(x), y=list(y), mode="markers", name=name, marker=look, hovertext=hovers, hovertemplate=HOVER
    )


def _named(
    figure: go.Figure,
    table: pd.DataFrame,
    points: list[tuple[float, float]],
    places: list[tuple[float, float]],
    rank: pd.Series,
) -> None:
    names = [safe(method_name(method), 24) for method in table["method"]]
    order = [int(index) for index in rank.reset_index(drop=True).sort_values(kind="stable").index]
    add_names(figure, points, places, names, order)


def _padded(values: Iterable[float], before: float, after: float) -> tuple[float, float]:
    """The range of the values with a share of it on either side; never empty."""
    known = list(values)
    low, high = min(known), max(known)
    span = high - low or abs(high) or 1.0
    return low - before * span, high + after * span


def _places(
    x: Iterable[float], y: Iterable[float], x_range: tuple[float, float], y_range: tuple[float, float]
) -> list[tuple[float, float]]:
    return [
        ((a - x_range[0]) / (x_range[1] - x_range[0]), (b - y_range[0]) / (y_range[1] - y_range[0]))
        for a, b in zip(x, y, strict=True)
    ]


def _gaps(values: pd.Series) -> list[float]:
    return [max(0.0, float(value)) for value in values.fillna(0.0)]


def _interval(row: dict[str, Any], metric: str) -> str:
    gain, low, high = (number(row[name], 3, sign=True) for name in ("gain", "gain_low", "gain_high"))
    return f"{with_unit(gain, metric_unit(metric))}, 95 % interval {low} to {high}"


def _size_hover(row: dict[str, Any], metric: str) -> str:
    members = int(row["members"])
    told = f"{safe(method_name(row['method']))} of {count(members, 'member')}<br>{_interval(row, metric)}"
    if pd.isna(row["added"]):
        return told
    added = with_unit(number(row["added"], 2, sign=True), metric_unit(metric))
    return f"{told}<br>{added} over the number before"


def _cost_hover(row: dict[str, Any], metric: str) -> str:
    costs = []
    if pd.notna(row.get("ms_per_example")):
        costs.append(f"{number(row['ms_per_example'], 3)} ms")
    if pd.notna(row.get("parameters")):
        costs.append(count(int(row["parameters"]), "parameter"))
    if pd.notna(row.get("memory_mib")):
        costs.append(f"{number(row['memory_mib'], 3)} MiB")
    told = f"{safe(method_name(row['method']))}, {count(int(row['members']), 'member')}"
    return f"{told}<br>{_interval(row, metric)}<br>{', '.join(costs)}"


def _colour_hover(row: dict[str, Any], table: pd.DataFrame) -> str:
    metric = table.attrs["metric"]
    name = "gain" if table.attrs["is_gain"] else safe(metric_name(metric))
    value = with_unit(number(row["value"]), metric_unit(metric))
    told = f"{safe(method_name(row['method']))}<br>{name} {value}"
    return f"{told}<br>{number(row['colourfulness'], 3)} times as colourful as the truth"
