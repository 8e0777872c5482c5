"""The section on the machines: when and where trials ran, how busy everything was, what iterations and memory cost."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from search.report.chart import Chart, Drawn
from search.report.markup import Sheet, esc, section, trial_link
from search.report.plots.machine import memory_figure, spread_figure, utilisation_figure
from search.report.plots.timeline import MOST_BARS, MOST_LANES, MOST_MARKS, timeline_figure
from search.report.tables.attempts import UNKNOWN_NODE
from search.report.tables.machine import memory, seconds_per_iteration, timeline, utilisation
from search.report.tables.snapshot import Snapshot
from search.report.wording import count, duration, number

_MOST_LINKS = 6


def machine(snap: Snapshot, sheet: Sheet) -> str:
    """What the machines did all the time."""
    return section("machine", "Machine", sheet.each(CHARTS, snap))


def _timeline(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    lanes, nodes = int(table["lane"].max()) + 1, [n for n in table.attrs["nodes"] if n != UNKNOWN_NODE]
    drawn = "A bar for every start of a trial, in the first slot of its node that was free."
    if len(table) > MOST_BARS or lanes > MOST_LANES:
        what = "node" if lanes > MOST_LANES else "slot"
        failed = int((table["status"] == "failed").sum())
        some = f"{MOST_MARKS} of the {failed:,}" if failed > MOST_MARKS else "the"
        marks = f"; crosses are {some} trials that failed" if failed else ""
        drawn = f"{len(table):,} bars would be too many, so depth of colour says how busy a {what} was{marks}."
    text = f"{drawn} {_unlucky(table)}{_cuts(table.attrs['breaks'])}"
    described = (
        f"{count(len(table), 'stretch', 'stretches')} of work in {count(lanes, 'slot')} of {count(len(nodes), 'node')}."
    )
    return Drawn(timeline_figure(table), text.strip(), described)


def _unlucky(table: pd.DataFrame) -> str:
    found = []
    for status, told in (("failed", "failed"), ("lost", "was started again")):
        numbers = list(dict.fromkeys(table.loc[table["status"] == status, "number"]))
        if numbers:
            many = told.replace("was ", "were ") if len(numbers) > 1 else told
            found.append(f"{count(len(numbers), 'trial')} {many} ({_links(numbers)})")
    several = table[(table["of"] > 1) & (table["node"] != UNKNOWN_NODE)].groupby("number")["node"].nunique()
    moved = [int(n) for n in several.index[several > 1]]
    if moved:
        found.append(f"{count(len(moved), 'trial')} went on on another node ({_links(moved)}; dotted)")
    return f"{'; '.join(found)}." if found else ""


def _links(numbers: Sequence[int]) -> str:
    shown = ", ".join(trial_link(int(n)) for n in numbers[:_MOST_LINKS])
    left = len(numbers) - _MOST_LINKS
    return f"{shown} and {left:,} more" if left > 0 else shown


def _cuts(breaks: Sequence[tuple[float, float]]) -> str:
    if not breaks:
        return ""
    cut = f"{count(len(breaks), 'break')} in which nothing ran ({duration(sum(s for _, s in breaks))})"
    return f" Dashed upright: {cut}, left out."


def _utilisation(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    facts = table.attrs
    mean, peak = number(facts["mean"], 3), facts["peak"]
    text = (
        f"On average {mean} of at most {count(peak, 'trial')} ran at once (dashed);"
        f" {100 * facts['idle']:.0f} % of those places stood idle."
    )
    if facts["waits"]:
        waits = np.array(facts["waits"])
        text += (
            f" From one trial to the next a slot stood empty for {duration(float(np.median(waits)))} (median),"
            f" {duration(float(np.quantile(waits, 0.9)))} or more in one case of ten."
        )
    averaged = f" The line shows means over {len(table) - 1} stretches." if facts["averaged"] else ""
    left_out = _cuts(facts["breaks"])
    described = f"Trials at once over {duration(facts['span'])}: {mean} on average, {peak} at most."
    return Drawn(utilisation_figure(table), text + averaged + left_out, described)


def _pace(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    middle = float(table["value"].median())
    text = f"An iteration took {duration(middle)} (median of {len(table):,} trials)."
    slow, nodes = table.attrs["slow"], table["node"].nunique()
    if slow is not None:
        node, ratio, low, high = slow
        text += (
            f" <strong>{esc(node)} was slower:</strong> its median is {number(ratio, 3)} times that of the others"
            f" (95 % interval {number(low, 3)} to {number(high, 3)})."
        )
    elif nodes > 1:
        text += " No node is slower than the others by more than a tenth for sure."
    text += f"{_boxes(table)}{_fewer(table, nodes)}"
    return Drawn(spread_figure(table, "seconds an iteration"), text, f"Seconds an iteration on {count(nodes, 'node')}.")


def _boxes(table: pd.DataFrame) -> str:
    boxed = (table["node"].value_counts() >= 4).any()
    return " Boxes hold the middle half of the trials." if boxed else ""


def _fewer(table: pd.DataFrame, nodes: int) -> str:
    return f" The {MOST_LANES} slowest of {nodes:,} nodes are drawn." if nodes > MOST_LANES else ""


def _memory(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    facts = table.attrs
    highest = table.iloc[int(table["value"].to_numpy().argmax())]
    what = "GPU memory" if facts["gpu"] else "memory"
    text = (
        f"The most {what} was taken by {trial_link(int(highest['number']))}: {number(float(highest['value']))} MiB;"
        f" the median is {number(float(table['value'].median()))} MiB."
    )
    parameter = facts["parameter"]
    if parameter is not None:
        way = "more" if facts["correlation"] > 0 else "less"
        rank = f"rank correlation {number(facts['correlation'], 2)}"
        text += f" Of the numeric parameters {esc(parameter)} goes with it most: the larger, the {way} memory ({rank})."
    if facts["host"] is not None:
        low, high = facts["host"]
        text += f" Their processes took {number(low)} to {number(high)} MiB of the machine's own memory."
    log = any(p.name == parameter and p.kind == "log" for p in snap.varying)
    where = f"against {parameter}" if parameter else "by node"
    return Drawn(memory_figure(table, log), text, f"Peak {what} of {count(len(table), 'trial')} {where}.")


CHARTS = (
    Chart("timeline", "Trials in time", timeline, _timeline),
    Chart("utilisation", "How busy the machines were", utilisation, _utilisation),
    Chart("seconds_per_iteration", "How long an iteration took", seconds_per_iteration, _pace),
    Chart("memory", "Peak memory", memory, _memory),
)
