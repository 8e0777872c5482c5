"""Averages of the members' weights as members: along each trial, and over trials of one architecture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from ensembles.capabilities import TorchPredictor
from ensembles.members.crew import BASE, Candidate, Crew, Seat
from ensembles.predictor import Array, Predictor

if TYPE_CHECKING:
    from ensembles.contest import Contest
    from ensembles.members.soup import Soup

SWA = "swa"
SOUP = "soup"

_STATISTICS = 2048  # training examples from which statistics of normalisation are taken anew


def add_averages(crew: Crew, scratch: Path) -> str | None:
    """Seat for each trial the average of its checkpoints' weights, or its only checkpoint; why not, where not."""
    from ensembles.members.soup import swa

    trials: dict[str, list[Seat]] = {}
    for seat in crew.family(BASE):
        trials.setdefault(_trial(seat), []).append(seat)
    if max(map(len, trials.values())) < 2:
        return (
            "no trial has two checkpoints; keep some of each with Search(snapshots=...) and gather them with per_trial"
        )
    for name, seats in trials.items():
        if len(seats) < 2 or (SWA, name) in crew.spoilt:
            crew.seats.append(seats[0].of_family(SWA))
            continue
        if not all(isinstance(seat.predictor, TorchPredictor) for seat in seats):
            return f"{name} shows no network (module) whose weights could be averaged"
        soup = swa([cast(TorchPredictor, seat.predictor) for seat in seats], _refreshed(crew.judge))
        _seat(crew, soup, Candidate(scratch, name, seats[0].candidate.iteration, ""), SWA)
    return None


def add_soups(contest: Contest) -> None:
    """Enter the uniform and the greedy soup of the largest group of trials that share an architecture.

    Both are tried with the statistics of normalisation averaged like the weights, and with statistics taken anew on
    training inputs.
    """
    from ensembles.members.soup import (
        SoupError,
        cross_fitted_greedy,
        greedy_soup,
        group_by_weights,
        uniform_soup,
    )

    crew = contest.crew
    best = {_trial(seat): seat for seat in reversed(crew.family(BASE))}  # of each trial its first checkpoint
    seats = [seat for seat in crew.family(BASE) if best[_trial(seat)] is seat]
    if not all(isinstance(seat.predictor, TorchPredictor) for seat in seats):
        contest.unsuited[SOUP] = "not every member shows its network (module)"
        return
    networks = [cast(TorchPredictor, seat.predictor) for seat in seats]
    group = max(group_by_weights(networks), key=len)
    if len(group) < 2:
        try:
            uniform_soup(networks)
            contest.unsuited[SOUP] = "one member alone has nothing to be averaged with"
        except SoupError as error:
            contest.unsuited[SOUP] = str(error)
        return
    members = [networks[position] for position in group]
    crowd = [seats[position].candidate for position in group]
    refreshed = _refreshed(crew.judge)
    anew = refreshed(members[0]) is not members[0]
    for suffix, finish in (("", None), *((("_fresh", refreshed),) if anew else ())):
        score = _scorer(contest)
        for name in (f"soup{suffix}", f"greedy_soup{suffix}"):
            if (SOUP, name) in crew.spoilt:
                contest.unsuited[name] = "its predictions cannot be used"
                continue
            contest.say(f"averaging weights: {name}")
            greedy = name.startswith("greedy")
            soup = greedy_soup(members, score, finish) if greedy else uniform_soup(members, finish)
            validated = None
            if greedy and contest.fold.max():
                validated = cross_fitted_greedy(members, score, contest.fold, finish)
            if len(soup.ingredients) == 1:  # it is that member
                contest.enter_seat(name, crew.seats.index(seats[group[soup.ingredients[0]]]), validated)
                continue
            source = ", ".join(crowd[position].trial_id for position in soup.ingredients)
            _seat(crew, soup, Candidate(contest.scratch, name, 0, f"average of {source}"), SOUP)
            contest.enter_seat(name, len(crew.seats) - 1, validated)


def _trial(seat: Seat) -> str:
    return seat.candidate.trial_id


def _seat(crew: Crew, soup: Soup, made: Candidate, family: str) -> None:
    folder = made.folder / f"{family}-{len(crew.seats)}-{made.trial_id}"
    soup.predictor.save(folder)
    crew.seat(Candidate(folder, made.trial_id, made.iteration, made.source or f"average of {made.trial_id}"), family)


def _refreshed(judge: Predictor) -> Callable[[TorchPredictor], TorchPredictor]:
    from ensembles.members.soup import with_fresh_statistics

    def inputs() -> Iterator[Array]:
        seen = 0
        for batch in judge.batches("train"):
            if seen >= _STATISTICS:
                return
            yield np.asarray(batch.inputs)
            seen += len(batch.names)

    return lambda predictor: with_fresh_statistics(predictor, inputs())


def _scorer(contest: Contest) -> Callable[[TorchPredictor], Array]:
    """A predictor to its gain metric on each validation example."""
    judge = contest.crew.judge

    def score(predictor: TorchPredictor) -> Array:
        parts = [
            judge.scores(predictor(np.asarray(batch.inputs)), np.asarray(batch.targets))[judge.gain_metric]
            for batch in judge.batches("val")
        ]
        return np.concatenate(parts)

    return score
