"""The section on health: what trials report of their own training, counted and linked. Absent where none reports."""

from collections.abc import Callable

import pandas as pd

from search.report.chart import Chart, Drawn
from search.report.markup import Sheet, esc, section, trial_link
from search.report.plots.health import course_figure
from search.report.sections.diagnoses import Diagnosis, diagnoses
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
    return [chart for chart, kind in zip(CHARTS, KINDS, strict=True) if measures(snap, kind)]


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


CHARTS = tuple(_chart(kind) for kind in KINDS)
