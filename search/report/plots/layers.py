"""What trials report of the layers of their networks: a row a layer, the first on top."""

import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from search.report.plots.marks import HOVER, joined, log_axis, safe
from search.report.plots.panels import stacked
from search.report.plots.theme import LIGHT, base_layout
from search.report.wording import capital, number

_TITLES = {
    "gradient": "Gradient norm",
    "update_ratio": "Size of steps over weights",
    "dead": "Share of dead units",
    "mean": "Mean of outputs",
    "std": "Spread of outputs",
}
_ROW, _EDGE = 20, 8  # pixels: of a row; above the first and below the last
_AROUND = 110  # pixels above and below: a title, and a legend that takes four lines on a telephone
_DECADES = 20  # an axis is logarithmic where its largest value is so many times its smallest
_ROOM = 0.03  # of an axis, beyond what it shows
_LABELS = 5  # that stand beside each other on a telephone
_LONGEST = 18  # letters of the name of a layer


def layers_figure(table: pd.DataFrame) -> go.Figure:
    """A panel a measure: the median and the middle 90 % of trials, and a dot for the best trial.

    Args:
        table: of `tables.layers.layers`.
    """
    panels = [(measure, table[table["measure"] == measure].reset_index()) for measure in table.attrs["measures"]]
    titles = [_TITLES.get(measure, safe(capital(measure.replace("_", " ")), 30)) for measure, _ in panels]
    figure = stacked([_ROW * len(rows) + 2 * _EDGE for _, rows in panels], titles)
    best = table.attrs["number"]
    for place, (_, rows) in enumerate(panels, start=1):
        x, y = (f"{axis}{place if place > 1 else ''}" for axis in "xy")
        axes = {"xaxis": x, "yaxis": y}
        hovers = [_hover(row, best) for row in rows.itertuples()]
        _bars(figure, rows["low"], rows["high"], "middle 90 %", {"width": 10, "color": LIGHT.scale[1]}, **axes)
        _medians(figure, rows["median"], hovers, **axes)
        if rows["best"].notna().any():
            dot = {"size": 10, "color": LIGHT.best, "line": {"width": 1, "color": LIGHT.surface}}
            _marks(figure, rows["best"], "best trial", dot, hovers, customdata=[best] * len(rows), **axes)
        figure.layout[f"xaxis{x[1:]}"].update(_across(rows[["best", "low", "median", "high"]].to_numpy(float)))
        figure.layout[f"yaxis{y[1:]}"].update(_rows(rows["layer"]))
    named: set[str] = set()
    for trace in figure.data:
        trace.showlegend = trace.name not in named
        named.add(trace.name)
    return figure


