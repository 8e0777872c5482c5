"""The table of everything on the test split, and the smaller tables beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ensembles.account.choice import Choice
from ensembles.account.costs import Cost
from ensembles.account.evaluate import ambiguity, bootstrap_gain, error_correlation
from ensembles.account.frontier import frontier
from ensembles.account.passes import Entry, TestScores
from ensembles.combining.combiner import Weighted
from ensembles.combining.gram import Floats
from ensembles.predictor import Array, Predictor

BASELINE = "baseline: "
"""What the names of trivial predictors begin with, in place of the name of a method."""


def score_table(
    entries: Sequence[Entry],
    test: TestScores,
    validated: Mapping[str, Array],
    choice: Choice,
    costs: Mapping[str, Cost],
    gram: Floats,
    judge: Predictor,
    seed: int,
) -> pd.DataFrame:
    """A row an entry, the best single model first; then a row "baseline: NAME" for each trivial predictor.

    Columns: method, members, the measures of `judge.summarize`, gain_METRIC with gain_low and gain_high (the paired
    bootstrap's, over groups), val_METRIC (cross-fitted) with val_gain_low and val_gain_high, ambiguity (what
    disagreement takes off the members' mean squared error on validation; NaN unless the entry is a weighted mean),
    parameters, ms_per_example, memory_mib, frontier (nothing is both better on test and quicker), ships. A baseline
    has no members; it never ships, and of what it costs nothing is told.

    Args:
        gram: (K, K), of all seats, the mean over validation.
    """
    metric = judge.gain_metric
    single = test.scores[entries[0].name][metric]
    rows = []
    for entry in entries:
        scores = test.scores[entry.name]
        gain = bootstrap_gain(single, scores[metric], seed=seed, groups=test.groups)
        on_validation = choice.gains[entry.name]
        cost = costs[entry.name]
        rows.append(
            {
                "method": entry.name,
                "members": len(entry.rule.used),
                **judge.summarize(scores),
                f"gain_{metric}": gain.mean,
                "gain_low": gain.low,
                "gain_high": gain.high,
                f"val_{metric}": float(np.mean(validated[entry.name])) if len(validated[entry.name]) else np.nan,
                "val_gain_low": on_validation.low,
                "val_gain_high": on_validation.high,
                "ambiguity": _ambiguity(entry, gram),
                "parameters": cost.parameters,
                "ms_per_example": cost.milliseconds,
                "memory_mib": cost.memory_mib,
                "ships": entry.name == choice.name,
            }
        )
    for name, scores in test.baselines.items():
        gain = bootstrap_gain(single, scores[metric], seed=seed, groups=test.groups)
        rows.append(
            {
                "method": BASELINE + name,
                "members": 0,
                **judge.summarize(scores),
                f"gain_{metric}": gain.mean,
                "gain_low": gain.low,
                "gain_high": gain.high,
                "ships": False,
            }
        )
    table = pd.DataFrame(rows).astype({"parameters": "Int64", "memory_mib": "float64"})
    table.insert(len(table.columns) - 1, "frontier", frontier(table, metric, "ms_per_example"))
    return table


def difference_table(entries: Sequence[Entry], test: TestScores, seed: int) -> pd.DataFrame:
    """How each entry differs from the best single model in every score, with its interval: a row a pair.

    Columns: method, measure, difference, low, high; in the units of the score, on the test split.
    """
    single = test.scores[entries[0].name]
    rows = []
    for entry in entries[1:]:
        for measure, values in test.scores[entry.name].items():
            found = bootstrap_gain(single[measure], values, seed=seed, groups=test.groups)
            rows.append((entry.name, measure, found.mean, found.low, found.high))
    return pd.DataFrame(rows, columns=["method", "measure", "difference", "low", "high"])


def correlation_table(labels: Sequence[str], gram: Floats) -> pd.DataFrame:
    """The correlation of the members' errors, a row a pair; `gram` (k, k)."""
    matrix = error_correlation(gram)
    pairs = [(a, b, float(matrix[i, j])) for i, a in enumerate(labels) for j, b in enumerate(labels)]
    return pd.DataFrame(pairs, columns=["member_a", "member_b", "correlation"])


def _ambiguity(entry: Entry, gram: Floats) -> float:
    narrowed = entry.rule.narrowed()
    if not isinstance(narrowed, Weighted):
        return float("nan")
    used = entry.rule.used
    return ambiguity(gram[np.ix_(used, used)], narrowed.weights)
