"""What figures share: how a status looks, what hovering tells, how users' text is made safe.

All figures are SVG, not WebGL: they print, they open in a mail client's preview, and no browser runs out of
contexts. Text that comes from users is escaped, because Plotly reads a little HTML.
"""

import html
import math
from collections.abc import Iterable
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from search.report.plots.theme import LIGHT
from search.report.tables.snapshot import Goal
from search.report.wording import number, plain, with_unit

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


def log_axis(low: float, high: float) -> dict[str, Any]:
    """A logarithmic axis over positive values, its labels written out: powers of ten, or 1-2-5 on a short one.

    Plotly itself abbreviates what lies between two powers to its first digit.
    """
    bottom, top = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1,) if high > 300 * low else (1, 2, 5) if high > 3 * low else (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)
    every = max(1, (top - bottom) // 6) if steps == (1,) else 1
    values = [step * 10.0**power for power in range(bottom, top + 1, every) for step in steps]
    shown = [value for value in values if low / 1.2 <= value <= high * 1.2]
    return {"type": "log", "tickmode": "array", "tickvals": shown, "ticktext": [plain(value, 3) for value in shown]}
