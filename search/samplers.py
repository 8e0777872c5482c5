"""Random, Sobol' and Bayesian search: Optuna samplers that are told the truth, and shown what they can compare."""

from __future__ import annotations

import json
import logging
import os
import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from search.comparable import Losses
from search.cube import Cube
from search.define_by_run import SpaceFunction, as_json, call, discover, from_json
from search.errors import SearchError
from search.evidence import Evidence, Seen
from search.evolution import Evolution, EvolutionSampler
from search.gp_sampler import GaussianProcessSampler
from search.method import SearchMethod, Suggestion, Told, derived_seed
from search.sobol import SobolSampler
from search.space import Number, Params, Space
from search.study import Observation, question
from search.warm_start import earlier_trials

Kind = Literal["gp", "tpe", "cmaes"]

_log = logging.getLogger(__name__)

# How many ended trials a model is shown at most: both stay within some tens of milliseconds.
_CAP = 128
# A suggestion that is running already is asked for again: a few times in the method's own way, then at random.
_OWN_WAY, _ATTEMPTS = 2, 66


class OptunaSearcher(SearchMethod):
    """A search method that asks an Optuna sampler, a fresh one for every suggestion.

    Args:
        space: an Optuna define-by-run function in place of a dict of Ray Tune domains: it suggests parameters from an
            `optuna.Trial` and returns a dict of constants, or None. Ray Tune's `param_space` then has constants only.
        points_to_evaluate: configurations to try first, as dicts; parameters they do not name are sampled.
        score: whether a trial counts by its "best" or its "last" report. A search sets it.
        iterations: how many reports a full trial makes. A search sets it, and so does `stop={"training_iteration": n}`
            in a plain `tune.Tuner`; where neither does, the longest trial so far is taken for a full one.
        seed: of the suggestions, and of `config["seed"]`, which every trial is given unless the space has a `seed`.

    Raises:
        SearchError: a negative seed, or a space function that fails or asks for nothing.
    """

    def __init__(
        self,
        *,
        space: SpaceFunction | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] = (),
        score: Literal["best", "last"] = "best",
        iterations: int | None = None,
        seed: int = 0,
    ) -> None:
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise SearchError(f"Expected a seed that is a whole number from 0, got {seed!r}. Choose another.")
        super().__init__(score=score, iterations=iterations, seed=seed)
        self.space_function = space
        self.points_to_evaluate = tuple(points_to_evaluate)
        self._discovered = discover(space) if space else None
        self._cube = Cube({})
        self._points: list[Params] = []

    @abstractmethod
    def sampler(self, number: int, attempt: int) -> tuple[BaseSampler, str]:
        """A fresh Optuna sampler for the suggestion of this number, and the reason to note beside what it says.

        Args:
            number: of the suggestion.
            attempt: 0, and more each time that it said what is running already.
        """

    def observations(self) -> list[Observation]:
        """What the sampler is shown; a sampler that learns says more."""
        return []

    def on_space(self) -> None:
        """Check the space and the points."""
        if self._discovered and self.space.axes:
            raise SearchError(
                f"Expected constants beside a space function, got {sorted(axis.name for axis in self.space.axes)} to be"
                " varied. Let the function suggest them."
            )
        self._cube = Cube(self.searched.distributions())
        self._points = [self.searched.labels(point) for point in self.points_to_evaluate]

    @property
    def searched(self) -> Space:
        """What is searched: the space, or what the space function asks for."""
        return self._discovered or self.space

    def whole_space(self, space: Space) -> Space:
        """Every axis that trials may vary on: those that a space function asks for, if there is one."""
        return Space(self._discovered.axes, self._discovered.constants + space.constants) if self._discovered else space

    def propose(self, number: int) -> Suggestion:
        """The point of this number, or what the sampler says, other than what is running where that can be."""
        fixed = self._points[number] if number < len(self._points) else {}
        running = {_key(told.suggestion.values) for told in self.told.values() if told.state == "RUNNING"}
        shown = self.observations()
        for attempt in range(_ATTEMPTS):
            sampler, reason = self.sampler(number, attempt) if attempt < _OWN_WAY else self._chance(number, attempt)
            suggestion = self._ask(sampler, shown, fixed, reason)
            if fixed or _key(suggestion.values) not in running:
                break
        return suggestion

    def _seed(self, number: int, attempt: int) -> int:
        return derived_seed(self.seed, number, 2, attempt) if attempt else derived_seed(self.seed, number)

    def _chance(self, number: int, attempt: int) -> tuple[BaseSampler, str]:
        return RandomSampler(seed=self._seed(number, attempt)), "random"

    def _ask(self, sampler: BaseSampler, shown: Sequence[Observation], fixed: Params, reason: str) -> Suggestion:
        reason = "point" if fixed else reason
        # Where the function asks for parameters one by one, the distributions are only known as it does.
        if self.space_function is None:
            trial = question(sampler, shown, fixed, self.space.distributions())
            return Suggestion(trial.params, reason=reason)
        trial = question(sampler, shown, fixed)
        constants = call(self.space_function, trial)
        # The function's parameters are all there is: a branch that was not taken has none.
        return Suggestion(
            trial.params,
            constants=trial.params | constants,
            reason=reason,
            notes={"distributions": as_json(trial.distributions)},
        )


class Random(OptunaSearcher):
    """Independent draws from the space (Bergstra and Bengio, JMLR 2012)."""

    def sampler(self, number: int, attempt: int) -> tuple[BaseSampler, str]:
        """A fresh random sampler."""
        return self._chance(number, attempt)

    def __repr__(self) -> str:
        return "Random()"


