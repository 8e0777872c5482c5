"""The sections that an ensemble fills: pictures and scores."""

from collections.abc import Sequence

import pandas as pd

from search.report import ensemble_figures, ensemble_tables
from search.report.markup import Figures, data_uri, esc, note, section, table, trial_link
from search.report.tables import RunReader, Snapshot, records
from search.report.wording import (
    DASH,
    capital,
    decimals,
    fixed,
    method_name,
    metric_name,
    metric_unit,
    number,
    with_unit,
)

_ASIDE = {"ambiguity", "memory_mib", "parameters"}  # columns of the table of scores that are not shown
KIND_NAMES = {"line": "line", "best_single": "best single", "ensemble": "ensemble", "truth": "truth"}


def pictures(results: RunReader, command: str) -> str:
    """Rows of pictures: line, best single, ensemble, truth."""
    shown = ensemble_tables.examples(results)
    if not shown:
        text = f"There are no pictures yet. <code>{esc(command)}</code> draws them with the ensemble it makes."
        return section("pictures", "Pictures", [note(text)])
    kinds = [k for k in KIND_NAMES if any(k in e.images for e in shown)]
    kinds += sorted({k for e in shown for k in e.images} - set(kinds))
    gains = ensemble_tables.gains(results)
    metric = gains.attrs["metric"] if gains is not None else ""
    cards = "".join(_example(example, kinds, metric) for example in shown)
    text = (
        "Examples of the test split, which no model was trained on, chosen evenly"
        + (", and those where the ensemble does worst." if any(e.worst for e in shown) else ".")
        + (f" The number under a picture is its {esc(metric_name(metric))}." if metric else "")
    )
    return section("pictures", "Pictures", [f'<p class="intro">{text}</p><div class="examples">{cards}</div>'])


def ensemble(snap: Snapshot, results: RunReader, sheet: Figures, command: str) -> str:
    """What blending the best checkpoints gained, and how alike they err."""
    scores = ensemble_tables.gains(results)
    if scores is None:
        makes = f"<code>{esc(command)}</code> makes one from its best checkpoints."
        text = f"No ensemble has been made from this run yet. {makes}"
        return section("ensemble", "Ensemble", [note(text)])
    parts = [_score_table(scores)]
    metric = scores.attrs["metric"]
    gain = ensemble_tables.shipped_gain(scores)
    if gain is None:
        parts.append(note("No way of blending has a gain to draw."))
    else:
        text = (
            "Dot: mean over the test split. Line: 95 % interval, bootstrapped over the same examples. Diamond: in use."
        )
        described = (
            "No blend was better than the best single model on validation, so that model is in use."
            if gain.is_single
            else f"The {gain.method} ensemble gains {number(gain.value, 3)} {metric_unit(metric)}"
            f", 95 % interval {number(gain.low, 3)} to {number(gain.high, 3)}."
        )
        figure = ensemble_figures.gains_figure(scores, metric_unit(metric), metric_name(metric))
        parts.append(sheet.place(figure, "Gain over the best single model", text, described))
    parts.append(f'<div class="halves">{_members(results, snap)}{_correlation(results, snap, sheet)}</div>')
    return section("ensemble", "Ensemble", parts)


def _example(example: ensemble_tables.Example, kinds: Sequence[str], metric: str) -> str:
    cells = []
    for kind in kinds:
        uri = data_uri(example.images.get(kind, b""))
        name = KIND_NAMES.get(kind, kind)
        image = (
            f'<img src="{uri}" alt="{esc(example.name)}: {esc(name)}" decoding="async">'
            if uri
            else '<span class="missing">no picture</span>'
        )
        score = example.scores.get(kind)
        told = (
            f'<span class="score">{with_unit(number(score, 3), metric_unit(metric))}</span>'
            if score is not None
            else ""
        )
        cells.append(f"<li>{image}<span>{esc(name)}</span>{told}</li>")
    badge = ' <span class="badge">among the worst</span>' if example.worst else ""
    css = " worst" if example.worst else ""
    return (
        f'<article class="example{css}"><h3>{esc(example.name)}{badge}</h3>'
        f'<ul style="--kinds:{len(kinds)}">{"".join(cells)}</ul></article>'
    )


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


def _members(results: RunReader, snap: Snapshot) -> str:
    members = ensemble_tables.members(results, snap)
    if members is None:
        return ""
    weighed = bool(members["weight"].notna().all())
    heaviest = max(float(members["weight"].max()), 1e-9) if weighed else 1.0
    rows = []
    for member in records(members):
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


def _correlation(results: RunReader, snap: Snapshot, sheet: Figures) -> str:
    square = ensemble_tables.correlation(results, snap)
    if square is None:
        return ""
    caption = "Correlation of the members' errors on validation: the lower, the more two add to each other."
    described = f"Heat map of error correlations between {len(square)} members."
    return sheet.place(ensemble_figures.correlation_figure(square), "How alike the members err", caption, described)
