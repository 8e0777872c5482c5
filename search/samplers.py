"""Random, Sobol' and Bayesian search: Optuna samplers that are told the truth, and shown what they can compare."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from search.errors import SearchError
from search.models.comparable import Losses
from search.models.cube import Cube
from search.models.define_by_run import from_json
from search.models.evidence import Evidence, Seen
from search.models.evolution import Evolution, EvolutionSampler
from search.models.gp_sampler import GaussianProcessSampler
from search.models.optuna_searcher import OptunaSearcher
from search.models.sobol import SobolSampler
from search.models.study import Observation
from search.models.warm_start import earlier_trials
from search.space import Number
from search.suggestion import Suggestion, Told

__all__ = ["Bayesian", "OptunaSearcher", "Random", "Sobol"]

Kind = Literal["gp", "tpe", "cmaes"]

_log = logging.getLogger(__name__)

# How many ended trials a model is shown at most: a suggestion then takes some tens of milliseconds, however many ended.
_CAP = 128


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
            self._evolution.tell(seen.params, self._evidence.loss(seen, self._running(), self.iterations))

    def _running(self) -> list[Seen]:
        return [self._seen(told) for told in self.running.values()]

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
            self._evolution.tell(seen.params, self._evidence.loss(seen, [], self.iterations))

    def __repr__(self) -> str:
        return f"Bayesian(kind={self.kind!r}, startup={self.startup})"