class Sobol(OptunaSearcher):
    """A scrambled Sobol' sequence: points that fill the space evenly, whenever the search ends."""

    def sampler(self, number: int, attempt: int) -> tuple[BaseSampler, str]:
        """The point of the suggestion's own number, so that a restored search goes on in the same sequence."""
        independent, reason = self._chance(number, attempt)
        return (independent, reason) if attempt else (SobolSampler(self._cube, number, self.seed, independent), "sobol")

    def __repr__(self) -> str:
        return "Sobol()"


class Bayesian(OptunaSearcher):
    """A model of the trials so far says where to look next.

    What it learns from is comparable: a trial that was stopped early counts by what it would have come to at the full
    length, going by the trials that went on, and a failed one as the worst. Trials under way count too, so that workers
    spread out.

    Args:
        kind: "gp", a Gaussian process over parameters and budgets together; "tpe", the tree-structured Parzen estimator
            (Bergstra et al., NeurIPS 2011; Optuna's); or "cmaes", an evolution strategy for numbers (Hansen and
            Ostermeier 2001). "gp" found the better points in `benchmarks/curve_problems.py`.
        startup: random trials before the model is asked; none if `warm_start` has as many.
        warm_start: folders or addresses of earlier runs to learn from; they must have had the same metric. Their trials
            count that have every parameter of this space, inside its axis.
        others: as for `OptunaSearcher`.

    Raises:
        SearchError: an unknown kind, or no start-up trial.
    """

    def __init__(
        self,
        kind: Kind = "gp",
        *,
        startup: int = 8,
        warm_start: Sequence[str | os.PathLike[str]] = (),
        **others: Any,
    ) -> None:
        if kind not in get_args(Kind):
            raise SearchError(
                f"Expected kind to be one of {', '.join(map(repr, get_args(Kind)))}, got {kind!r}."
                " Leave it out for the default."
            )
        if not isinstance(startup, int) or isinstance(startup, bool) or startup < 1:
            raise SearchError(
                f"Expected at least 1 start-up trial, got startup={startup}. A model needs something to learn from."
            )
        if isinstance(warm_start, str | os.PathLike):
            raise SearchError(f"Expected warm_start to be a list of runs, got {warm_start!r}. Put it in brackets.")
        super().__init__(**others)
        self.kind = kind
        self.startup = startup
        self.warm_start = tuple(os.fspath(run) for run in warm_start)
        self._fault: SearchError | None = None

    def on_space(self) -> None:
        """Begin without trials, or with those of earlier runs."""
        super().on_space()
        self._evidence = Evidence(self._cube, _CAP)
        numbers = {axis.name: axis.distribution() for axis in self.searched.axes if isinstance(axis, Number)}
        self._evolution = Evolution(Cube(numbers), self.startup, self.seed)
        self._fault = None
        for run in self.warm_start:
            try:
                self._learn_from(run)
            except SearchError as fault:
                self._fault = fault
        self._warm = len(self._evidence)

    def propose(self, number: int) -> Suggestion:
        """As every Optuna searcher; a fault of `warm_start` stops a search that begins, not one that goes on."""
        if self._fault:
            if not self.told:
                raise self._fault
            _log.warning("Going on without what cannot be learned from: %s", self._fault)
            self._fault = None
        return super().propose(number)

    def sampler(self, number: int, attempt: int) -> tuple[BaseSampler, str]:
        """The model's, after the start-up and as soon as there is something to learn from."""
        seed = self._seed(number, attempt)
        independent = RandomSampler(seed=seed)
        known = self._warm or any(told.reports for told in self.told.values())
        if not known or len(self.told) + self._warm < self.startup:
            return independent, "start-up"
        if self.kind == "gp":
            return GaussianProcessSampler(self._cube, independent, seed), "model"
        if self.kind == "cmaes":
            return EvolutionSampler(self._evolution, independent, seed), "model"
        with warnings.catch_warnings():
            # `group`, for parameters that only some trials have, may still change.
            warnings.simplefilter("ignore", ExperimentalWarning)
            return TPESampler(
                seed=seed,
                n_startup_trials=0,
                multivariate=True,
                group=self.space_function is not None,
                constant_liar=True,
            ), "model"

    def observations(self) -> list[Observation]:
        """The trials that have ended, as many as the model can weigh, and those under way."""
        return self._evidence.observations(self._running(), self.iterations)

    def on_end(self, trial: Told) -> None:
        """Learn how it ended."""
        seen = self._seen(trial)
        self._evidence.add(seen)
        if self.kind == "cmaes":
            self._evolution.tell(trial.number, seen.params, self._evidence.loss(seen, self._running(), self.iterations))

    def _running(self) -> list[Seen]:
        return [self._seen(told) for told in self.told.values() if told.state == "RUNNING"]

    def _seen(self, told: Told) -> Seen:
        reported = told.reports and told.state != "FAIL"
        losses = Losses.of(told.reports, self.score, self.loss(1.0)) if reported else None
        return Seen(told.suggestion.values, self._distributions(told), losses)

    def _distributions(self, told: Told) -> Mapping[str, BaseDistribution]:
        texts = told.suggestion.notes.get("distributions")
        return from_json(texts) if texts else self._cube.distributions

    def _learn_from(self, run: str) -> None:
        mode: Literal["min", "max"] = "min" if self.minimize else "max"
        whole = self.space_function is None
        for seen in earlier_trials(run, self.searched, metric=self._metric, mode=mode, score=self.score, whole=whole):
            self._evidence.add(seen)
            loss = self._evidence.loss(seen, [], self.iterations)
            self._evolution.tell(len(self._evidence), seen.params, loss)

    def __repr__(self) -> str:
        return f"Bayesian(kind={self.kind!r}, startup={self.startup})"


def _key(values: Params) -> str:
    return json.dumps(values, sort_keys=True)
