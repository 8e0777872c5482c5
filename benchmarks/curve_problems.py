"""Bayesian search with asha() against Ray's own OptunaSearch with ASHAScheduler on simulated learning curves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
from curves import FAMILIES, FULL, Config, play, problem
from harness import Row, arguments, finish
from ray.tune.result import TRAINING_ITERATION
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from search import Bayesian, Random, asha

REDUCTION = 3


class OnRay:
    """A Ray Tune searcher and scheduler, told in the order in which Ray Tune's controller tells them."""

    def __init__(self, searcher: Searcher, scheduler: ASHAScheduler, space: Config) -> None:
        self.searcher, self.scheduler = searcher, scheduler
        searcher.set_search_properties("loss", "min", space, stop={TRAINING_ITERATION: FULL})
        scheduler.set_search_properties("loss", "min")
        self._trials: dict[str, Any] = {}

    def start(self, trial_id: str) -> Config:
        config = self.searcher.suggest(trial_id)
        self._trials[trial_id] = SimpleNamespace(trial_id=trial_id, config=config)
        self.scheduler.on_trial_add(None, self._trials[trial_id])
        return config

    def report(self, trial_id: str, result: Config) -> bool:
        decision = self.scheduler.on_trial_result(None, self._trials[trial_id], result)
        if decision == TrialScheduler.CONTINUE:
            self.searcher.on_trial_result(trial_id, result)
            return True
        self.searcher.on_trial_complete(trial_id, result)
        return False

    def fail(self, trial_id: str) -> None:
        self.scheduler.on_trial_remove(None, self._trials[trial_id])
        self.searcher.on_trial_complete(trial_id, error=True)


class OptunaAlone:
    """Optuna's default sampler with its successive halving, in a loop of its own."""

    def __init__(self, space: Config, seed: int) -> None:
        self.distributions = OptunaSearch.convert_search_space(space)
        self.study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION),
        )
        self._trials: dict[str, optuna.Trial] = {}

    def start(self, trial_id: str) -> Config:
        self._trials[trial_id] = self.study.ask(self.distributions)
        return self._trials[trial_id].params

    def report(self, trial_id: str, result: Config) -> bool:
        trial, iteration = self._trials[trial_id], result[TRAINING_ITERATION]
        trial.report(result["loss"], iteration)
        if iteration >= FULL:
            self.study.tell(trial, result["loss"])
            return False
        if trial.should_prune():
            self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return False
        return True

    def fail(self, trial_id: str) -> None:
        self.study.tell(self._trials[trial_id], state=optuna.trial.TrialState.FAIL)


def side(name: str, space: Config, seed: int) -> Any:
    ours = asha(FULL, grace=1, reduction=REDUCTION)
    theirs = ASHAScheduler(max_t=FULL, grace_period=1, reduction_factor=REDUCTION)
    match name:
        case "random":
            return OnRay(Random(seed=seed, score="last"), ours, space)
        case "ray":
            return OnRay(OptunaSearch(metric="loss", mode="min", seed=seed), theirs, space)
        case "optuna":
            return OptunaAlone(space, seed)
        case "huetune":
            return OnRay(Bayesian(seed=seed, score="last"), ours, space)
        case _:
            return OnRay(Bayesian(name, seed=seed, score="last"), ours, space)
