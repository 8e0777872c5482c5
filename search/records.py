"""Rows of Python values as Arrow tables, whatever mixture a trial reports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from search.params import as_data

Row = Mapping[str, Any]


def table_of(rows: Sequence[Row]) -> pa.Table:
    """One column for every name in any row; a row without the name has null there."""
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: column([row.get(name) for row in rows]) for name in names})


def column(values: Sequence[Any]) -> pa.Array:
    """The values as one Arrow type: numbers as numbers; a mixture of kinds as texts, JSON for what is none."""
    plain = [v.item() if isinstance(v, np.generic) else v for v in values]
    kinds = {type(v) for v in plain if v is not None}
    if kinds == {int, float}:
        plain = [None if v is None else float(v) for v in plain]
    elif len(kinds) > 1 or kinds & {list, tuple, dict}:
        plain = [v if v is None or isinstance(v, str) else json.dumps(as_data(v)) for v in plain]
    try:
        # NaN stays NaN: a metric that was not a number is not the same as one that was not reported.
        return pa.array(plain, from_pandas=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([None if v is None else str(v) for v in plain])


def concatenate(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of all tables; a column that is a number here and a text there becomes text."""
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return table_of([row for table in tables for row in table.to_pylist()])


def scalars(result: Row, without: frozenset[str]) -> dict[str, Any]:
    """The numbers, truth values and texts of a flat report, less the names in `without`."""
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in result.items()
        if name not in without
        and not name.startswith("config/")
        and isinstance(value, int | float | str | np.number | np.bool_)
    }
