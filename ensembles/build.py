"""From the checkpoints of a search to one better predictor: validation chooses, test reports.

Predictions are read batch by batch and never stored: memory does not grow with a split, but for k x k numbers
and a few scores per example.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ensembles.account.evaluate import bootstrap_gain, error_correlation
from ensembles.account.passes import TestScores, observe, score, validate
from ensembles.account.pictures import choose_examples, draw_examples, write_pictures
from ensembles.combining.gram import BadPredictions, Floats
from ensembles.combining.weights import Fit, best_for_log_error, best_on_simplex, cross_fitted_weights, greedy, uniform
from ensembles.ensemble import ENSEMBLE, Ensemble
from ensembles.folders import check_replaceable, whole_folder
from ensembles.members.crew import Candidate, Crew, SetAside
from ensembles.predictor import Array, Predictor

SCORES = "scores.parquet"
CORRELATION = "correlation.parquet"
PICTURES = "pictures.parquet"

METHODS: Mapping[str, Fit] = {
    "best_single": lambda grams: np.eye(grams.shape[-1])[0],
    "mean": lambda grams: uniform(grams.shape[-1]),
    "simplex": lambda grams: best_on_simplex(grams.mean(axis=0)),
    "simplex_log": best_for_log_error,
    "greedy": lambda grams: greedy(grams.mean(axis=0)),
}
Progress = Callable[[int, int, str], None]  # steps done, steps in all, what is being done


@dataclass(frozen=True, eq=False)
class BuildReport:
    """What was built. `scores` is the table of `scores.parquet`; `weights` (k,) are those of each method."""

    folder: Path
    method: str
    reason: str
    members: tuple[Candidate, ...]
    weights: Mapping[str, Floats]
    set_aside: tuple[SetAside, ...]
    scores: pd.DataFrame


def build(
    candidates: Sequence[Candidate],
    output: Path,
    *,
    data: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> BuildReport:
    """Build an ensemble from checkpoints, best first by the score of the search, and write it to `output`.

    `best_single` is the first candidate that can be used. Weights are fitted to squared error on the validation
    split; the method that ships has the best cross-fitted gain metric there, and is `best_single` where no blend
    beats that.
    The test split is read for the table, and for pictures. An older ensemble in `output` stays until the new
    one is whole. `data` is a dataset to use in place of the members' own.

    Raises `NoMembers` where no checkpoint can be used, `FileExistsError` where `output` holds something that
    is not an ensemble, `ValueError` where a split is empty.
    """
    output = Path(output)
    check_replaceable(output, ENSEMBLE)
    if not candidates:
        raise ValueError("Expected at least one checkpoint to build an ensemble from, got none.")
    steps = _Steps(progress, len(candidates) + 4)
    crew = Crew(candidates, data, steps.next)
    steps.next("validation split")
    gram, groups = observe(crew, steps.say)
    steps.next("weights")
    while True:
        per_example = gram.per_example
        weights = {name: fit(per_example) for name, fit in METHODS.items()}
        split = "val"
        try:
            validated = _validate(crew, per_example, groups, seed, steps.say)
            split = "test"
            test = score(crew, weights, steps.say)
            break
        except BadPredictions as error:
            # A failure, not a score: the others are fitted anew from the errors already gathered.
            gram.drop(crew.exclude(error, split))
    method, reason = _choose(validated, crew.judge.gain_metric, len(np.unique(groups)))
    table = _table(test, weights, validated, judge=crew.judge, ships=method, seed=seed)
    ensemble = Ensemble(crew.members(weights[method]), method, _notes(crew, weights, validated, reason, seed))
    steps.next("pictures")
    shown = {"best_single": "best_single", "ensemble": method}
    shown_scores = {kind: test.scores[name][crew.judge.gain_metric] for kind, name in shown.items()}
    chosen = choose_examples(shown_scores["ensemble"])
    drawn = draw_examples(crew.judge, crew.predictors[0], ensemble, chosen)
    steps.next("writing")
    with whole_folder(output) as folder:
        ensemble.write(folder)
        table.to_parquet(folder / SCORES, index=False)
        _correlation(crew.labels, per_example.mean(axis=0)).to_parquet(folder / CORRELATION, index=False)
        write_pictures(folder / PICTURES, drawn, chosen, shown_scores)
        steps.say("written")
    steps.next("done")
    members = tuple(crew.candidates)
    return BuildReport(output, method, reason, members, weights, tuple(crew.set_aside), table)


class _Steps:
    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, -1

    def next(self, text: str) -> None:
        self._done += 1
        self.say(text)

    def say(self, text: str) -> None:
        if self._progress is not None:
            self._progress(max(self._done, 0), self._total, text)


def _validate(
    crew: Crew, per_example: Floats, groups: Array, seed: int, say: Callable[[str], None]
) -> dict[str, float]:
    """What each method is worth on validation examples it was not fitted to; NaN where that is unknown."""
    if len(np.unique(groups)) < 2:
        return dict.fromkeys(METHODS, float("nan"))
    weights = {name: cross_fitted_weights(per_example, groups, fit, seed=seed) for name, fit in METHODS.items()}
    return validate(crew, weights, say)


def _choose(validated: Mapping[str, float], metric: str, groups: int) -> tuple[str, str]:
    """The method that ships and why, from validation alone."""
    single = validated["best_single"]
    if groups < 2:
        return "best_single", (
            "the validation split holds one group of examples, so that weights cannot be checked on examples "
            "they were not fitted to; the best single model ships"
        )
    blends = {name: value for name, value in validated.items() if name != "best_single"}
    method = max(blends, key=lambda name: blends[name])
    if not blends[method] > single:
        return "best_single", (
            f"no blend has a better cross-fitted {metric} on validation than the best single model ({single:.6g}; "
            f"{method} has {blends[method]:.6g}), which therefore ships"
        )
    return method, f"best cross-fitted {metric} on validation: {blends[method]:.6g}, best single model {single:.6g}"


def _table(
    test: TestScores,
    weights: Mapping[str, Floats],
    validated: Mapping[str, float],
    *,
    judge: Predictor,
    ships: str,
    seed: int,
) -> pd.DataFrame:
    rows = []
    metric = judge.gain_metric
    single = test.scores["best_single"][metric]
    for name, scores in test.scores.items():
        gain = bootstrap_gain(single, scores[metric], seed=seed, groups=test.groups)
        rows.append(
            {
                "method": name,
                "members": int(np.count_nonzero(weights[name])),
                **judge.summarize(scores),
                f"gain_{metric}": gain.mean,
                "gain_low": gain.low,
                "gain_high": gain.high,
                f"val_{metric}": validated[name],
                "ships": name == ships,
            }
        )
    return pd.DataFrame(rows)


def _correlation(labels: Sequence[str], gram: Floats) -> pd.DataFrame:
    matrix = error_correlation(gram)
    pairs = [(a, b, float(matrix[i, j])) for i, a in enumerate(labels) for j, b in enumerate(labels)]
    return pd.DataFrame(pairs, columns=["member_a", "member_b", "correlation"])


def _notes(
    crew: Crew, weights: Mapping[str, Floats], validated: Mapping[str, float], reason: str, seed: int
) -> dict[str, Any]:
    """What `ensemble.json` says beside the members that ship."""
    methods = {}
    for name, w in weights.items():
        shares = [
            {"trial_id": each.trial_id, "iteration": each.iteration, "weight": float(weight)}
            for each, weight in zip(crew.candidates, w, strict=True)
            if weight > 0
        ]
        known = np.isfinite(validated[name])
        methods[name] = {"validation": validated[name] if known else None, "members": shares}
    return {
        "reason": reason,
        "gain_metric": crew.judge.gain_metric,
        "seed": seed,
        "set_aside": [
            {
                "checkpoint": item.candidate.source or str(item.candidate.folder),
                "trial_id": item.candidate.trial_id,
                "iteration": item.candidate.iteration,
                "reason": item.reason,
            }
            for item in crew.set_aside
        ],
        "methods": methods,
    }
