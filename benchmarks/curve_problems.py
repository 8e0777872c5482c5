"""Bayesian search with asha() against Ray's own OptunaSearch with ASHAScheduler, on simulated learning curves.

Each repeat of a family is one problem, the same for every side, and a side is judged by the truth at the full budget
of the trial whose last report was the lowest. Both of Ray Tune's sides stop trials by the same rules. Beside them
stand random search with asha(), Optuna in a loop of its own, and the other kinds of Bayesian search. Workers and
parameters go round in a Latin square. The method was tuned on seeds from 5000 on; those here begin at 0.
"""

from __future__ import annotations

import itertools
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
from curves import FAMILIES, FULL, Config, Side, play, problem
from harness import Row, arguments, finish, interval
from ray.tune.result import TRAINING_ITERATION
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from search import Bayesian, Random, asha

GRACE, REDUCTION = 3, 3
OURS = "gp"
SIDES = (OURS, "tpe", "cmaes", "random", "ray", "optuna")
# 64 workers begin 60 trials before the first report, and no method can do better than another.
WORKERS = {60: (1, 4, 8, 16), 200: (1, 8, 16, 64)}
DIMS = (2, 4, 6, 8)


class OnRay:
    """A Ray Tune searcher and scheduler, told in the order in which Ray Tune's controller tells them."""

    def __init__(self, searcher: Searcher, scheduler: TrialScheduler, space: Config) -> None:
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
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=GRACE, reduction_factor=REDUCTION),
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


def side(name: str, space: Config, seed: int) -> Side:
    """One of `SIDES` on a space."""
    if name == "optuna":
        return OptunaAlone(space, seed)
    if name == "ray":
        scheduler = ASHAScheduler(max_t=FULL, grace_period=GRACE, reduction_factor=REDUCTION)
        return OnRay(OptunaSearch(metric="loss", mode="min", seed=seed), scheduler, space)
    method = Random(seed=seed, score="last") if name == "random" else Bayesian(name, seed=seed, score="last")
    return OnRay(method, asha(FULL, grace=GRACE, reduction=REDUCTION), space)


def regrets(family: str, trials: int, repeats: int) -> dict[str, np.ndarray]:
    """The regret of every side in every repeat."""
    found: dict[str, list[float]] = {name: [] for name in SIDES}
    for repeat in range(repeats):
        workers = WORKERS[trials][repeat % 4]
        this = problem(family, DIMS[(repeat + repeat // 4) % 4], repeat)
        for name in SIDES:
            regret = play(this, side(name, this.space, repeat), workers=workers, trials=trials, seed=repeat)
            found[name].append(regret)
    return {name: np.array(values) for name, values in found.items()}


def rows(quick: bool) -> list[Row]:
    """A row a family and number of trials: the median regret of every side, and how often ours beat Ray's."""
    repeats = {60: 4, 200: 1} if quick else {60: 30, 200: 10}
    table = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for trials, family in itertools.product(repeats, FAMILIES):
            found = regrets(family, trials, repeats[trials])
            wins = found[OURS] < found["ray"]
            low, high = interval(wins)
            medians = {name: float(np.median(values)) for name, values in found.items()}
            table.append(
                {"family": family, "trials": trials, "repeats": repeats[trials], "wins": float(wins.mean())}
                | {"wins_low": low, "wins_high": high}
                | medians
                | {"regrets": {name: values.tolist() for name, values in found.items()}}
            )
    return table


def summary(table: list[Row]) -> Row:
    """How often ours ended with the lower regret, and the medians over all families against Ray's."""

    def pooled(name: str, trials: int | None = None) -> np.ndarray:
        return np.concatenate([row["regrets"][name] for row in table if trials in (None, row["trials"])])

    found: Row = {"bayes_beats_ray": float((pooled(OURS) < pooled("ray")).mean())}
    for trials in sorted({row["trials"] for row in table}):
        found[f"bayes_beats_ray_{trials}"] = float((pooled(OURS, trials) < pooled("ray", trials)).mean())
        found[f"regret_ratio_{trials}"] = float(np.median(pooled(OURS, trials)) / np.median(pooled("ray", trials)))
    found["worst_family_ratio"] = max(row[OURS] / row["ray"] for row in table)
    found["median_regret"] = {name: float(np.median(pooled(name))) for name in SIDES}
    return found


def main() -> None:
    options = arguments(__doc__)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table = rows(options.quick)
    shown = [{name: value for name, value in row.items() if name != "regrets"} for row in table]
    finish(options, shown, summary(table))


if __name__ == "__main__":
    main()
