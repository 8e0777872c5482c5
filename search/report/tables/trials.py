"""The table of trials as data for the page's script: what each row shows, and what it opens."""

import math
from typing import Any

import pandas as pd

from search.report.tables.failures import reason
from search.report.tables.parameters import config_of
from search.report.tables.snapshot import Snapshot, records
from search.report.wording import duration, label, literal, number

MOST_COLUMNS = 8


LONGEST_ERROR = 3000


def trial_table(snap: Snapshot) -> dict[str, Any]:
    """columns: [{label, kind}]; rows: [{n, status, best, cells: [[sort key, text]], config: {name: Python}, facts,
    error}].

    A sort key is a number, a string, or None (always last). Only the first parameters that vary are columns; the
    configuration that a row opens has all of them.
    """
    unit = f" ({snap.goal.unit})" if snap.goal.unit else ""
    shown = snap.varying[:MOST_COLUMNS]
    columns = [
        {"label": "Trial", "kind": "number"},
        {"label": "Status", "kind": "text"},
        {"label": snap.goal.name + unit, "kind": "number"},
        {"label": "Iterations", "kind": "number"},
        {"label": "Time", "kind": "number"},
        *({"label": p.name, "kind": "text" if p.kind == "choice" else "number"} for p in shown),
    ]
    rows = []
    for index, row in zip(snap.trials.index, records(snap.trials), strict=True):
        config = config_of(snap.parameters, row)
        error = row["error"] or ""
        cells: list[list[Any]] = [
            [row["number"], str(row["number"])],
            [row["status"], row["status"]],
            _cell(row["score"], number(row["score"])),
            _cell(row["iterations"], f"{row['iterations']:,}"),
            _cell(row["seconds"], duration(row["seconds"])),
        ]
        for parameter in shown:
            value = config.get(parameter.name)
            missing = parameter.name not in config
            key = None if missing else label(value) if parameter.kind == "choice" else _finite(value)
            cells.append([key, "" if missing else label(value)])
        rows.append(
            {
                "n": row["number"],
                "status": row["status"],
                "best": index == snap.best,
                "cells": cells,
                "config": {name: literal(value) for name, value in config.items()},
                "facts": _facts(row),
                "why": reason(error) if error else "",
                "error": error if len(error) <= LONGEST_ERROR else "…" + error[-LONGEST_ERROR:],
            }
        )
    return {"columns": columns, "rows": rows}


def _facts(row: dict[str, Any]) -> list[list[str]]:
    told = {
        "Trial id": row["trial_id"],
        "Stage": row["stage"],
        "Cell": row["cell"],
        "Suggested as": row["reason"],
        "Stopped by": row["ended_by"],
        "Suggested by": row["suggested_by"],
        "Node": row["node"],
        "Checkpoint": row["checkpoint"],
        "Best at iteration": row.get("metric.best_iteration"),
    }
    return [[name, label(value, 90)] for name, value in told.items() if not _gap(value)]


def _gap(value: Any) -> bool:
    return value is None or value == "" or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def _cell(value: Any, text: str) -> list[Any]:
    return [_finite(value), text]


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
