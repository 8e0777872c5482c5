"""The table of scores of an ensemble: what ships, the best single model, the best of each kind; then every method."""

import pandas as pd

from search.report.markup import esc, table
from search.report.tables.blends import COLOUR, KINDS, kind_of, telling
from search.report.tables.ensemble import BASELINE
from search.report.tables.snapshot import records
from search.report.wording import DASH, capital, decimals, fixed, method_name, metric_name, metric_unit

_ASIDE = {"ambiguity", "memory_mib", "parameters", "frontier"}  # columns of the table of scores that are not shown
_FEW = 8  # methods that all have room


def score_card(scores: pd.DataFrame, beside: pd.DataFrame | None = None) -> str:
    """A card with the scores on test and the validation scores that chose: `gains` as a table that stays readable.

    Args:
        scores: the ways to blend, as of `gains`.
        beside: trivial predictors to compare them with, as of `baselines`.
    """
    shown = scores
    rest = ""
    if len(scores) > _FEW:
        shown = scores[telling(scores)]
        by_kind = scores.assign(_kind=[KINDS.index(kind_of(method)) for method in scores["method"]])
        ordered = scores.loc[by_kind.sort_values(["_kind", "gain"], ascending=[True, False], kind="stable").index]
        rest = (
            f"<details><summary>All {len(scores)} methods</summary>"
            f"{_table(ordered, 'Scores of every way to blend')}</details>"
        )
    caption = _caption(scores, bool(rest))
    if beside is not None and len(beside):
        shown = pd.concat([shown, beside.dropna(axis=1, how="all")], ignore_index=True)
        shown.attrs = scores.attrs
        caption += " The baselines are what costs no training: no model is worth much that is near them."
    body = _table(shown, "Scores of the ensemble")
    return f'<div class="card"><h3>Scores</h3><p class="caption">{caption.strip()}</p>{body}{rest}</div>'


def _caption(scores: pd.DataFrame, folded: bool) -> str:
    metric = scores.attrs["metric"]
    text = "Validation chose what is in use"
    if f"val_{metric}" in scores:
        text += ", by its first column of scores, on examples that a method was not fitted to"
    text += ". All else is of the test split, which no model was trained or chosen on. "
    if folded:
        text += "Shown are what is in use, the best single model, and of each kind the best on validation. "
    if COLOUR in scores:
        text += "Colourfulness is the ratio to the truth: 1 is as colourful as that."
    return text.strip()


def _table(scores: pd.DataFrame, label: str) -> str:
    metric = scores.attrs["metric"]
    aside = _ASIDE | ({"mse"} if metric == "psnr" else set())  # the same on another scale
    measured = [c for c in scores.columns[6:] if not str(c).startswith("val_") and c not in aside]
    measures = [*(c for c in measured if c == metric), *(c for c in measured if c != metric)]
    chosen_by = [c for c in (f"val_{metric}",) if c in scores]
    unit = metric_unit(metric)
    head = [
        "Method",
        "Members",
        *(f"{esc(capital(metric_name(metric)))} on validation" for _ in chosen_by),
        f"Gain{f', {unit}' if unit else ''}",
        "95 % interval",
        *(_heading(str(c)) for c in measures),
    ]
    places = {c: decimals(scores[c]) for c in [*chosen_by, *measures]}
    gain_places = decimals(pd.concat([scores["gain"], scores["gain_low"], scores["gain_high"]]))
    rows, marked = [], None
    for index, row in enumerate(records(scores)):
        use = ""
        if bool(row["ships"]):
            marked, use = index, ' <span class="badge">in use</span>'
        value, low, high = (fixed(row[c], gain_places, sign=True) for c in ("gain", "gain_low", "gain_high"))
        told = [DASH, DASH] if row["method"] == "best_single" else [value, f"{low} to {high}"]
        name, trivial = str(row["method"]).removeprefix(BASELINE), str(row["method"]).startswith(BASELINE)
        kind = "baseline" if trivial else kind_of(name)
        rows.append(
            [
                f'{esc(capital(method_name(name)))}{use}<span class="kind">{kind}</span>',
                DASH if trivial else f"{int(row['members'])}",
                *(fixed(row[c], places[c]) for c in chosen_by),
                *told,
                *(fixed(row[c], places[c]) for c in measures),
            ]
        )
    return table(head, rows, marked, label)


def _heading(measure: str) -> str:
    name = metric_name(measure)
    return esc(name if name.startswith("ms ") else capital(name))
