"""The table of trials as data for the page's script: by column, because ten thousand rows of named cells are most of
a page."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from search.report.tables.failures import reason
from search.report.tables.parameters import PREFIX, Parameter
from search.report.tables.progress import by_rank, reported, thinned
from search.report.tables.snapshot import Snapshot
from search.report.wording import decimals, label, literal, native

MOST_COLUMNS = 8
MOST_VALUES = 400_000  # of configurations
MOST_POINTS = 120_000  # of all curves together, about 1.3 MB
POINTS = 24  # of one curve
MOST_ERRORS = 200  # told whole; of the others the line that says why
LONGEST_ERROR = 3000
EXACT = 2**53  # the script's numbers are floats

FACTS = {
    "Trial id": "trial_id",
    "Stage": "stage",
    "Cell": "cell",
    "Suggested as": "reason",
    "Stopped by": "ended_by",
    "Suggested by": "suggested_by",
    "Node": "node",
    "Best at iteration": "metric.best_iteration",
}


def trial_table(snap: Snapshot) -> dict[str, Any]:
    """The trials by column, in order of number; `best` is the place of the winner, `shown` how many parameters have
    a column.

    A column is an array, null where a trial has no value; {"all": value}; {"of": values, "at": places among them, -1
    for none}; or {"some": {place of the trial: value}}. A number among the parameters is an array of them; any other
    parameter has [Python, label] for a value.
    """
    trials = snap.trials
    shown = [p.name for p in snap.varying[:MOST_COLUMNS]]
    most = max(MOST_COLUMNS, MOST_VALUES // max(1, len(trials)))
    # Those with a column first, so that a configuration too large to be here whole has at least these.
    known = [p for p in snap.parameters if PREFIX + p.name in trials]
    ordered = sorted(known, key=lambda p: p.name not in shown)
    curves, cut = trial_curves(snap)
    failed = trials["error"].notna()
    whole = failed & (failed.cumsum() <= MOST_ERRORS)
    return {
        "metric": snap.goal.name,
        "unit": snap.goal.unit,
        "best": snap.best,
        "number": trials["number"].tolist(),
        "status": packed(trials["status"]),
        "score": _rounded(trials["score"]),
        "places": decimals(trials["score"]),
        "iterations": trials["iterations"].tolist(),
        "seconds": _rounded(trials["seconds"]),
        "parameters": [_parameter(p, trials[PREFIX + p.name]) for p in ordered[:most]],
        "shown": sum(p.name in shown for p in known),
        "left": max(0, len(ordered) - most),
        "facts": {name: packed(trials[column]) for name, column in FACTS.items() if column in trials},
        "checkpoint": packed(trials["checkpoint"]),
        "why": packed(trials["error"].map(reason, na_action="ignore")),
        "error": packed(trials["error"].where(whole).map(_shortened, na_action="ignore")),
        "log": packed(trials["number"].map(dict(snap.logs))),
        "curves": curves,
        "cut": cut,
    }


def trial_curves(snap: Snapshot, most: int = MOST_POINTS, points: int = POINTS) -> tuple[dict[str, Any], bool]:
    """Curves of the search's metric by place of the trial: [iterations, values], thinned; and whether any had to be
    left out.

    The best 500 trials come first, then those that failed, then the others by rank, until there are `most` points.
    """
    curves = thinned(reported(snap), points)
    if not len(curves):
        return {}, False
    ranked = by_rank(snap, curves["row"].unique())
    lost = snap.trials.loc[ranked, "status"].to_numpy() == "failed"
    order = np.argsort(np.where(np.arange(len(ranked)) < 500, 0, np.where(lost, 1, 2)), kind="stable")
    sizes = curves.groupby("row").size()
    kept = ranked[order][sizes.loc[ranked[order]].cumsum() <= most]
    curves = curves[np.isin(curves["row"], kept)]
    rows, starts = np.unique(curves["row"].to_numpy(), return_index=True)
    values, iterations = curves["value"].to_numpy(float), curves["iteration"].to_numpy()
    # A curve a few hundred pixels high needs three digits of its own range.
    spread = np.maximum.reduceat(values, starts) - np.minimum.reduceat(values, starts)
    size = np.where(spread > 0, spread, np.maximum(np.abs(values[starts]), 1e-300))
    digits = np.clip(3 - np.floor(np.log10(size)), 0, 15).astype(int)
    ends = [*starts[1:], len(values)]
    found = {
        str(row): [iterations[a:b].tolist(), [round(v, d) for v in values[a:b].tolist()]]
        for row, a, b, d in zip(rows, starts, ends, digits.tolist(), strict=True)
    }
    return found, len(kept) < len(ranked)


def packed(values: Iterable[Any]) -> Any:
    """A column as small as it can be written: see `trial_table`."""
    cells = [None if _gap(value) else native(value) for value in values]
    places: dict[Any, int] = {}
    at = [-1 if cell is None else places.setdefault(cell, len(places)) for cell in cells]
    present = len(at) - at.count(-1)
    if len(places) == 1 and present == len(at):
        return {"all": cells[0]}
    if 4 * present < len(at):
        return {"some": {str(i): cell for i, cell in enumerate(cells) if cell is not None}}
    return {"of": list(places), "at": at} if 4 * len(places) < present else cells


def _parameter(parameter: Parameter, column: pd.Series) -> dict[str, Any]:
    """name, kind ("int", "float" or "text"), values. A text is written once, as Python and as its label."""
    values = [parameter.read(cell) for cell in column]
    if parameter.kind != "choice" and all(_exact(value) for value in values):
        return {"name": parameter.name, "kind": "int" if parameter.integer else "float", "values": values}
    texts = [literal(value) if parameter.has(value) else None for value in values]
    told = {text: [text, label(value)] for text, value in zip(texts, values, strict=True) if text is not None}
    return {"name": parameter.name, "kind": "text", "values": _pairs(packed(texts), told)}


def _pairs(column: Any, told: Mapping[str, list[str]]) -> Any:
    """The column, for each text what is told of it."""
    if isinstance(column, list):
        return [told.get(text) for text in column]
    if "all" in column:
        return {"all": told[column["all"]]}
    if "some" in column:
        return {"some": {at: told[text] for at, text in column["some"].items()}}
    return {**column, "of": [told[text] for text in column["of"]]}


def _exact(value: Any) -> bool:
    """Whether a script reads the same number, or no value at all."""
    if value is None:
        return True
    return isinstance(value, int | float) and math.isfinite(value) and (isinstance(value, float) or abs(value) <= EXACT)


def _rounded(values: pd.Series) -> list[float | None]:
    return [float(f"{value:.8g}") if math.isfinite(value) else None for value in values.astype(float)]


def _shortened(error: str) -> str:
    return error if len(error) <= LONGEST_ERROR else "…" + error[-LONGEST_ERROR:]


def _gap(value: Any) -> bool:
    return value is None or value == "" or value is pd.NaT or (isinstance(value, float) and math.isnan(value))
