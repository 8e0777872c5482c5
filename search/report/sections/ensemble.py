"""The section on the ensemble: scores, what members and milliseconds bring, colours, weights, how alike members err."""

import pandas as pd

from search.report.chart import Chart, Drawn
from search.report.markup import Sheet, esc, note, section, trial_link
from search.report.plots.blends import COST_NAMES, colour_figure, cost_figure, size_figure
from search.report.plots.ensemble import correlation_figure, gains_figure
from search.report.sections.ensemble_scores import score_card
from search.report.tables.blends import NO_ENSEMBLE, colour_strength, gain_by_cost, gain_by_size, measures_colour
from search.report.tables.ensemble import baselines, correlation, gains, members, shipped_gain
from search.report.tables.snapshot import NothingToShow, Snapshot, records
from search.report.wording import count, method_name, metric_name, metric_unit, number, with_unit

_MOST_MEMBERS = 12  # whose weights are seen without asking


def ensemble(snap: Snapshot, sheet: Sheet, command: str) -> str:
    """What blending the best checkpoints gained, at what cost, and how alike they err."""
    scores = gains(snap)
    if scores is None:
        makes = f"<code>{esc(command)}</code> makes one from its best checkpoints."
        text = f"{NO_ENSEMBLE} {makes}"
        return section("ensemble", "Ensemble", [note(text)])
    # Where predictions have no colour, there is no word of it.
    shown = [chart for chart in CHARTS if chart is not COLOURS or measures_colour(scores)]
    placed = {chart.name: sheet.place(chart, snap) for chart in shown}
    halves = f'<div class="halves">{_members(snap)}{placed.pop("error_correlation")}</div>'
    return section("ensemble", "Ensemble", [score_card(scores, baselines(snap)), *placed.values(), halves])


def _members(snap: Snapshot) -> str:
    found = members(snap)
    if found is None:
        return ""
    weighed = bool(found["weight"].notna().all())
    heaviest = max(float(found["weight"].max()), 1e-9) if weighed else 1.0
    again = found["number"].duplicated(keep=False) & found["number"].notna()
    rows = []
    for member, several in zip(records(found), again, strict=True):
        of_run = member["number"] is not None and member["number"] == member["number"]
        name = trial_link(int(member["number"])) if of_run else esc(member["name"])
        at = f" at {int(member['iteration'])}" if several and pd.notna(member["iteration"]) else ""
        who = f'<span class="who">{name}{at}</span>'
        if not weighed:
            rows.append(f"<li>{who}</li>")
            continue
        width = 100 * member["weight"] / heaviest
        rows.append(
            f'<li>{who}<span class="bar"><i style="width:{width:.1f}%"></i></span>'
            f'<span class="share">{100 * member["weight"]:.0f} %</span></li>'
        )
    caption = "How much each checkpoint counts in the ensemble in use."
    if not weighed:
        caption = "The checkpoints of the ensemble in use. It is more than a weighted mean: none has a single weight."
    if again.any():
        caption += " Of a trial with several: at which iteration."
    bars = f'<ul class="weights">{"".join(rows[:_MOST_MEMBERS])}</ul>'
    if len(rows) > _MOST_MEMBERS:
        others = f'<ul class="weights">{"".join(rows[_MOST_MEMBERS:])}</ul>'
        bars += f"<details><summary>{len(rows) - _MOST_MEMBERS} lighter ones</summary>{others}</details>"
    title = "Members and weights" if weighed else "Members"
    return f'<div class="card"><h3>{title}</h3><p class="caption">{caption}</p>{bars}</div>'


def _gain_table(snap: Snapshot) -> pd.DataFrame:
    scores = gains(snap)
    if scores is None:
        raise NothingToShow(NO_ENSEMBLE)
    if shipped_gain(scores) is None:
        raise NothingToShow("No way of blending has a gain to draw.")
    return scores


