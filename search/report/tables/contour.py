"""The score over two parameters at once: a smooth mean on a small grid, and the trials. No figures here."""

import math
from typing import Any

import numpy as np
import pandas as pd

from search.report.tables.importance import ranked
from search.report.tables.parameters import Parameter
from search.report.tables.progress import view_range
from search.report.tables.snapshot import NothingToShow, Snapshot
from search.report.tables.space import alike, comparable
from search.report.tables.thinning import first_and_evenly

CELLS = 25  # to a side, and never more
DOTS = 300
LEAST_TRIALS = 6
_NEAR = math.exp(-(1.5**2) / 2)  # what one trial, one and a half bandwidths away, weighs


def contour_pairs(snap: Snapshot, of: int = 3) -> list[tuple[Parameter, Parameter]]:
    """The pairs of the `of` most important parameters, the most important first. Raises `NothingToShow`."""
    if len(snap.varying) == 1:
        raise NothingToShow(f"A map needs two parameters that vary; only {snap.varying[0].name} does.")
    first = ranked(snap)[:of]
    if len(first) < 2:
        raise NothingToShow("A map needs two parameters that vary among the trials that finished.")
    return [(a, b) for i, a in enumerate(first) for b in first[i + 1 :]]


def contour(snap: Snapshot, across: Parameter, upright: Parameter) -> pd.DataFrame:
    """what ("cell", "trial" or "best"), x, y, value, number, x_label, y_label: a map of the score, and trials on it.

    x and y are positions, 0 to 1. The value of a cell is the mean of the trials around it, weighted by a Gaussian
    kernel (Nadaraya, 1964; Watson, 1964) as wide as Scott's rule says (Multivariate Density Estimation, 1992); choices
    are never mixed with each other. It is NaN where no trial is near. Scores far worse than the others weigh as the
    worst that figures show. Of more than 300 trials the better half of that number is here, the others evenly by rank.

    `attrs`: "trials" the number that the map is made of, "drawn" how many are here. Raises `NothingToShow`.
    """
    comparable(snap)
    trials = alike(snap)
    found = _placed(trials, across, upright)
    if len(found) < LEAST_TRIALS:
        raise NothingToShow(f"Only {len(found)} finished trials have both {across.name} and {upright.name}.")
    drawn = _labelled(_thinned(found, snap.goal.sign), across, upright)
    best = snap.trials.loc[[snap.best]] if snap.best is not None else snap.trials.iloc[:0]
    star = _labelled(_placed(best, across, upright), across, upright).assign(what="best")
    table = pd.concat([_cells(found, across, upright, snap.goal.maximize), drawn, star], ignore_index=True)
    table.attrs = {"trials": len(found), "drawn": len(drawn)}
    return table.drop(columns=["x_value", "y_value"])


def _placed(trials: pd.DataFrame, across: Parameter, upright: Parameter) -> pd.DataFrame:
    """Trials that have both parameters, at their positions."""
    columns: dict[str, Any] = {"what": "trial", "value": trials["score"].to_numpy(float)}
    columns["number"] = trials["number"].to_numpy()
    for axis, parameter in (("x", across), ("y", upright)):
        name = "config." + parameter.name
        values = [parameter.read(cell) for cell in (trials[name] if name in trials else [None] * len(trials))]
        columns[axis] = np.array([parameter.position(value) for value in values], dtype=float)
        columns[f"{axis}_value"] = pd.Series(values, dtype=object)
    found = pd.DataFrame(columns)
    return found[np.isfinite(found["x"]) & np.isfinite(found["y"])]


def _labelled(found: pd.DataFrame, across: Parameter, upright: Parameter) -> pd.DataFrame:
    return found.assign(
        x_label=[across.label(value) for value in found["x_value"]],
        y_label=[upright.label(value) for value in found["y_value"]],
    )


def _cells(found: pd.DataFrame, across: Parameter, upright: Parameter, maximize: bool) -> pd.DataFrame:
    ends = view_range(found["value"], maximize) or (-math.inf, math.inf)
    values = found["value"].clip(*ends).to_numpy()
    x, x_weights, x_labels = _grid(across, found["x"].to_numpy())
    y, y_weights, y_labels = _grid(upright, found["y"].to_numpy())
    weight = y_weights @ x_weights.T  # (cells of y, cells of x)
    total = (y_weights * values) @ x_weights.T
    mean = np.divide(total, weight, out=np.full_like(total, np.nan), where=weight >= _NEAR)
    return pd.DataFrame(
        {
            "what": "cell",
            "x": np.tile(x, len(y)),
            "y": np.repeat(y, len(x)),
            "value": mean.ravel(),
            "number": -1,
            "x_label": x_labels * len(y),
            "y_label": [label for label in y_labels for _ in x],
        }
    )


def _grid(parameter: Parameter, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Places of the cells, what each trial weighs in them (cells, trials), and their labels."""
    if parameter.kind == "choice":
        places, counts = np.unique(at, return_counts=True)
        places = np.sort(places[np.argsort(-counts, kind="stable")[:CELLS]])
        labels = [parameter.label(parameter.choices[round(p * (len(parameter.choices) - 1))]) for p in places]
        return places, (places[:, None] == at[None, :]).astype(float), labels
    places = np.linspace(0, 1, CELLS)
    width = float(np.clip(at.std() * len(at) ** (-1 / 6), 0.05, 0.2))
    weights = np.exp(-0.5 * ((places[:, None] - at[None, :]) / width) ** 2)
    return places, weights, [parameter.label(_value(parameter, place)) for place in places]


def _value(parameter: Parameter, place: float) -> float:
    low, high = parameter.low, parameter.high
    if parameter.kind == "log":
        return float(math.exp(math.log(low) + place * (math.log(high) - math.log(low))))
    return low + place * (high - low)


def _thinned(found: pd.DataFrame, sign: int) -> pd.DataFrame:
    """Poorest first, so that the best is drawn on top."""
    ranks = (found["value"] * -sign).argsort(kind="stable").to_numpy()
    return found.iloc[ranks[first_and_evenly(len(found), DOTS, DOTS // 2)][::-1]]
