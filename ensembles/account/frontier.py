"""Which rows of a table are worth their cost."""

from __future__ import annotations

import numpy as np
import pandas as pd


def frontier(table: pd.DataFrame, gain: str, cost: str) -> pd.Series[bool]:
    """Whether no other row has at least the gain at no more cost, and more gain or less cost: the Pareto frontier.

    `gain` (higher is better) and `cost` (lower is better) are columns of numbers; the result has the index of
    `table`. Rows that tie in both are on it together. A row with NaN or None in either never is, and rules no
    other out.

    Raises:
        ValueError: the table lacks a column, or one holds something else than numbers.
    """
    missing = [name for name in (gain, cost) if name not in table]
    if missing:
        raise ValueError(f"Expected columns {gain!r} and {cost!r}, found no {missing} among {list(table.columns)}.")
    gains, costs = (table[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in (gain, cost))
    on = np.zeros(len(table), dtype=bool)
    known = np.flatnonzero(~np.isnan(gains) & ~np.isnan(costs))
    best, at = -np.inf, np.nan  # the highest gain so far, and the lowest cost that it was had for
    for row in known[np.lexsort((-gains[known], costs[known]))]:  # cheapest first, of equal cost the best first
        if np.isnan(at) or gains[row] > best:
            best, at = gains[row], costs[row]
        on[row] = gains[row] == best and costs[row] == at
    return pd.Series(on, index=table.index, dtype=bool)
