"""What blending brings, by members, by cost and in colour -> small tables. All of it on the test split."""

import math

import numpy as np
import pandas as pd

from search.report.tables.ensemble import gains, shipped_gain
from search.report.tables.snapshot import NothingToShow, Snapshot

COLOUR = "colourfulness"
NO_ENSEMBLE = "No ensemble has been made from this run yet."
_COSTS = ("ms_per_example", "parameters")
_KINDS = {
    "weighted mean": "uniform mean median inverse_variance simplex simplex_log greedy bagged_greedy confidence",
    "vote": "votes majority medoid medoid_region hard_votes",
    "second level": "ridge nonnegative convolution",
    "stronger colours": "vivid",
    "one model": "best_single student soup greedy_soup soup_fresh greedy_soup_fresh",
}
_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names.split()}
OTHER = "other"
KINDS = (*_KINDS, OTHER)


def kind_of(method: object) -> str:
    """Of which kind a way to blend is: "simplex_log_flips" is a weighted mean."""
    name = str(method)
    if name.startswith(("stacked_", "blended_")):
        return "second level"
    return _KIND_OF.get(name.removesuffix("_flips").removesuffix("_swa"), OTHER)


def telling(table: pd.DataFrame) -> pd.Series:
    """Of a table of `gains`: whether a row is the best single model, ships, or is the best of its kind on validation.

    Where nothing is known of validation, the first of a kind stands for it: test chooses nothing.
    """
    validated = f"val_{table.attrs['metric']}"
    kinds = table["method"].map(kind_of)
    values = table[validated] if validated in table else pd.Series(math.nan, index=table.index)
    first = values.where(values.notna(), -math.inf).groupby(kinds).idxmax()
    chosen = table.index.isin(first) | (table["method"] == "best_single")
    return pd.Series(chosen | table["ships"].fillna(False).astype(bool), index=table.index)


def gain_by_size(snap: Snapshot) -> pd.DataFrame:
    """A row a method and a number of members: method, members, gain, gain_low, gain_high, added, ships.

    `added` is the gain over the next smaller number of members. The last row is what ships, where that is known. The
    members join in the order in which validation ranks them, and every gain is one on test, over the first alone.
    """
    scores = _scores(snap)
    sizes = snap.blend.sizes
    if sizes is None or not len(sizes) or not {"method", "members", "gain"} <= set(sizes.columns):
        raise NothingToShow("The ensemble was made before its gain was kept for each number of members. Make it again.")
    table = sizes.reindex(columns=["method", "members", "gain", "gain_low", "gain_high"])
    table = table.replace([np.inf, -np.inf], np.nan).dropna(subset=["members", "gain"])
    if table["members"].nunique() < 2:
        raise NothingToShow("What another member adds needs two of them; here there is one.")
    table = table.sort_values(["method", "members"], kind="stable", ignore_index=True)
    table["added"] = table.groupby("method")["gain"].diff()
    table["ships"] = False
    ships = shipped_gain(scores)
    if ships is not None:
        told = (ships.method, ships.members, ships.value, ships.low, ships.high, math.nan, True)
        table = pd.concat([table, pd.DataFrame([told], columns=table.columns)], ignore_index=True)
    table.attrs["metric"] = scores.attrs["metric"]
    return table


def gain_by_cost(snap: Snapshot) -> pd.DataFrame:
    """A row a method: method, members, gain, gain_low, gain_high, ships, cost, what else it costs, frontier.

    `cost` is above 0: the milliseconds of an example, or where these were not measured the number of parameters, as
    `attrs["cost"]` says. On the frontier is what no other method beats in gain at no more cost.
    """
    scores = _scores(snap)
    cost = next((name for name in _COSTS if name in scores and (scores[name] > 0).any()), None)
    if cost is None:
        raise NothingToShow("What a prediction costs was not measured for this ensemble.")
    known = scores[(scores[cost] > 0) & scores["gain"].notna()]
    if len(known) < 2:
        raise NothingToShow("Gain against cost needs two methods whose gain and cost are known.")
    named = ["method", "members", "gain", "gain_low", "gain_high", "ships"]
    others = [name for name in (*_COSTS, "memory_mib") if name in known]
    table = known[named + others].assign(cost=known[cost].astype(float))
    table = table.sort_values(["cost", "gain"], ascending=[True, False], kind="stable", ignore_index=True)
    before = table["gain"].cummax().shift(fill_value=-math.inf)
    table["frontier"] = table["gain"] > before
    table.attrs |= {"metric": scores.attrs["metric"], "cost": cost}
    return table


def colour_strength(snap: Snapshot) -> pd.DataFrame:
    """A row a method: method, value, colourfulness, ships. `value` is in `attrs["metric"]`: the metric of the gain on
    test, or the gain itself where that was not kept; `attrs["is_gain"]` tells."""
    scores = _scores(snap)
    if not measures_colour(scores):
        raise NothingToShow("How colourful predictions are was not measured for this ensemble.")
    metric = scores.attrs["metric"]
    is_gain = metric not in scores or bool(scores[metric].isna().all())
    table = scores[["method", "ships", COLOUR]].assign(value=scores["gain" if is_gain else metric])
    table = table.dropna(subset=["value", COLOUR]).reset_index(drop=True)
    if table.empty:
        raise NothingToShow("No method has both a score and a colourfulness.")
    table.attrs |= {"metric": metric, "is_gain": is_gain}
    return table


def measures_colour(scores: pd.DataFrame) -> bool:
    """Whether a table of `gains` tells how colourful predictions are."""
    return COLOUR in scores and bool(scores[COLOUR].notna().any())


def _scores(snap: Snapshot) -> pd.DataFrame:
    scores = gains(snap)
    if scores is None:
        raise NothingToShow(NO_ENSEMBLE)
    return scores
