"""What a report says of baselines: trivial models beside which a trained one has to show its worth."""

from collections.abc import Iterable, Mapping

import plotly.graph_objects as go

from search.report.markup import esc
from search.report.plots.baselines import add_baselines
from search.report.tables.snapshot import Goal, Snapshot
from search.report.wording import method_name, number, with_unit


def told(baselines: Mapping[str, float], goal: Goal) -> str:
    """ "line copied 12.1 dB, mean image 11.5 dB", the best first (HTML)."""
    ranked = sorted(baselines.items(), key=lambda each: -each[1] * goal.sign)
    return ", ".join(f"{esc(method_name(name))} {with_unit(number(value), goal.unit)}" for name, value in ranked)


def drawn_beside(figure: go.Figure, baselines: Mapping[str, float], goal: Goal) -> str:
    """Draw baselines into a figure; what to add to its caption (HTML), "" where there are none."""
    ends = figure.layout.yaxis.range
    if not baselines or ends is None:
        return ""
    drawn = add_baselines(figure, baselines, goal)
    said = f" Dashed: {_named(drawn)}." if drawn else ""
    far = {name: value for name, value in baselines.items() if name not in drawn}
    below = {name: value for name, value in far.items() if value < ends[0]}
    above = {name: value for name, value in far.items() if name not in below}
    for where, some in (("below", below), ("above", above)):
        said += f" Far {where} the chart: {told(some, goal)}." if some else ""
    return said


def unbeaten(snap: Snapshot) -> str:
    """What to add to a caption (HTML) where the winner is no better than a baseline, else ""."""
    names = snap.unbeaten()
    return f" <strong>The best trial is no better than {_named(names)}.</strong>" if names else ""


def _named(names: Iterable[str]) -> str:
    named = [esc(method_name(name)) for name in names]
    return f"the baseline{'s' if len(named) > 1 else ''} {' and '.join(named)}"
