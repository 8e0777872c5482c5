"""Stages side by side, and how much a score moves with the seed."""

import math
from typing import Any

import pandas as pd

from search.report.chart import Chart, Drawn
from search.report.markup import esc
from search.report.plots.seeds import seed_noise_figure
from search.report.plots.stages import stages_figure
from search.report.tables.seeds import seed_noise
from search.report.tables.snapshot import Goal, Snapshot
from search.report.tables.stages import stages
from search.report.wording import count, number, with_unit


def _stages(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    summaries, goal = table.attrs["stages"], snap.goal
    scored = [summary for summary in summaries if summary["scored"]]
    found = _origin(snap) or _record(scored, goal)
    lengths = {summary["length"] for summary in scored}
    unlike = " Stages train for different lengths, so their scores are not alike." if len(lengths) > 1 else ""
    fewer = " Only some trials of a large stage are drawn, the best of it all." * any(
        summary["shown"] < summary["scored"] for summary in summaries
    )
    left = table.attrs["left_out"]
    more = f" {count(left, 'later stage')} not shown." if left else ""
    caption = (
        f"{esc(found)} A dot is a trial, the band the middle half of a stage, its line the median.{unlike}{fewer}{more}"
    )
    told = ", ".join(f"{s['stage']} {number(s['best'])} of {count(s['trials'], 'trial')}" for s in summaries)
    return Drawn(stages_figure(table, goal), caption, f"Best {goal.name} by stage: {told}.")


def _record(scored: list[dict[str, Any]], goal: Goal) -> str:
    best = max(scored, key=lambda summary: summary["best"] * goal.sign)
    return f"The best score, {with_unit(number(best['best']), goal.unit)}, was found in {best['stage']}."


def _origin(snap: Snapshot) -> str:
    """Where the winner of a re-test came from: the highest of single scores is more luck than merit."""
    if snap.winner is None:
        return ""
    first = snap.trials.loc[snap.trials["number"] == snap.winner.configuration, "stage"].dropna()
    return f"The winner, trial {snap.winner.configuration}, came from {first.iloc[0]}." if len(first) else ""


def _seeds(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    told, unit = table.attrs, snap.goal.unit
    noise = ""
    spread, low, high = told["spread"]
    if not math.isnan(spread):
        size = f"{with_unit(number(spread, 2), unit)} (95 % interval {number(low, 2)} to {number(high, 2)})"
        noise = f" The seed alone moves a score by a standard deviation of {size}."
    curse = ""
    luck, low, high = told["curse"]
    if luck > 0:
        between = "" if math.isnan(low) else f" ({number(low, 2)} to {number(high, 2)})"
        what = "The scores they were chosen by" if told["retest"] else "Their first scores"
        by = f"{with_unit(number(luck, 2), unit)}{between}"
        curse = f" {what} were better than the new ones by {by} on average: the winner's curse."
    where = (
        ""
        if told["retest"]
        else (
            " There was no Retest: these are configurations that the search repeated itself, and the trials that they"
            " were repeated for count too, so the means are a little too good."
        )
    )
    left = told["left_out"]
    more = f" {count(left, 'more configuration')} not shown." if left else ""
    read = " A dot is a seed, the diamond their mean, the band its 95 % interval."
    caption = f"<strong>{esc(told['verdict'])}</strong>{noise}{curse}{where}{read}{more}"
    return Drawn(seed_noise_figure(table, snap.goal), caption, str(told["verdict"]))


CHARTS = (
    Chart("stages", "Stages side by side", stages, _stages),
    Chart("seed_noise", "How much the seed decides", seed_noise, _seeds),
)
