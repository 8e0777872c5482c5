"""An ensemble's files -> the small tables behind its figures, scores and pictures. No Plotly here."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from search.report.tables.snapshot import Snapshot, records
from search.report.wording import native

BASELINE = "baseline: "  # what the names of trivial predictors begin with in the table of scores


@dataclass(frozen=True)
class Gain:
    """How much better an ensemble is than the best single model, with its 95 % interval."""

    method: str
    metric: str
    value: float
    low: float
    high: float
    members: int

    @property
    def is_single(self) -> bool:
        """Whether no blend was better on validation, so that the best single model is the ensemble."""
        return self.method == "best_single"


@dataclass(frozen=True)
class Example:
    """One row of pictures: image bytes by kind, scores by kind, and whether it was chosen because it is among the
    worst."""

    name: str
    worst: bool
    images: dict[str, bytes]
    scores: dict[str, float]


def gains(snap: Snapshot) -> pd.DataFrame | None:
    """The table of ensemble scores: method, members, ships, gain, gain_low, gain_high, then its other measures.

    `attrs["metric"]` names what the gain is in. Baselines are no way to blend, and not among them. None without an
    ensemble.
    """
    scores = _scores(snap)
    return None if scores is None else _without(scores, _is_baseline(scores))


def baselines(snap: Snapshot) -> pd.DataFrame | None:
    """The trivial predictors that were scored beside an ensemble: the columns of `gains`, without rows where it has
    none."""
    scores = _scores(snap)
    return None if scores is None else _without(scores, ~_is_baseline(scores))


def _is_baseline(scores: pd.DataFrame) -> pd.Series:
    return scores["method"].astype(str).str.startswith(BASELINE)


def _without(scores: pd.DataFrame, left_out: pd.Series) -> pd.DataFrame:
    return scores[~left_out].reset_index(drop=True)


def _scores(snap: Snapshot) -> pd.DataFrame | None:
    scores = snap.blend.scores
    if scores is None or not len(scores):
        return None
    named = [str(c) for c in scores.columns if str(c).startswith("gain_")]
    metric = next((c.removeprefix("gain_") for c in named if c not in ("gain_low", "gain_high")), "")
    table = scores.rename(columns={f"gain_{metric}": "gain"}).reset_index(drop=True)
    for column, missing in {
        "members": 1,
        "ships": False,
        "gain": math.nan,
        "gain_low": math.nan,
        "gain_high": math.nan,
    }.items():
        if column not in table:
            table[column] = missing
    first = ["method", "members", "ships", "gain", "gain_low", "gain_high"]
    measures = [c for c in table.columns if c not in first and pd.api.types.is_numeric_dtype(table[c])]
    table = table[first + measures].replace([np.inf, -np.inf], np.nan)
    table.attrs["metric"] = metric
    return table


def shipped_gain(table: pd.DataFrame | None) -> Gain | None:
    """The gain of the method that is in use, which validation chose; None where no row says that it is."""
    if table is None:
        return None
    ships = table[table["ships"].fillna(False).astype(bool) & table["gain"].notna()]
    if not len(ships):
        return None
    row = records(ships.head(1))[0]
    value, low, high = (float(row[column]) for column in ("gain", "gain_low", "gain_high"))
    return Gain(str(row["method"]), table.attrs["metric"], value, low, high, int(row["members"]))


def single_on_test(table: pd.DataFrame | None, metric: str) -> float | None:
    """What the best single model reaches on the test split in the metric of the search, where that was measured."""
    if table is None or metric not in table:
        return None
    values = table.loc[table["method"] == "best_single", metric].dropna()
    return float(values.iloc[0]) if len(values) else None


def members(snap: Snapshot) -> pd.DataFrame | None:
    """number (None where the trial is not of this run), weight, iteration, name: heaviest first.

    The weight is NaN where the rule that combines them is more than a weighted mean.
    """
    ensemble = snap.blend.description
    if not ensemble or not ensemble.get("members"):
        return None
    numbers = dict(zip(snap.trials["trial_id"], snap.trials["number"], strict=True))
    settings = (ensemble.get("rule") or {}).get("settings") or {}
    weights = settings.get("weights") or []
    if len(weights) != len(ensemble["members"]):
        weights = [math.nan] * len(ensemble["members"])
    rows = [
        {
            "number": numbers.get(member.get("trial_id")),
            "weight": float(weights[index]),
            "iteration": member.get("iteration"),
            "name": str(member.get("source") or member.get("folder") or index),
        }
        for index, member in enumerate(ensemble["members"])
    ]
    return pd.DataFrame(rows).sort_values("weight", ascending=False, kind="stable", ignore_index=True)


def correlation(snap: Snapshot) -> pd.DataFrame | None:
    """Correlations of the members' errors, (k, k), rows and columns named by trial. None without two members."""
    pairs = snap.blend.correlation
    if pairs is None or not len(pairs):
        return None
    order = list(dict.fromkeys([*pairs["member_a"], *pairs["member_b"]]))
    if len(order) < 2:
        return None
    square = pairs.pivot_table(index="member_a", columns="member_b", values="correlation").reindex(order, columns=order)
    square = square.where(square.notna(), square.T)
    values = square.to_numpy(float, copy=True)
    np.fill_diagonal(values, 1.0)
    names = _member_names(order, snap.blend.description or {}, snap)
    return pd.DataFrame(values, index=names, columns=names)


def examples(snap: Snapshot, most: int = 24) -> list[Example]:
    """The rows of pictures: the evenly chosen first, then the worst."""
    pictures = snap.blend.pictures
    if pictures is None or not len(pictures):
        return []
    found = []
    for (name, reason), rows in pictures.groupby(["example", "reason"], sort=False, dropna=False):
        images = {str(r["kind"]): image_bytes(r["image"]) for r in records(rows)}
        scores = {str(r["kind"]): float(r["score"]) for r in records(rows) if _finite(r.get("score"))}
        found.append(Example(str(name), reason == "worst", images, scores))
    return sorted(found, key=lambda example: example.worst)[:most]


def _member_names(order: list[Any], ensemble: dict[str, Any], snap: Snapshot) -> list[str]:
    numbers = dict(zip(snap.trials["trial_id"], snap.trials["number"], strict=True))
    known: dict[str, str] = {str(trial): f"Trial {number}" for trial, number in numbers.items()}
    for index, member in enumerate(ensemble.get("members") or []):
        number = numbers.get(member.get("trial_id"))
        for key in (index, member.get("folder"), member.get("source")):
            if number is not None and key is not None:
                known.setdefault(str(key), f"Trial {number}")
    names = [known.get(str(native(member)), str(member)) for member in order]
    return [name if names.count(name) == 1 else f"{name} ({names[:i].count(name) + 1})" for i, name in enumerate(names)]


def image_bytes(cell: Any) -> bytes:
    """A picture of a Parquet file, empty where there is none."""
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    return data if isinstance(data, bytes) else b""


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
