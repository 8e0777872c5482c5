"""Cells of a jittered grid with its trials, and how its edges were widened."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from scipy import ndimage

from search.report.plots.marks import HOVER, safe, star, told_score, trial_hover
from search.report.plots.theme import LIGHT, base_layout, colorscale
from search.report.tables.parameters import Parameter
from search.report.tables.snapshot import Goal
from search.report.tables.thinning import first_and_evenly
from search.report.wording import count, number

MOST_DOTS = 300
_MOST_OUTLINES = 12
_COARSE = "coarse"


def grid_cells_figure(table: pd.DataFrame, x: Parameter, y: Parameter, goal: Goal) -> go.Figure:
    """Cells in the colour of their best score, finer ones over coarse ones, and the trials where they lie."""
    figure = go.Figure(layout=base_layout(460, margin={"l": 8, "r": 8, "t": 40, "b": 8}))
    scored = table[table["score"].notna() & (table["status"] != "failed")]
    signed = (scored["score"] * goal.sign).groupby([scored[c] for c in ("level", "x_low", "y_low")]).max()
    bests = np.sort(signed.to_numpy(float))
    for level in sorted(scored["level"].unique(), key=lambda name: (name != _COARSE, len(name), name)):
        _cells(figure, scored[scored["level"] == level], str(level), bests, goal)
    _dots(figure, table, x, y, goal)
    for axis, parameter, low, high in (("x", x, "x_low", "x_high"), ("y", y, "y_low", "y_high")):
        begin, end = float(table[low].min()), float(table[high].max())
        ticks = [(at, text) for at, text in parameter.ticks() if begin - 0.02 <= at <= end + 0.02]
        ticks = ticks[:: 2 if len(ticks) > 5 else 1]
        pad, room = 0.015 * (end - begin), 0.06 if axis == "y" and table["level"].nunique() > 1 else 0.015
        settings: dict[str, Any] = {
            "tickmode": "array",
            "tickvals": [at for at, _ in ticks],
            "ticktext": [safe(text, 16) for _, text in ticks],
            "title_text": safe(parameter.name, 40),
            "range": [begin - pad, end + room * (end - begin)],
            "showgrid": False,
        }
        (figure.update_xaxes if axis == "x" else figure.update_yaxes)(**settings)
    return figure


def grid_edges_figure(table: pd.DataFrame, goal: Goal) -> go.Figure:
    """A row an edge, the first at the top: the range so far, the layer that was added, where the best lay and lies."""
    rows = table.reset_index(drop=True)
    figure = go.Figure(layout=base_layout(112 + 58 * len(rows)))
    places = [len(rows) - 1 - n for n in range(len(rows))]
    looks = {
        "range before": ("before_low", "before_high", LIGHT.axis),
        "widened": ("new_low", "new_high", LIGHT.finished),
    }
    hovers = [_edge_hover(row, goal) for row in rows.itertuples()]
    for name, (low, high, color) in looks.items():
        ends = rows[[low, high]].to_numpy(float)
        figure.add_bar(
            base=ends[:, 0].tolist(),
            x=(ends[:, 1] - ends[:, 0]).tolist(),
            y=places,
            orientation="h",
            width=0.3,
            name=name,
            marker={"color": color, "line": {"width": 1, "color": LIGHT.surface}},
            hovertext=hovers,
            hovertemplate=HOVER,
        )
    marks = {
        "best before": ("best_at", "hit_by", {"symbol": "circle-open", "size": 17, "color": LIGHT.ink}),
        "best after": ("after_at", "after", {"symbol": "diamond", "size": 11, "color": LIGHT.best}),
    }
    for name, (column, trial, marker) in marks.items():
        line = {"width": 2 if name == "best before" else 1, "color": LIGHT.ink if trial == "hit_by" else LIGHT.surface}
        figure.add_scatter(
            x=rows[column].tolist(),
            y=places,
            mode="markers",
            name=name,
            marker={**marker, "line": line},
            hovertext=hovers,
            hovertemplate=HOVER,
            customdata=rows[trial].tolist(),
        )
    for place, row in zip(places, rows.itertuples(), strict=True):
        title = f"<b>{safe(row.axis, 24)}{_sign(str(row.side))}</b> · {safe(_where(row), 30)}"
        whole = f"{safe(row.low_label, 12)} to {safe(row.high_label, 12)}"
        for at, text, anchor in ((0.0, title, "left"), (1.0, whole, "right")):
            figure.add_annotation(
                x=at,
                xref="paper",
                xanchor=anchor,
                y=place + 0.33,
                text=text,
                showarrow=False,
                font={"size": 13, "color": LIGHT.muted},
            )
    figure.update_layout(barmode="overlay")
    low, high = rows[["before_low", "new_low"]].min().min(), rows[["before_high", "new_high"]].max().max()
    figure.update_xaxes(visible=False, range=[low - 0.02 * (high - low), high + 0.02 * (high - low)])
    figure.update_yaxes(visible=False, range=[-0.4, len(rows) - 0.4])
    return figure


def _cells(figure: go.Figure, scored: pd.DataFrame, level: str, bests: np.ndarray, goal: Goal) -> None:
    """One round of cells: a heat map with gaps where none was tried, and a frame around what hangs together."""
    ends = {side: [scored[f"{side}_{end}"].round(6) for end in ("low", "high")] for side in "xy"}
    edges = {side: np.unique(np.concatenate(pair)) for side, pair in ends.items()}
    column, row = (np.searchsorted(edges[side], ends[side][0]) for side in "xy")
    best = np.full((len(edges["y"]) - 1, len(edges["x"]) - 1), -np.inf)
    np.maximum.at(best, (row, column), scored["score"].to_numpy(float) * goal.sign)
    trials = np.zeros(best.shape, int)
    np.add.at(trials, (row, column), 1)
    # By rank, not by score: a few hopeless cells would otherwise take all the pale colours.
    ranks = (np.searchsorted(bests, best) + np.searchsorted(bests, best, "right") - 1) / 2 / max(1, len(bests) - 1)
    hover = [
        [
            f"{safe(level)}: best of {count(int(n), 'trial')} {told_score(float(b) * goal.sign, goal)}" if n else ""
            for b, n in zip(*line, strict=True)
        ]
        for line in zip(best, trials, strict=True)
    ]
    first = not figure.data
    quarters = [0.0, 0.25, 0.5, 0.75, 1.0]
    figure.add_heatmap(
        z=[
            [round(float(r), 4) if n else None for r, n in zip(*line, strict=True)]
            for line in zip(ranks, trials, strict=True)
        ],
        x=edges["x"].tolist(),
        y=edges["y"].tolist(),
        zmin=0,
        zmax=1,
        colorscale=colorscale(),
        xgap=2 if first else 1,
        ygap=2 if first else 1,
        hoverongaps=False,
        hovertext=hover,
        hovertemplate=HOVER,
        showscale=first,
        colorbar={
            "thickness": 10,
            "outlinewidth": 0,
            "tickvals": quarters,
            "ticktext": [number(float(np.quantile(bests, q)) * goal.sign, 3) for q in quarters],
            "tickfont": {"color": LIGHT.muted},
        },
    )
    if level != _COARSE:
        _frames(figure, level, trials > 0, edges)


def _frames(figure: go.Figure, level: str, known: np.ndarray, edges: dict[str, np.ndarray]) -> None:
    labels, _ = ndimage.label(known)
    for part in ndimage.find_objects(labels)[:_MOST_OUTLINES]:
        rows, columns = part
        x0, x1 = edges["x"][columns.start], edges["x"][columns.stop]
        y0, y1 = edges["y"][rows.start], edges["y"][rows.stop]
        line = {"color": LIGHT.ink, "width": 1.5}
        figure.add_shape(type="rect", x0=float(x0), x1=float(x1), y0=float(y0), y1=float(y1), line=line)
        figure.add_annotation(
            x=float(x0),
            y=float(y1),
            xanchor="left",
            yanchor="bottom",
            text=safe(level),
            showarrow=False,
            font={"size": 11, "color": LIGHT.ink},
            bgcolor=LIGHT.surface,
            opacity=0.85,
            borderpad=1,
        )


def _dots(figure: go.Figure, table: pd.DataFrame, x: Parameter, y: Parameter, goal: Goal) -> None:
    kinds = np.where(
        table["status"] == "failed",
        "failed",
        np.where(
            table["reason"].fillna("").str.startswith("edge "),
            "beyond an edge",
            np.where(table["level"] == _COARSE, _COARSE, "refined"),
        ),
    )
    ranked = table.assign(kind=kinds, rank=table["score"] * -goal.sign).sort_values("rank", na_position="last")
    ranked = ranked.iloc[first_and_evenly(len(ranked), MOST_DOTS, MOST_DOTS // 2)]
    looks = {"coarse": "circle", "beyond an edge": "square", "refined": "diamond", "failed": "x-thin"}
    for kind, symbol in looks.items():
        rows = ranked[(ranked["kind"] == kind) & ~ranked["is_best"]]
        if not len(rows):
            continue
        marker: dict[str, Any] = {"symbol": symbol, "size": 7, "color": LIGHT.ink}
        marker["line"] = {"width": 1.2, "color": LIGHT.surface}
        if kind == "failed":
            marker |= {"size": 9, "line": {"width": 2, "color": LIGHT.failed}}
        figure.add_scatter(
            x=rows["x"].tolist(),
            y=rows["y"].tolist(),
            mode="markers",
            name=kind,
            marker=marker,
            hovertext=[_dot_hover(row, x, y, goal) for row in rows.itertuples()],
            hovertemplate=HOVER,
            customdata=rows["number"].tolist(),
        )
    best = table[table["is_best"]]
    if len(best):
        hovers = [_dot_hover(row, x, y, goal) for row in best.itertuples()]
        star(figure, best["x"], best["y"], hovers, numbers=best["number"])


def _dot_hover(row: Any, x: Parameter, y: Parameter, goal: Goal) -> str:
    told = [(axis, axis.label(axis.read(value))) for axis, value in ((x, row.x_value), (y, row.y_value))]
    values = ", ".join(f"{safe(axis.name, 30)} = {safe(text)}" for axis, text in told)
    return f"{trial_hover(row, goal)}<br>{values}<br>{safe(row.reason)}, cell {safe(row.cell)}"


def _edge_hover(row: Any, goal: Goal) -> str:
    moved = "the best moved there" if row.moved else "the best stayed"
    return (
        f"{safe(row.axis)}{_sign(str(row.side))}, {safe(_where(row))}<br>Trial {row.hit_by} lay at"
        f" {safe(row.hit_value)}: {told_score(row.best_before, goal)}<br>{count(row.trials, 'trial')} beyond,"
        f" to {safe(row.widened_to)}:"
        f" {told_score(row.best_beyond, goal)}<br>{moved}"
    )


def _where(row: Any) -> str:
    """The round in words: "coarse", "rates, refine 1, again"."""
    return ", ".join([*([row.grid] if row.grid else []), row.level, *(["again"] if row.round > 1 else [])])


def _sign(side: str) -> str:
    return "+" if side == "+" else "−"
