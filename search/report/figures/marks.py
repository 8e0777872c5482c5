"""What figures share: how a status looks, what hovering tells, how users' text is made safe.

All figures are SVG, not WebGL: they print, they open in a mail client's preview, and no browser runs out of
contexts. Text that comes from users is escaped, because Plotly reads a little HTML.
"""

import html
from collections.abc import Iterable
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from search.report.figures.theme import LIGHT
from search.report.tables.snapshot import Goal
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


def safe(text: object, longest: int = 90) -> str:
    """Text from users as Plotly shows it literally: no tags, no placeholders, one line, not endless."""
    line = " ".join(str(text).split())
    line = line if len(line) <= longest else line[: longest - 1] + "…"
    return html.escape(line, quote=False).replace("%{", "%&#123;")


def axis_title(goal: Goal) -> str:
    """ "PSNR (dB), higher is better"."""
    direction = "higher" if goal.maximize else "lower"
    return f"{safe(goal.name, 40)}{f' ({goal.unit})' if goal.unit else ''}, {direction} is better"


def told_score(value: float, goal: Goal) -> str:
    return with_unit(number(value), goal.unit)


def trial_hover(row: Any, goal: Goal) -> str:
    best = ", the best" if row.is_best else ""
    status = STATUS_NAMES.get(row.status, safe(row.status))
    return f"Trial {row.number}, {status}{best}<br>{safe(goal.name)} {told_score(row.score, goal)}"


def by_status(table: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
    for status in ("stopped", "failed", "interrupted", "running", "finished"):
        rows = table[table["status"] == status]
        if len(rows):
            yield status, rows


def dots(
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


def star(figure: go.Figure, x: pd.Series, y: pd.Series, hovers: list[str], numbers: pd.Series | None = None) -> None:
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


def joined(parts: Iterable[pd.Series]) -> list[Any]:
    """Several curves as one, a gap between each two."""
    joined: list[Any] = []
    for part in parts:
        joined += [*part.tolist(), None]
    return joined[:-1]
