"""The section on the ensemble: scores, members, how alike they err."""

import pandas as pd

from search.report.chart import Chart, Drawn
from search.report.figures.ensemble import correlation_figure, gains_figure
from search.report.markup import Sheet, esc, note, section, table, trial_link
from search.report.tables.ensemble import correlation, gains, members, shipped_gain
from search.report.tables.snapshot import NothingToShow, Snapshot, records
from search.report.wording import DASH, capital, decimals, fixed, method_name, metric_name, metric_unit, number

_ASIDE = {"ambiguity", "memory_mib", "parameters"}  # columns of the table of scores that are not shown


def ensemble(snap: Snapshot, sheet: Sheet, command: str) -> str:
    """What blending the best checkpoints gained, and how alike they err."""
    scores = gains(snap)
    if scores is None:
        makes = f"<code>{esc(command)}</code> makes one from its best checkpoints."
        text = f"No ensemble has been made from this run yet. {makes}"
        return section("ensemble", "Ensemble", [note(text)])
    gain, alike = (sheet.place(chart, snap) for chart in CHARTS)
    halves = f'<div class="halves">{_members(snap)}{alike}</div>'
    return section("ensemble", "Ensemble", [_score_table(scores), gain, halves])


def _score_table(scores: pd.DataFrame) -> str:
    metric = scores.attrs["metric"]
    measures = [c for c in scores.columns[6:] if not c.startswith("val_") and c not in _ASIDE]
    unit = metric_unit(metric)
    named = [esc(capital(metric_name(str(c)))) for c in measures]
    head = ["Method", "Members", f"Gain{f', {unit}' if unit else ''}", "95 % interval", *named]
    places = {c: decimals(scores[c]) for c in measures}
    gain_places = decimals(pd.concat([scores["gain"], scores["gain_low"], scores["gain_high"]]))
    rows, marked = [], None
    for index, row in enumerate(records(scores)):
        use = ""
        if bool(row["ships"]):
            marked, use = index, ' <span class="badge">in use</span>'
        gain, low, high = (fixed(row[c], gain_places, sign=True) for c in ("gain", "gain_low", "gain_high"))
        told = [DASH, DASH] if row["method"] == "best_single" else [gain, f"{low} to {high}"]
        cells = [fixed(row[c], places[c]) for c in measures]
        rows.append(
            [
                f"{esc(capital(method_name(row['method'])))}{use}",
                f"{int(row['members'])}",
                *told,
                *cells,
            ]
        )
    text = "On the test split, which no model was trained or chosen on."
    colourful = (
        " Colourfulness is the ratio to the truth: 1 is as colourful as that." if "colourfulness" in measures else ""
    )
    body = table(head, rows, marked, "Scores of the ensemble")
    return f'<div class="card"><h3>Scores</h3><p class="caption">{text}{colourful}</p>{body}</div>'


def _members(snap: Snapshot) -> str:
    found = members(snap)
    if found is None:
        return ""
    weighed = bool(found["weight"].notna().all())
    heaviest = max(float(found["weight"].max()), 1e-9) if weighed else 1.0
    rows = []
    for member in records(found):
        of_run = member["number"] is not None and member["number"] == member["number"]
        name = trial_link(int(member["number"])) if of_run else esc(member["name"])
        if not weighed:
            rows.append(f'<li><span class="who">{name}</span></li>')
            continue
        width = 100 * member["weight"] / heaviest
        rows.append(
            f'<li><span class="who">{name}</span><span class="bar"><i style="width:{width:.1f}%"></i></span>'
            f'<span class="share">{100 * member["weight"]:.0f} %</span></li>'
        )
    caption = "How much each checkpoint counts in the ensemble in use."
    if not weighed:
        caption = "The checkpoints of the ensemble in use. It is more than a weighted mean: none has a single weight."
    bars = f'<ul class="weights">{"".join(rows)}</ul>'
    title = "Members and weights" if weighed else "Members"
    return f'<div class="card"><h3>{title}</h3><p class="caption">{caption}</p>{bars}</div>'


def _gain_table(snap: Snapshot) -> pd.DataFrame:
    scores = gains(snap)
    if scores is None:
        raise NothingToShow("No ensemble has been made from this run yet.")
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


def _alike_table(snap: Snapshot) -> pd.DataFrame:
    square = correlation(snap)
    if square is None:
        raise NothingToShow("How alike members err needs two of them; here there is one.")
    return square


def _alike(square: pd.DataFrame, snap: Snapshot) -> Drawn:
    caption = "Correlation of the members' errors on validation: the lower, the more two add to each other."
    described = f"Heat map of error correlations between {len(square)} members."
    return Drawn(correlation_figure(square), caption, described)


CHARTS = (
    Chart("gains", "Gain over the best single model", _gain_table, _gain),
    Chart("error_correlation", "How alike the members err", _alike_table, _alike),
)
