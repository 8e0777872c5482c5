"""Charts of the pace: how soon the best was found, what it took, and how many trials came close."""

import pandas as pd

from search.report.chart import Chart, Drawn
from search.report.markup import esc
from search.report.plots.distribution import distribution_figure
from search.report.plots.pace import pace_figure
from search.report.sections.baselines import drawn_beside
from search.report.tables.distribution import distribution
from search.report.tables.pace import best_over_hours, best_over_time
from search.report.tables.snapshot import Snapshot
from search.report.wording import count, duration, number, with_unit


def _over_time(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    found, now = (duration(seconds) for seconds in table["seconds"].iloc[[-2, -1]])
    caption = f"{_best(table)} was found after {found} of {now}. Each dot is a report better than all before it."
    described = f"Best {snap.goal.name} so far against time: the best came after {found} of {now}."
    figure = pace_figure(table, snap.goal, table.attrs["unit"])
    return Drawn(figure, caption + drawn_beside(figure, snap.baselines, snap.goal), described)


def _over_hours(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    unit = table.attrs["unit"]
    found, now = (_spent(seconds, unit) for seconds in table["seconds"].iloc[[-2, -1]])
    caption = f"{_best(table)} was found for {found} of the {now} spent. Trials that ran side by side add up."
    described = f"Best {snap.goal.name} so far against what was spent: {found} of {now}."
    figure = pace_figure(table, snap.goal, unit)
    return Drawn(figure, caption + drawn_beside(figure, snap.baselines, snap.goal), described)


def _best(table: pd.DataFrame) -> str:
    return f"The best so far, of trial {table['number'].iloc[-1]},"


def _spent(seconds: float, unit: str) -> str:
    hours = seconds / 3600
    return f"{number(hours, 3)} {unit}-hours" if hours >= 0.1 else f"{number(seconds / 60, 3)} {unit}-minutes"


def _distribution(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    facts, goal = table.attrs, snap.goal
    sizes, came = facts["trials"], facts["came_close"]
    near = f"within {with_unit(number(facts['close'], 1), goal.unit)} of the best" if facts["close"] else "to the best"
    found = f"{came:,} of {count(sum(sizes.values()), 'trial')} came {near}."
    lines = ""
    if len(sizes) > 1:
        named = ", ".join(f"{esc(name)} ({size:,})" for name, size in sizes.items())
        lines = f" A line for each of {named}: the higher, the better."
    stopped = f" {count(facts['stopped'], 'trial')} stopped early: with the score by then." if facts["stopped"] else ""
    caption = (
        f"<strong>{esc(found)}</strong> The line tells what share of trials scored at least so well.{lines}{stopped}"
    )
    return Drawn(distribution_figure(table, goal), caption, f"Distribution of {goal.name}. {found}")


CHARTS = (
    Chart("best_over_time", "How soon the best was found", best_over_time, _over_time, "card half"),
    Chart("best_over_hours", "What the best took to find", best_over_hours, _over_hours, "card half"),
    Chart("score_distribution", "How many trials came close", distribution, _distribution),
)
