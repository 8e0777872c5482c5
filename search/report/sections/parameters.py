"""The section on the parameters: which mattered, how they go together, where the good trials lie."""

import pandas as pd

from search.report.chart import Chart, Drawn
from search.report.markup import Sheet, card, esc, note, section
from search.report.plots.contour import contour_figure
from search.report.plots.importance import importance_figure
from search.report.sections import space
from search.report.tables.contour import contour, contour_pairs
from search.report.tables.importance import importance
from search.report.tables.parameters import Parameter
from search.report.tables.snapshot import NothingToShow, Snapshot
from search.report.wording import count

_MOST_NAMES = 3


def parameters(snap: Snapshot, sheet: Sheet) -> str:
    """What the trials say of the parameters."""
    first = sheet.each((*CHARTS, *space.CHARTS), snap)
    return section("parameters", "Parameters", [*first, contour_card(snap, sheet), space.slices_card(snap, sheet)])


def contours(snap: Snapshot) -> list[Chart]:
    """A map of the score for each pair of the most important parameters; none where there is nothing to see."""
    try:
        return [_contour(across, upright) for across, upright in contour_pairs(snap)]
    except NothingToShow:
        return []


def contour_card(snap: Snapshot, sheet: Sheet) -> str:
    """The maps of the score in one card, or the reason why there are none."""
    title = "The score over pairs of parameters"
    try:
        pairs = contour_pairs(snap)
    except NothingToShow as nothing:
        return card(title, note(esc(nothing)))
    which = "The most important pair" if len(pairs) == 1 else "Pairs of the most important parameters"
    text = (
        f"{which}. The stronger the blue, the better {esc(snap.goal.name)} was around there: a weighted mean of the"
        " nearby trials that finished. Empty where none came near. Dots are trials, the star is the winner."
    )
    cards = "".join(sheet.place(_contour(across, upright), snap) for across, upright in pairs)
    return card(title, f'<p class="caption">{text}</p><div class="slices">{cards}</div>')


def _contour(across: Parameter, upright: Parameter) -> Chart:
    # Rows are easier to read by name than columns.
    if across.kind == "choice" and upright.kind != "choice":
        across, upright = upright, across

    def table(snap: Snapshot) -> pd.DataFrame:
        return contour(snap, across, upright)

    def draw(table: pd.DataFrame, snap: Snapshot) -> Drawn:
        trials, drawn = table.attrs["trials"], table.attrs["drawn"]
        thinned = f"{drawn:,} of {trials:,} trials are drawn as dots; the map is made of all." if drawn < trials else ""
        described = f"Map of {snap.goal.name} over {across.name} and {upright.name}, from {count(trials, 'trial')}."
        top = table[table["what"] == "cell"].dropna(subset=["value"])
        if len(top):
            peak = top.iloc[int((top["value"] * snap.goal.sign).argmax())]
            described += f" Best around {across.name} {peak['x_label']} and {upright.name} {peak['y_label']}."
        return Drawn(contour_figure(table, across, upright, snap.goal), thinned, described)

    title = f"{across.name} and {upright.name}"
    return Chart(f"contour_{across.name}_{upright.name}", title, table, draw, css="slice contour", level=4)


def _importance(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    above = table.loc[table["above"], "parameter"].tolist()
    within = table.loc[~table["above"], "parameter"].tolist()
    facts = table.attrs
    found = _found(above, within)
    used = f"{facts['trials']:,} of {facts['of']:,} trials" if facts["trials"] < facts["of"] else "all trials"
    how = (
        f"How well each parameter tells the best {facts['top']} trials from the others (PED-ANOVA)."
        f" Whiskers: 90 % intervals from random halves of the trials. Amber marks: what shuffled scores reach."
        f" Made from {used}: only those that finished, trained equally long, compare"
        f"{'' if facts['trials'] == facts['alike'] else ', and of these an even draw is enough'}."
    )
    more = f" {count(facts['left_out'], 'less important parameter')} not shown." if facts["left_out"] else ""
    described = f"Importances of {count(len(table), 'parameter')}. {found}"
    return Drawn(importance_figure(table, snap.goal), f"<strong>{esc(found)}</strong> {how}{more}", described)


def _found(above: list[str], within: list[str]) -> str:
    if not above:
        return "No parameter can be told from chance yet."
    sentence = f"{above[0]} matters most"
    if len(above) > 1:
        sentence += f", then {_listed(above[1:])}"
    return f"{sentence}; {_listed(within)} cannot be told from chance." if within else f"{sentence}."


def _listed(names: list[str]) -> str:
    if len(names) > _MOST_NAMES:
        names = [*names[: _MOST_NAMES - 1], f"{len(names) - _MOST_NAMES + 1} others"]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


CHARTS = (Chart("importances", "Which parameters mattered", importance, _importance),)
