"""From the checkpoints of a search to one better predictor: validation chooses, test reports.

Predictions are read batch by batch, from a cache where they have been made before: memory does not grow with a split,
but for Gram matrices and a few scores per example.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ensembles.account.choice import Choice
from ensembles.account.gallery import Exhibit, draw_gallery, write_gallery
from ensembles.account.pictures import EVEN, choose_examples, draw_examples, write_pictures
from ensembles.account.sizes import size_entries, size_table
from ensembles.account.table import correlation_table, difference_table, score_table
from ensembles.combining.combiner import Weighted
from ensembles.combining.gram import BadPredictions
from ensembles.contest import Contest, Limits
from ensembles.ensemble import ENSEMBLE
from ensembles.folders import check_replaceable, whole_folder
from ensembles.members.averages import add_soups
from ensembles.members.cache import PredictionCache
from ensembles.members.crew import BASE, FLIPS, Candidate, Crew, SetAside
from ensembles.recipes import BEST_SINGLE, Recipe, recipes, with_shipped, with_soups
from ensembles.trained import Trained

SCORES = "scores.parquet"
DIFFERENCES = "differences.parquet"
CORRELATION = "correlation.parquet"
SIZES = "sizes.parquet"
PICTURES = "pictures.parquet"
GALLERY = "gallery.parquet"

Progress = Callable[[int, int, str], None]  # steps done, steps in all, what is being done
_NO_LIMITS = Limits()
_NOTHING = Trained()
_STEPS = 6  # beside the loading of each candidate


@dataclass(frozen=True, eq=False)
class BuildReport:
    """What was built.

    Attributes:
        method, reason: what ships, and why.
        members: the candidates that could be used.
        set_aside: those that could not, with reasons.
        unsuited: methods that do not apply to these members, with reasons.
        scores: the table of `scores.parquet`.
    """

    folder: Path
    method: str
    reason: str
    members: tuple[Candidate, ...]
    set_aside: tuple[SetAside, ...]
    unsuited: Mapping[str, str]
    scores: pd.DataFrame


def build(
    candidates: Sequence[Candidate],
    output: Path,
    *,
    methods: Sequence[str] | str = "usual",
    ship: str | None = None,
    limits: Limits = _NO_LIMITS,
    trained: Trained = _NOTHING,
    data: str | Path | None = None,
    by_reference: bool = False,
    gallery: Sequence[Exhibit] = (),
    cache: PredictionCache | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> BuildReport:
    """Build an ensemble from checkpoints, best first by the score of the search, and write it to `output`.

    `best_single` is the first candidate that can be used. Methods are fitted to the validation split; what ships has
    the best cross-fitted gain metric there, and is `best_single` where nothing is better than that beyond the interval
    of its gain. The test split is read for the tables, and for pictures. An older ensemble in `output` stays until the
    new one is whole.

    Args:
        candidates: checkpoints with where they came from.
        output: the folder of the ensemble.
        methods: "usual", "all", or names, see `recipes`.
        ship: the method that ships, whatever validation says; None lets validation choose.
        limits: of what may ship.
        trained: models that are trained for the ensemble: on parts of the training split, or on its colours.
        data: a dataset to use in place of the members' own.
        by_reference: leave the members where they are, and keep their paths and digests.
        gallery: checkpoints whose predictions of a few test examples are kept as pictures.
        cache: where predictions are kept between builds; None keeps none.
        seed: of folds, intervals, and whatever a method draws.
        progress: is told of each step.

    Raises:
        NoMembers: no checkpoint can be used.
        FileExistsError: `output` holds something that is not an ensemble.
        ValueError: a split is empty, a method's name is unknown, or nothing keeps within the limits.
    """
    output = Path(output)
    check_replaceable(output, ENSEMBLE)
    if not candidates:
        raise ValueError("Expected at least one checkpoint to build an ensemble from, got none.")
    wanted = with_shipped(recipes(methods), ship)
    steps = _Steps(progress, len(candidates) + _STEPS)
    crew = Crew(candidates, data, cache, steps.next)
    with tempfile.TemporaryDirectory(prefix="huetune-") as scratch:
        while True:
            contest = Contest(crew, limits, seed, Path(scratch), steps.say)
            steps.back_to(len(candidates))
            try:
                choice = _decided(contest, wanted, with_soups(methods), ship, trained, output.with_name("parts"), steps)
                steps.next("test split")
                sizes = size_entries(contest)
                test = contest.read_test([*contest.entries, *sizes])
                break
            except BadPredictions as error:  # a failure, not a score: the others are fitted anew without it
                crew.exclude(error, contest.split)
        costs = {entry.name: contest.cost(entry) for entry in contest.entries}
        gram = contest.gram
        table = score_table(contest.entries, test, contest.validated, choice, costs, gram, crew.judge, seed)
        shipped = contest.entry(choice.name)
        ensemble = contest.ensemble(shipped, _notes(contest, choice))
        steps.next("pictures")
        shown = {"best_single": BEST_SINGLE, "ensemble": choice.name}
        shown_scores = {kind: test.scores[name][crew.judge.gain_metric] for kind, name in shown.items()}
        chosen = choose_examples(shown_scores["ensemble"])
        drawn = draw_examples(crew.judge, contest.ensemble(contest.entry(BEST_SINGLE)), ensemble, chosen)
        even = [position for position, reason in chosen.items() if reason == EVEN]
        strips = draw_gallery(crew.judge, gallery, even, data, say=steps.say)
        steps.next("writing")
        with whole_folder(output) as folder:
            ensemble.write(folder, by_reference=by_reference)
            table.to_parquet(folder / SCORES, index=False)
            difference_table(contest.entries, test, seed).to_parquet(folder / DIFFERENCES, index=False)
            size_table(sizes, test, crew.judge, seed).to_parquet(folder / SIZES, index=False)
            base = crew.positions(BASE)
            correlation_table(crew.labels, gram[np.ix_(base, base)]).to_parquet(folder / CORRELATION, index=False)
            write_pictures(folder / PICTURES, drawn, chosen, shown_scores)
            write_gallery(folder / GALLERY, strips)
            steps.say("written")
    steps.next("done")
    members = tuple(crew.candidates)
    return BuildReport(output, choice.name, choice.reason, members, tuple(crew.set_aside), contest.unsuited, table)


def _decided(
    contest: Contest,
    wanted: Sequence[Recipe],
    soups: bool,
    ship: str | None,
    trained: Trained,
    home: Path,
    steps: _Steps,
) -> Choice:
    """Everything in the contest fitted and judged, and what ships."""
    steps.next("validation split")
    contest.seat({recipe.family for recipe in wanted})
    steps.next("fitting")
    for recipe in wanted:
        contest.enter(recipe)
    if soups:
        add_soups(contest)
    trained.join(contest, home)
    if trained.student:
        contest.judge()
        trained.teach(contest, home)
    return contest.judge(ship)


class _Steps:
    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, -1

    def next(self, text: str) -> None:
        self._done += 1
        self.say(text)

    def back_to(self, done: int) -> None:
        self._done = min(self._done, done - 1)

    def say(self, text: str) -> None:
        if self._progress is not None:
            self._progress(max(self._done, 0), self._total, text)


def _notes(contest: Contest, choice: Choice) -> dict[str, Any]:
    """What `ensemble.json` says beside the members that ship."""
    crew = contest.crew
    methods = {}
    for entry in contest.entries:
        values = contest.validated[entry.name]
        rule = entry.rule.narrowed()
        weights = rule.weights.tolist() if isinstance(rule, Weighted) else [None] * len(entry.rule.used)
        methods[entry.name] = {
            "validation": float(values.mean()) if len(values) else None,
            "members": [
                {
                    "trial_id": crew.seats[position].candidate.trial_id,
                    "iteration": crew.seats[position].candidate.iteration,
                    "flip": crew.seats[position].family == FLIPS,
                    "weight": weight,
                }
                for position, weight in zip(entry.rule.used, weights, strict=True)
            ],
        }
    return {
        "reason": choice.reason,
        "gain_metric": crew.judge.gain_metric,
        "seed": contest.seed,
        "set_aside": [
            {
                "checkpoint": item.candidate.source or str(item.candidate.folder),
                "trial_id": item.candidate.trial_id,
                "iteration": item.candidate.iteration,
                "reason": item.reason,
            }
            for item in crew.set_aside
        ],
        "unsuited": contest.unsuited,
        "unstorable": contest.unstorable,
        "methods": methods,
    }