def weights_figure(table: pd.DataFrame) -> go.Figure:
    """The quantiles of each layer's weights as bars between two of them, the outer ones thin and the inner ones thick.

    Args:
        table: of `tables.layers.weights`.
    """
    quantiles, opens = table.attrs["quantiles"], {"customdata": [table.attrs["number"]] * len(table)}
    names = list(quantiles)
    figure = go.Figure(layout=base_layout(_ROW * len(table) + 2 * _EDGE + _AROUND))
    for low, high in zip(names[: len(names) // 2], reversed(names), strict=False):
        share = quantiles[high] - quantiles[low]
        _bars(figure, table[low], table[high], _between(quantiles[low], quantiles[high]), _line(share))
    hovers = [_told(row, quantiles) for row in table.to_dict("records")]
    for name in names:
        if quantiles[name] == 50:
            _medians(figure, table[name], hovers, **opens)
        else:
            # Nothing to see, but something to point at.
            _marks(figure, table[name], name, {"size": 10, "opacity": 0}, hovers, showlegend=False, **opens)
    figure.update_xaxes(title_text="weight", nticks=7, zeroline=True, zerolinecolor=LIGHT.axis)
    figure.update_yaxes(_rows(table["layer"]))
    return figure


def _bars(figure: go.Figure, low: pd.Series, high: pd.Series, name: str, line: dict[str, Any], **more: Any) -> None:
    ends = [pd.Series(_short(pair)) for pair in zip(low, high, strict=True)]
    figure.add_scatter(
        x=joined(ends),
        y=joined(pd.Series([at, at]) for at in range(len(ends))),
        mode="lines",
        name=name,
        line=line,
        hoverinfo="skip",
        **more,
    )


def _medians(figure: go.Figure, values: pd.Series, hovers: list[str], **more: Any) -> None:
    tick = {"symbol": "line-ns", "size": 12, "line": {"width": 3, "color": LIGHT.finished}}
    _marks(figure, values, "median", tick, hovers, **more)


def _marks(
    figure: go.Figure, values: pd.Series, name: str, marker: dict[str, Any], hovers: list[str], **more: Any
) -> None:
    figure.add_scatter(
        x=_short(values),
        y=list(range(len(values))),
        mode="markers",
        name=name,
        marker=marker,
        hovertext=hovers,
        hovertemplate=HOVER,
        cliponaxis=False,
        **more,
    )


def _line(share: int) -> dict[str, Any]:
    """How a bar looks that holds so many per cent of the weights: they read as a box, its whiskers and its extremes."""
    if share <= 50:
        return {"width": 11, "color": LIGHT.scale[2]}
    return {"width": 4, "color": LIGHT.scale[3]} if share < 100 else {"width": 1.5, "color": LIGHT.stopped}


def _across(values: np.ndarray) -> dict[str, Any]:
    """The axis of a measure: logarithmic, or one with zero on it; with room for a dot beyond the ends."""
    known = values[np.isfinite(values)]
    low, high = float(known.min()), float(known.max())
    if low > 0 and high >= _DECADES * low:
        room = _ROOM * math.log10(high / low)
        return _few(log_axis(low, high)) | {"range": [math.log10(low) - room, math.log10(high) + room]}
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        high = 1.0
    room = _ROOM * (high - low)
    signs = {"zeroline": True, "zerolinecolor": LIGHT.axis} if low < 0 < high else {}
    return {"nticks": _LABELS, "range": [low and low - room, high and high + room], **signs}


def _few(axis: dict[str, Any]) -> dict[str, Any]:
    """The same logarithmic axis with few labels: where there were many, at powers of ten."""
    if len(axis["tickvals"]) <= _LABELS:
        return axis
    powers = [value for value in axis["tickvals"] if math.log10(value).is_integer()]
    kept = powers[:: math.ceil(len(powers) / _LABELS)]
    told = zip(axis["tickvals"], axis["ticktext"], strict=True)
    return axis | {"ticktext": [text if value in kept else "" for value, text in told]}


def _rows(layers: pd.Series) -> dict[str, Any]:
    """The axis of layers, the first on top."""
    beyond = 0.5 + _EDGE / _ROW
    return {
        "tickmode": "array",
        "tickvals": list(range(len(layers))),
        "ticktext": [safe(_shortened(layer)) for layer in layers],
        "range": [len(layers) - 1 + beyond, -beyond],
        "fixedrange": True,
        "ticklabelstandoff": 6,
        "tickfont": {"color": LIGHT.ink, "size": 12},
    }


def _hover(row: Any, best: int | None) -> str:
    told = [safe(row.layer)]
    if np.isfinite(row.best):
        told.append(f"best trial ({best}): {number(row.best)}")
    if np.isfinite(row.median):
        told.append(f"median {number(row.median)}<br>middle 90 %: {number(row.low)} to {number(row.high)}")
    return "<br>".join(told)


def _told(row: dict[Any, Any], quantiles: dict[str, int]) -> str:
    names = {0: "least", 50: "median", 100: "largest"}
    told = (f"{names.get(share, f'{share} %')}: {number(row[name])}" for name, share in quantiles.items())
    return "<br>".join((safe(row["layer"]), *told))


def _between(low: int, high: int) -> str:
    if low + high != 100:
        return f"{low} to {high} %"
    return f"middle {high - low} %" if low else "all weights"


def _shortened(layer: str) -> str:
    """The name with its parts cut to a letter and their numbers, from the network on, until it is short enough."""
    parts = layer.split(".")
    for place, part in enumerate(parts[:-1]):
        if len(".".join(parts)) > _LONGEST:
            parts[place] = re.sub(r"^(\D)\D*", r"\1", part)
    short = ".".join(parts)
    return short if len(short) <= _LONGEST else f"…{short[1 - _LONGEST :]}"


def _short(values: Iterable[float]) -> list[float]:
    return [float(f"{value:.5g}") for value in values]
