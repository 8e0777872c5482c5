"""An ensemble's small tables -> Plotly figures. No files here."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from search.report.plots.labels import WIDE_ONLY
from search.report.plots.marks import HOVER, safe
from search.report.plots.theme import FONT, LIGHT, base_layout, colorscale
from search.report.wording import method_name, number, with_unit

_ON_A_TELEPHONE = 6  # members whose correlations have room as numbers


def gains_figure(table: pd.DataFrame, unit: str, name: str) -> go.Figure:
    """The gain of each way to blend over the best single model, with whiskers for its 95 % interval."""
    rows = table[(table["method"] != "best_single") & table["gain"].notna()].iloc[::-1]
    margin = {"l": 8, "r": 16, "t": 12, "b": 8}
    each = 46 if len(rows) <= 10 else 28
    figure = go.Figure(layout=base_layout(110 + each * len(rows), showlegend=False, margin=margin))
    ships = rows["ships"].fillna(False).astype(bool)
    colors = [LIGHT.best if ship else LIGHT.finished for ship in ships]
    names = [safe(method_name(method), 30) for method in rows["method"]]
    hovers = []
    for index, row in enumerate(rows.to_dict("records")):
        gain, low, high = (number(row[c], 3, sign=True) for c in ("gain", "gain_low", "gain_high"))
        hovers.append(f"{names[index]}: {with_unit(gain, unit)}<br>95 % interval {low} to {high}")
        figure.add_scatter(
            x=[row["gain_low"], row["gain_high"]],
            y=[names[index]] * 2,
            mode="lines",
            line={"color": colors[index], "width": 4},
            opacity=0.5,
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=rows["gain"].tolist(),
        y=names,
        mode="markers",
        marker={"size": 13, "color": colors, "symbol": ["diamond" if ship else "circle" for ship in ships]},
        hovertext=hovers,
        hovertemplate=HOVER,
    )
    figure.add_vline(x=0, line={"color": LIGHT.muted, "width": 1.5, "dash": "dot"})
    ends = [0.0, *rows["gain"], *rows["gain_low"].dropna(), *rows["gain_high"].dropna()]
    pad = 0.06 * (max(ends) - min(ends)) or 1.0
    title = f"gain in {safe(name, 40)}{f' ({unit})' if unit else ''} on the test split"
    figure.update_xaxes(title_text=title, range=[min(ends) - pad, max(ends) + pad])
    figure.update_yaxes(
        showgrid=False,
        ticklabelstandoff=8,
        tickfont={"color": LIGHT.ink, "size": 13},
        range=[-0.6, len(rows) - 0.4],
    )
    return figure


def correlation_figure(square: pd.DataFrame) -> go.Figure:
    """A heat map of the correlations between the members' errors; numbers in the cells while they fit."""
    values = square.to_numpy(float)
    names = [safe(name, 20) for name in square.index]
    same = np.eye(len(values), dtype=bool)
    shown = np.where(same, np.nan, values)
    low = float(np.nanmin(shown)) if np.isfinite(shown).any() else 0.0
    hover = [
        [f"{a} and {b}: {number(value, 3)}" for b, value in zip(names, row, strict=True)]
        for a, row in zip(names, values, strict=True)
    ]
    figure = go.Figure(layout=base_layout(150 + 34 * len(names), margin={"l": 8, "r": 8, "t": 12, "b": 8}))
    figure.add_heatmap(
        z=[[None if np.isnan(v) else float(v) for v in row] for row in shown],
        x=names,
        y=names,
        zmin=low - 0.02,
        zmax=1,
        colorscale=colorscale(),
        xgap=2,
        ygap=2,
        hovertext=hover,
        hovertemplate=HOVER,
        colorbar={"thickness": 10, "outlinewidth": 0, "tickfont": {"color": LIGHT.muted}, "nticks": 5},
    )
    if len(names) <= 12:
        cells = [(row, column) for row, column in zip(*np.nonzero(np.isfinite(shown)), strict=True)]
        strong = [float(shown[cell]) > (low + 1) / 2 for cell in cells]
        figure.add_scatter(
            x=[names[column] for _, column in cells],
            y=[names[row] for row, _ in cells],
            mode="text",
            text=[f"{float(shown[cell]):.2f}" for cell in cells],
            textfont={
                "size": 12,
                "color": [LIGHT.surface if each else LIGHT.ink for each in strong],
                "family": FONT if len(names) <= _ON_A_TELEPHONE else WIDE_ONLY,
            },
            hoverinfo="skip",
        )
    angle = -40 if len(names) > 5 else 0
    figure.update_xaxes(showline=False, ticks="", showgrid=False, ticklabelstandoff=4, tickangle=angle)
    figure.update_yaxes(showgrid=False, ticklabelstandoff=8, autorange="reversed")
    return figure
