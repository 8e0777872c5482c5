"""The section on health: what trials report of their own training, counted and linked. Absent where none reports."""

from collections.abc import Callable

import pandas as pd

from search.report.chart import Chart, Drawn
from search.report.markup import Sheet, esc, section, trial_link
from search.report.plots.health import course_figure
from search.report.plots.layers import layers_figure, weights_figure
from search.report.sections.diagnoses import Diagnosis, diagnoses
from search.report.tables import layers
from search.report.tables.health import KINDS, MOST_TRIALS, Kind, course, measures
from search.report.tables.snapshot import Snapshot
from search.report.wording import count

MOST_LINKS = 8
_READ = {
    "gradients": "Steady is healthy; a rise by powers of ten announces that training diverges.",
    "updates": "About a thousandth is usual; a tenth is far too much.",
    "dead": "Units that never act are lost to the network.",
    "gap": "Above zero, validation is worse than training; a gap that grows while training goes on is overfitting.",
    "balance": "Where the discriminator's loss falls to nothing, the generator has nothing left to learn from.",
}
_READ_LAYERS = {
    "gradient": "Gradients are healthy where they are of one magnitude in all layers of a network.",
    "update_ratio": "Steps are healthy at about a thousandth of the weights.",
}


def health(snap: Snapshot, sheet: Sheet) -> str:
    """What is wrong with trainings, and how their own measures went; "" where no trial reports any."""
    shown, found = charts(snap), diagnoses(snap)
    if not (shown or found):
        return ""
    told = "".join(_diagnosis(one) for one in found) if found else _CLEAR
    cards = (sheet.place(chart, snap) for chart in shown)
    return section("health", "Health", [f'<div class="verdicts" style="margin-bottom:20px">{told}</div>', *cards])


def charts(snap: Snapshot) -> list[Chart]:
    """The charts for which this run has measures."""
    there = [chart for chart, kind in zip(_OF_TRAININGS, KINDS, strict=True) if measures(snap, kind)]
    if layers.measures(snap):
        there.append(_LAYERS)
    if layers.quantiles(snap):
        there.append(_WEIGHTS)
    return there


def _diagnosis(one: Diagnosis) -> str:
    links = ", ".join(trial_link(number) for number in one.trials[:MOST_LINKS])
    left = len(one.trials) - MOST_LINKS
    more = f" and {left:,} more" if left > 0 else ""
    return (
        f'<div class="verdict"><h3>{esc(one.title)}</h3>'
        f'<p>{esc(one.text)} <span class="links">{links}{more}</span></p></div>'
    )


_CLEAR = (
    '<div class="verdict clear"><h3>Nothing to warn of</h3><p>By what they report of themselves, no trial ended with '
    "gradients, steps, units or scores far out of what is usual.</p></div>"
)


def _chart(kind: Kind) -> Chart:
    def table(snap: Snapshot) -> pd.DataFrame:
        return course(snap, kind)

    return Chart(f"health_{kind.name}", kind.title, table, _drawing(kind))


def _drawing(kind: Kind) -> Callable[[pd.DataFrame, Snapshot], Drawn]:
    def draw(table: pd.DataFrame, snap: Snapshot) -> Drawn:
        facts = table.attrs
        whose = "that finished" if facts["finished"] else "so far"
        text = (
            f"Blue: the median of {count(facts['trials'], 'trial')} {whose} and the middle 90 %. Amber: the best trial."
        )
        if facts["failed"]:
            many = facts["failed"] > MOST_TRIALS
            some = f"{MOST_TRIALS} of the {facts['failed']:,} trials" if many else "trials"
            text += f" Crosses: how far {some} that failed came, if they reported."
        left = f" {count(facts['left_out'], 'more measure')} not drawn." if facts["left_out"] else ""
        described = f"{', '.join(facts['measures'])} against iterations."
        return Drawn(course_figure(table, kind.log), f"{text} {_READ[kind.name]}{left}", described)

    return draw


def _layers(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    facts = table.attrs
    whose = "that finished" if facts["finished"] else "so far"
    best = "" if facts["number"] is None else f" Amber: {trial_link(facts['number'])}, the best."
    text = f"Blue: the median of {count(facts['trials'], 'trial')} {whose} and the middle 90 %, as last reported.{best}"
    read = "".join(f" {_READ_LAYERS[measure]}" for measure in facts["measures"] if measure in _READ_LAYERS)
    left = facts["measures_left_out"]
    more = f" {count(left, 'more measure')} not drawn." if left else ""
    described = f"{', '.join(facts['measures'])} of {count(table['layer'].nunique(), 'layer')}."
    return Drawn(layers_figure(table), f"{text}{read}{more}{_left_out(facts['layers_left_out'])}", described)


def _weights(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    facts = table.attrs
    text = (
        f"Of the best, {trial_link(facts['number'])}, at its last report: the thicker a bar, the nearer to the median."
        " Healthy weights spread to both sides of zero; look at layers that are far wider than their neighbours, or"
        " where all is zero."
    )
    described = f"Quantiles of the weights of {count(len(table), 'layer')} of trial {facts['number']}."
    return Drawn(weights_figure(table), f"{text}{_left_out(facts['layers_left_out'])}", described)


def _left_out(layers: int) -> str:
    return f" {count(layers, 'layer')} between these not drawn." if layers else ""


_OF_TRAININGS = tuple(_chart(kind) for kind in KINDS)
_LAYERS = Chart("health_layers", "Layer by layer", layers.layers, _layers)
_WEIGHTS = Chart("health_weights", "Weights of each layer", layers.weights, _weights)
CHARTS = (*_OF_TRAININGS, _LAYERS, _WEIGHTS)