def _gain(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    metric, gain = table.attrs["metric"], shipped_gain(table)
    caption = (
        "Dot: mean over the test split. Line: 95 % interval, bootstrapped over the same examples. Diamond: in use."
    )
    if gain is None or gain.is_single:
        described = "No blend was better on validation than the best single model, so that model is in use."
    else:
        described = (
            f"The {gain.method} ensemble gains {number(gain.value, 3)} {metric_unit(metric)}"
            f", 95 % interval {number(gain.low, 3)} to {number(gain.high, 3)}."
        )
    return Drawn(gains_figure(table, metric_unit(metric), metric_name(metric)), caption, described)


def _size(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    unit = metric_unit(table.attrs["metric"])
    lines = table[~table["ships"]]
    plainest = "mean" if (lines["method"] == "mean").any() else lines["method"].iloc[0]
    line = records(lines[lines["method"] == plainest])
    found = ""
    if len(line) > 2 and line[-1]["gain"] > 0:
        second, last = line[1], line[-1]
        gained, whole, step = (
            esc(with_unit(number(value, 2, sign=True), unit)) for value in (second["gain"], last["gain"], last["added"])
        )
        found = (
            f" Of the {esc(method_name(plainest))}: {int(second['members'])} members bring {gained}, all "
            f"{int(last['members'])} bring {whole}; the last step adds {step}."
        )
    caption = (
        "The gain over the first member alone, on test. Members join in the order in which validation ranks them; "
        f"whiskers are 95 % intervals, the diamond is what is in use.{found}"
    )
    described = f"Gain against the number of members, up to {int(lines['members'].max())}.{found}"
    return Drawn(size_figure(table), caption, described)


def _cost(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    cost = COST_NAMES[table.attrs["cost"]]
    best, least = records(table.loc[[table["gain"].idxmax(), table.index[0]]])
    caption = (
        f"Each mark is a method: its gain on test against {cost}, on a logarithmic axis. "
        "No method beats those on the line in gain at the same cost. Validation chose what is in use; the line was "
        "drawn afterwards."
    )
    if best["cost"] > least["cost"]:
        times = number(best["cost"] / least["cost"], 2)
        dearest, cheapest = (esc(method_name(row["method"])) for row in (best, least))
        caption += f" The highest gain, that of {dearest}, costs {times} times as much as {cheapest}."
    described = f"Gain against {cost} for {count(len(table), 'method')}."
    return Drawn(cost_figure(table), caption, described)


def _colours(table: pd.DataFrame, snap: Snapshot) -> Drawn:
    caption = (
        "A mean of several colourings is close to the truth and pale. To the right: closer to the truth. On the "
        "dotted line: as colourful as the truth; below it paler."
    )
    ships = table[table["ships"].fillna(False).astype(bool)]
    if len(ships):
        strength = number(100 * float(ships["colourfulness"].iloc[0]), 2)
        caption += f" What is in use has {strength} % of the truth's colourfulness."
    described = f"Colourfulness against {metric_name(table.attrs['metric'])} for {count(len(table), 'method')}."
    return Drawn(colour_figure(table), caption, described)


def _alike_table(snap: Snapshot) -> pd.DataFrame:
    square = correlation(snap)
    if square is None:
        alone = "How alike members err needs two of them; here there is one."
        raise NothingToShow(NO_ENSEMBLE if snap.blend.description is None else alone)
    return square


def _alike(square: pd.DataFrame, snap: Snapshot) -> Drawn:
    caption = "Correlation of the members' errors on validation: the lower, the more two add to each other."
    described = f"Heat map of error correlations between {len(square)} members."
    return Drawn(correlation_figure(square), caption, described)


COLOURS = Chart("colour_strength", "Closeness against colour", colour_strength, _colours)
CHARTS = (
    Chart("gains", "Gain over the best single model", _gain_table, _gain),
    Chart("gain_by_size", "What each further member adds", gain_by_size, _size),
    Chart("gain_by_cost", "Gain against cost", gain_by_cost, _cost),
    COLOURS,
    Chart("error_correlation", "How alike the members err", _alike_table, _alike),
)
