"""The sections of a page on several runs: who came how far, at what cost, and what was done differently."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from search.report.chart import Chart, Drawn
from search.report.markup import Sheet, esc, note, section, table
from search.report.plots.compare import best_figure, distributions_figure, look, spent_figure
from search.report.plots.theme import DARK_OF
from search.report.sections.about import when
from search.report.sections.baselines import drawn_beside
from search.report.tables.baselines import shared_baselines
from search.report.tables.compare import Comparison, best_by_cost, best_by_trials, distributions, spent
from search.report.tables.side_by_side import choices, outcomes, winners
from search.report.tables.snapshot import NothingToShow, records
from search.report.wording import DASH, count, decimals, duration, fixed, number, plain, with_unit
from search.report.wording import label as named

_MOST_TOLD = 4
_STROKES = {"solid": "none", "dash": "9 6", "dot": "3 4", "dashdot": "9 4 3 4"}


@dataclass(frozen=True)
class Compared:
    """A figure of several runs; see `Chart` for what the parts are."""

    name: str
    title: str
    table: Callable[[Comparison], pd.DataFrame]
    draw: Callable[[pd.DataFrame, Comparison], Drawn]
    css: str = "card"

    def of(self, several: Comparison) -> Chart:
        """The chart of these runs, as pages and exports take it: whichever moment it is asked for."""
        return Chart(
            self.name,
            self.title,
            lambda _: self.table(several),
            lambda drawn, _: self.draw(drawn, several),
            self.css,
        )


def header(several: Comparison, price: float | None) -> str:
    """The answer first: a line a run, the best on top."""
    found = outcomes(several)
    names = several.group_labels
    title = " · ".join(names) if len(names) <= _MOST_TOLD else f"{len(several.runs)} runs"
    lines = "".join(_line(row, several, price) for row in records(found))
    return (
        f'<section id="answer"><header><p class=kicker>huetune comparison</p><h1 class="several">{esc(title)}</h1>'
        f'<p class="lede">{_lede(found, several)}</p>{_under_way(found)}</header><ul class="runs card">{lines}</ul>'
        "</section>"
    )


def progress(several: Comparison, sheet: Sheet) -> str:
    """How far each run came, for how many trials and how much work; how its trials are spread."""
    return section("progress", "Progress", _placed(several, sheet, CHARTS[:3]))


def cost(several: Comparison, sheet: Sheet) -> str:
    """What the runs took."""
    return section("cost", "Cost", _placed(several, sheet, CHARTS[3:]))


def parameters(several: Comparison) -> str:
    """The winning configurations side by side, then what the definitions of the runs do differently."""
    try:
        won = winners(several)
    except NothingToShow as nothing:
        body = note(esc(nothing))
    else:
        about = "What differs comes first; amber is a value that the best run's winner does not have."
        body = _side_by_side(won, several, about, "parameter", "Winning configurations")
    chosen = choices(several)
    about = "Amber is a choice that the best run does not make."
    differing = _side_by_side(chosen, several, about, "choice", "Choices of the definitions")
    return section(
        "parameters",
        "Parameters",
        [
            f'<div class="card"><h3>The winning configurations</h3>{body}</div>',
            f'<div class="card"><h3>What the definitions say</h3>{differing}</div>',
        ],
    )


def runs(several: Comparison, price: float | None) -> str:
    """The facts of each run in a table."""
    found = outcomes(several)
    unit = f", {esc(several.goal.unit)}" if several.goal.unit else ""
    tested, again = bool(found["tested"].notna().any()), bool(found["mean"].notna().any())
    head = ["Run", f"Winner{unit}", "Trial", *["Fresh seeds"] * again, *["On test"] * tested]
    head += ["Trials", "Finished", "Stopped", "Failed", "Trained", "Device", *["Dollars"] * (price is not None)]
    head += ["Took", "Started", "Commit"]
    places = decimals(found["score"])
    rows = []
    for row in records(found):
        mean = DASH if math.isnan(row["mean"]) else f"{fixed(row['mean'], places)} ± {number(row['spread'], 2)}"
        dollars = [] if price is None else [fixed(_dollars(row, price), 2)]
        cells = [fixed(row["score"], places), DASH if _gap(row["trial"]) else f"{int(row['trial'])}"]
        cells += [mean] * again + [fixed(row["tested"], places)] * tested
        cells += [f"{row[name]:,}" for name in ("trials", "finished", "stopped", "failed")]
        cells += [duration(row["trial_seconds"]), f"{duration(row['device_seconds'])} of {row['device']}", *dollars]
        cells += [duration(row["wall_seconds"]), esc(when(row["started"])) or DASH, esc(row["commit"] or DASH)]
        rows.append([esc(row["run"]), *cells])
    body = table(head, rows, 0 if found["score"].notna().any() else None, "The runs")
    caption = "The score of the winner is the one that chose it, on validation."
    return section("runs", "Runs", [f'<div class="card"><p class="caption">{caption}</p>{body}</div>'])


def _placed(several: Comparison, sheet: Sheet, charts: tuple[Compared, ...]) -> list[str]:
    return [sheet.place(chart.of(several), several.runs[0]) for chart in charts]


def _lede(found: pd.DataFrame, several: Comparison) -> str:
    """Who leads, by how much. Scores that chose winners are told as such."""
    goal, ranked = several.goal, records(found[found["score"].notna()])
    if not ranked:
        return "No run has a score yet."
    first = ranked[0]
    direction = "highest" if goal.maximize else "lowest"
    score = with_unit(number(first["score"]), goal.unit)
    text = f"{esc(first['run'])} has the {direction} {esc(goal.name)}: <strong>{score}</strong>"
    if len(ranked) > 1:
        gap = abs(first["score"] - ranked[1]["score"])
        ahead = f"{with_unit(number(gap, 2), goal.unit)} ahead of" if gap else "as has"
        text += f", {ahead} {esc(ranked[1]['run'])}"
    return f"{text}.{_repeated(found, several)} These scores, on validation, chose the winners."


def _repeated(found: pd.DataFrame, several: Comparison) -> str:
    """What came out of groups of runs that differ in their seed: the middle, and from where to where."""
    told = []
    for group, name in enumerate(several.group_labels):
        scores = found.loc[found["group"] == group, "score"].dropna()
        if len(scores) > 1:
            middle = with_unit(number(float(scores.median())), several.goal.unit)
            told.append(f" {esc(name)}: median {middle}, {number(scores.min())} to {number(scores.max())}.")
    return "".join(told)


def _under_way(found: pd.DataFrame) -> str:
    going = [esc(name) for name in found.loc[found["status"] == "running", "run"]]
    if not going:
        return ""
    still = "is" if len(going) == 1 else "are"
    return f'<p class="state"><strong>{", ".join(going)} {still} still running.</strong> The numbers will change.</p>'


def _line(row: dict[str, Any], several: Comparison, price: float | None) -> str:
    colour, dash = look(row["group"])
    key = (
        f'<svg class="key" width="38" height="10" aria-hidden="true" style="--light:{colour};--dark:{DARK_OF[colour]}">'
        f'<line x1="1" x2="37" y1="5" y2="5" stroke-dasharray="{_STROKES[dash]}"/></svg>'
    )
    unit = esc(several.goal.unit)
    small = f' <span class="unit">{unit}</span>' if unit and not math.isnan(row["score"]) else ""
    bits = ["no winner yet" if _gap(row["trial"]) else f"trial {int(row['trial'])}"]
    if not math.isnan(row["mean"]):
        spread = "" if math.isnan(row["spread"]) else f" ± {number(row['spread'], 2)}"
        bits.append(f"{number(row['mean'])}{spread} over {count(row['seeds'], 'fresh seed')}")
    if not math.isnan(row["tested"]):
        bits.append(f"{with_unit(number(row['tested']), several.goal.unit)} on test")
    bits.append(count(row["trials"], "trial"))
    bits.append(f"{duration(row['device_seconds'])} of {row['device']}")
    if price is not None:
        bits.append(f"${_dollars(row, price):,.2f}")
    return (
        f'<li>{key}<span class="who">{esc(row["run"])}</span><span class="value">{number(row["score"])}{small}</span>'
        f'<span class="about">{esc(" · ".join(bits))}</span></li>'
    )


def _dollars(row: dict[str, Any], price: float) -> float:
    return price * row["device_seconds"] / 3600


def _side_by_side(found: pd.DataFrame, several: Comparison, about: str, first: str, label: str) -> str:
    """The rows that differ; those that are equal behind a line that opens them."""
    names = [name for name in (several.labels[run] for run in several.ranked()) if f"run.{name}" in found]
    differing, equal = (found[found["differs"] == differs] for differs in (True, False))
    parts = []
    if len(differing):
        head = ["", *(esc(named(name)) for name in names)]
        rows = [_row(row, names, first) for row in records(differing)]
        parts.append(f'<p class="caption">{about}</p><div class="texts">{table(head, rows, None, label)}</div>')
    if len(equal):
        rows = [[esc(row[first]), _cell(row[f"run.{names[0]}"])] for row in records(equal)]
        summary = f"{len(equal):,} equal in all" if len(differing) else f"All {len(equal):,} are equal"
        same = table(["", "every run"], rows, None, f"{label}, equal in all")
        parts.append(f'<details><summary>{summary}</summary><div class="texts">{same}</div></details>')
    return "".join(parts)


def _row(row: dict[str, Any], names: list[str], first: str) -> list[str]:
    cells = [row[f"run.{name}"] for name in names]
    marked = [_cell(cell) if cell == cells[0] else f'<b class="differs">{_cell(cell)}</b>' for cell in cells]
    return [esc(row[first]), *marked]


def _cell(text: Any) -> str:
    return DASH if _gap(text) else esc(text)


def _gap(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _best(found: pd.DataFrame, several: Comparison) -> Drawn:
    unit, reached = found.attrs["unit"], found.attrs["best_at_shared"]
    order = sorted(reached, key=lambda label: -reached[label] * several.goal.sign)
    told = [f"{label} {with_unit(number(reached[label]), several.goal.unit)}" for label in order[:_MOST_TOLD]]
    shared = f"{plain(found.attrs['shared'], 3)} {unit}"
    caption = "A line a run, as far as it went."
    if (found["kind"] == "band").any():
        caption = "A line a run. Runs that differ in their seed are thin, within their band; thick is their median."
    if len(reached) > 1:
        caption += f" After {shared}, which all spent: {', '.join(told)}."
    described = f"The best {several.goal.name} so far of {count(len(reached), 'run')} against {unit}."
    figure = best_figure(found, several.goal)
    beside = drawn_beside(figure, shared_baselines(run.baselines for run in several.runs), several.goal)
    return Drawn(figure, esc(caption) + beside, described)


def _distributions(found: pd.DataFrame, several: Comparison) -> Drawn:
    medians = found.attrs["median"]
    order = sorted(medians, key=lambda label: -medians[label] * several.goal.sign)
    told = [f"{label} {with_unit(number(medians[label]), several.goal.unit)}" for label in order[:_MOST_TOLD]]
    further = "further right" if several.goal.maximize else "further left"
    caption = (
        f"How many trials of each run came to a score or a better one: {further} is better. Trials that were stopped"
        f" early count with what they had. Medians: {', '.join(told)}."
    )
    described = f"Distributions of the {several.goal.name} of the trials of {count(len(medians), 'run')}."
    return Drawn(distributions_figure(found, several.goal), esc(caption), described)


def _spent(found: pd.DataFrame, several: Comparison) -> Drawn:
    unit = found.attrs["unit"]
    by_run = {str(label): float(amount) for label, amount in found.groupby("series")["amount"].sum().items()}
    least, most = min(by_run, key=by_run.__getitem__), max(by_run, key=by_run.__getitem__)
    caption = f"What the trials of each run took, by how they ended, in {unit}."
    if len(by_run) > 1 and by_run[least] > 0:
        caption += f" {most} took {plain(by_run[most] / by_run[least], 2)} times what {least} did."
    return Drawn(spent_figure(found), esc(caption), f"The {unit} of {count(len(by_run), 'run')} by status of trial.")


CHARTS = (
    Compared("compare_best", "The best so far, by trials", best_by_trials, _best),
    Compared("compare_best_by_cost", "The best so far, by what it took", best_by_cost, _best),
    Compared("compare_scores", "How the scores are spread", distributions, _distributions),
    Compared("compare_cost", "What the trials took", spent, _spent),
)
