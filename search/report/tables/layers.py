"""What trials report of each layer of their networks, as layers/MEASURE/LAYER: no workload is known here.

MEASURE is any name without `/`, such as gradient, update_ratio, dead, mean, std; weight_qNN, with NN in per cent, is a
quantile of the layer's weights. LAYER is any name whose dots lead from the network down to the layer: g.down.0.1.
"""

import re
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from search.report.tables.health import LAYERS, MOST_MEASURES, as_numbers
from search.report.tables.snapshot import NothingToShow, Snapshot
from search.report.tables.thinning import evenly

MOST_LAYERS = 40
_QUANTILE = re.compile(r"weight_q(100|\d{1,2})")


def measures(snap: Snapshot) -> list[str]:
    """The measures of layers that a run holds numbers of, in the order of the reports, less the quantiles."""
    return _measures(_told(snap))


def quantiles(snap: Snapshot) -> dict[str, int]:
    """The quantiles of layers' weights that a run holds numbers of, each with its per cent, the lowest first."""
    return _quantiles(_told(snap))


def layers(snap: Snapshot) -> pd.DataFrame:
    """measure, layer, best, median, low, high: a row a measure and a layer, by what each trial reported last.

    `best` is the best trial's; median, low and high (the middle 90 %) are of the trials that finished, or of all where
    none did. Layers stand in the order in which networks are built, which is that of the reports; of more than
    `MOST_LAYERS`, as many are chosen evenly. `attrs`: measures, those told of; measures_left_out and layers_left_out,
    how many more there are; number, of the best trial; trials, how many are behind the median; finished, whether these
    are those that finished.

    Raises `NothingToShow` where no trial reports any.
    """
    told = _told(snap)
    named = _measures(told)
    if not named:
        raise NothingToShow("No trial reported anything of its layers.")
    shown, order = named[:MOST_MEASURES], _order(told)
    ends = _ends(snap, [column for measure in shown for column in told[measure].values()])
    status = snap.trials.set_index("trial_id")["status"].reindex(ends.index)
    finished = bool((status == "finished").any())
    behind = ends[status == "finished" if finished else status.notna()]
    middle = behind.quantile(np.array([0.05, 0.5, 0.95])).T.set_axis(["low", "median", "high"], axis=1)
    numbers = middle.assign(best=ends.reindex([_best(snap)]).iloc[0]).dropna(how="all")
    parts, left_out = [], 0
    for measure in shown:
        every = sorted((layer for layer, column in told[measure].items() if column in numbers.index), key=order)
        chosen = [every[place] for place in evenly(len(every), MOST_LAYERS)]
        left_out = max(left_out, len(every) - len(chosen))
        rows = numbers.loc[[told[measure][layer] for layer in chosen]]
        parts.append(rows.assign(measure=measure, layer=chosen))
    if not any(map(len, parts)):
        raise NothingToShow("No trial reported a finite number of any of its layers.")
    table = pd.concat([part for part in parts if len(part)], ignore_index=True)
    table.attrs = {
        "measures": table["measure"].unique().tolist(),
        "measures_left_out": len(named) - len(shown),
        "layers_left_out": left_out,
        "number": None if snap.best is None else int(snap.trial(snap.best)["number"]),
        "trials": len(behind),
        "finished": finished,
    }
    return table[["measure", "layer", "best", "median", "low", "high"]]


def weights(snap: Snapshot) -> pd.DataFrame:
    """layer, and a column a quantile of its weights, the lowest first: a row a layer of the best trial's last report.

    Layers stand and are left out as in `layers`. `attrs`: quantiles, each column with its per cent;
    number, of the best trial; layers_left_out.

    Raises `NothingToShow` where fewer than two quantiles are reported, or by no trial that is the best.
    """
    told = _told(snap)
    named = _quantiles(told)
    if len(named) < 2:
        raise NothingToShow("No trial reported two quantiles or more of its layers' weights.")
    if snap.best is None:
        raise NothingToShow("No trial has a score yet: shown are the weights of the best one.")
    last = _ends(snap, [column for name in named for column in told[name].values()]).reindex([_best(snap)]).iloc[0]
    found = {name: {layer: last[column] for layer, column in told[name].items()} for name in named}
    every = sorted({layer for name in named for layer in told[name]}, key=_order(told))
    table = pd.DataFrame(found, index=every).dropna(thresh=2).rename_axis("layer").reset_index()
    if not len(table):
        raise NothingToShow("The best trial reported nothing of the weights of its layers.")
    chosen = evenly(len(table), MOST_LAYERS)
    left_out = len(table) - len(chosen)
    table = table.iloc[chosen].reset_index(drop=True)
    table.attrs = {
        "quantiles": named,
        "number": int(snap.trial(snap.best)["number"]),
        "layers_left_out": left_out,
    }
    return table


def _told(snap: Snapshot) -> dict[str, dict[str, str]]:
    """The columns that hold numbers: measure -> layer -> column, in the order of the reports."""
    told: dict[str, dict[str, str]] = {}
    for column in map(str, snap.measurements.columns):
        measure, slash, layer = column.removeprefix(LAYERS).partition("/")
        if column.startswith(LAYERS) and slash and as_numbers(snap, column).notna().any():
            told.setdefault(measure, {})[layer] = column
    return told


def _measures(told: Iterable[str]) -> list[str]:
    return [measure for measure in told if _percent(measure) is None]


def _quantiles(told: Iterable[str]) -> dict[str, int]:
    found = {measure: share for measure in told if (share := _percent(measure)) is not None}
    return dict(sorted(found.items(), key=lambda named: named[1]))


def _percent(measure: str) -> int | None:
    found = _QUANTILE.fullmatch(measure)
    return int(found[1]) if found else None


def _ends(snap: Snapshot, columns: list[str]) -> pd.DataFrame:
    """What trials reported last in each column, a row a trial by its id; infinities become gaps."""
    reports = pd.DataFrame({column: as_numbers(snap, column) for column in columns})
    by_trial = reports.groupby(snap.measurements["trial_id"])
    return by_trial.last().replace([np.inf, -np.inf], np.nan).dropna(how="all")


def _best(snap: Snapshot) -> str | None:
    return None if snap.best is None else str(snap.trial(snap.best)["trial_id"])


def _order(told: dict[str, dict[str, str]]) -> Callable[[str], list[int]]:
    """A key that sorts layers as they were reported first, those of one part of a network together.

    A trial whose network is deeper, or has norms between, adds its layers behind all that were reported before it.
    """
    first: dict[tuple[str, ...], int] = {}
    for layer in (layer for of_measure in told.values() for layer in of_measure):
        for part in _parts(layer):
            first.setdefault(part, len(first))
    return lambda layer: [first[part] for part in _parts(layer)]


def _parts(layer: str) -> list[tuple[str, ...]]:
    names = layer.split(".")
    return [tuple(names[: depth + 1]) for depth in range(len(names))]
