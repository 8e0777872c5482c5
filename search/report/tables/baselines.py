"""What trivial models score in the metric of a search, which trials report beside it as `baseline/NAME/METRIC`."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

_PREFIX = "baseline/"
_NEAR = 0.5  # of a chart's height: what lies within so much beyond its ends is worth making room for

Ends = tuple[float, float]


def without_baselines(measured: pd.DataFrame) -> pd.DataFrame:
    """The reports with what trials tell of their own training alone."""
    return measured[[name for name in measured.columns if not str(name).startswith(_PREFIX)]]


def baselines_of(measured: pd.DataFrame, metric: str, trial_id: str | None) -> dict[str, float]:
    """What each baseline scores in a metric, by name.

    Args:
        measured: all reports.
        metric: of the search.
        trial_id: the trial that is compared with them: what it has reported counts, else what any other has.
    """
    found = {}
    for column in (str(name) for name in measured.columns):
        name = column.removeprefix(_PREFIX).removesuffix(f"/{metric}")
        if column != f"{_PREFIX}{name}/{metric}":
            continue
        values = pd.to_numeric(measured[column], errors="coerce").astype(float)
        values = values[np.isfinite(values)]
        own = values[measured.loc[values.index, "trial_id"] == trial_id]
        if len(values):
            found[name] = float((own if len(own) else values).iloc[-1])
    return found


def in_view(baselines: Mapping[str, float], ends: Ends) -> tuple[dict[str, float], Ends]:
    """The baselines that a chart with these ends has room for, and ends that hold them with the rest."""
    low, high = ends
    room = _NEAR * (high - low)
    shown = {name: value for name, value in baselines.items() if low - room <= value <= high + room}
    # At the very edge of a chart there is no room for a name, and a line would be taken for the frame.
    pad = 0.07 * (high - low)
    lowest, highest = (end(shown.values(), default=0.5 * (low + high)) for end in (min, max))
    return shown, (min(low, lowest - pad), max(high, highest + pad))


def shared_baselines(runs: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The baselines of several runs on which all that have them agree."""
    values: dict[str, list[float]] = {}
    for of_run in runs:
        for name, value in of_run.items():
            values.setdefault(name, []).append(value)
    return {name: told[0] for name, told in values.items() if np.allclose(told, told[0], rtol=1e-6, atol=0.0)}
