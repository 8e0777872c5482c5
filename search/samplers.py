"""Random and Bayesian search as Ray Tune searchers, each a thin coat over an Optuna sampler that is told the truth.

Told the truth: a trial that ran its full length is COMPLETE, one that was stopped early is PRUNED with the values it
reported on the way, one that failed or whose metric is not a finite number is FAIL. A suggestion depends on the seed,
on its own number and on what has been told so far, and on nothing else, so that a restored searcher goes on as if
nothing had happened.
"""

from __future__ import annotations

import json
import math
import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeGuard

import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.trial import TrialState, create_trial
from ray.tune.result import TRAINING_ITERATION
from ray.tune.search import Searcher

from search.errors import SearchError
from search.space import Params, Space


@dataclass
class _Told:
    """What the searcher was told of one trial: all that a restored searcher needs."""

    labels: Params
    state: str = "RUNNING"
    value: float | None = None
    reports: dict[int, float] = field(default_factory=dict)


class OptunaSearcher(Searcher):
    """A Ray Tune `Searcher` that asks one Optuna sampler and keeps a true record.

    Args:
        points_to_evaluate: configurations to try first, as dicts; parameters they do not name are sampled.
        score: whether a trial counts by its "best" or its "last" report. A search sets it.
        iterations: how many reports a full trial makes. A search sets it, and so does `stop={"training_iteration": n}`
            in a plain `tune.Tuner`; where neither does, the longest trial so far is taken for a full one.
        seed: of the suggestions, and of `config["seed"]`, which every trial is given unless the space has a `seed`.
    """

    def __init__(
        self,
        *,
        points_to_evaluate: Sequence[Mapping[str, Any]] = (),
        score: Literal["best", "last"] = "best",
        iterations: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.points_to_evaluate = tuple(points_to_evaluate)
        self.score = score
        self.iterations = iterations
        self.seed = seed
        self._space: Space | None = None
        self._study: optuna.Study | None = None
        self._told: dict[str, _Told] = {}
        self._asked: dict[str, optuna.Trial] = {}

    @abstractmethod
    def sampler(self, seed: int) -> BaseSampler:
        """A fresh Optuna sampler for one suggestion."""

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: Mapping[str, Any], **spec: Any
    ) -> bool:
        """Take the space and the metric from Ray Tune; called once, before the first suggestion."""
        if self._space is not None or metric is None or mode is None:
            return False
        space = Space.from_domains(config)
        for point in self.points_to_evaluate:
            space.labels(point)
        self._metric, self._mode, self._space = metric, mode, space
        stop = spec.get("stop")
        if self.iterations is None and isinstance(stop, Mapping):
            self.iterations = stop.get(TRAINING_ITERATION)
        self._study = _new_study(mode)
        return True

    def suggest(self, trial_id: str) -> Params:
        """The configuration of the next trial."""
        space, study = self._ready()
        number = len(self._told)
        study.sampler = self.sampler(derived_seed(self.seed, number))
        if number < len(self.points_to_evaluate):
            study.enqueue_trial(space.labels(self.points_to_evaluate[number]))
        asked = study.ask(space.distributions())
        self._asked[trial_id], self._told[trial_id] = asked, _Told(asked.params)
        return _with_seed(space.config(asked.params), derived_seed(self.seed, number, 1))

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Note a report of a trial that goes on."""
        told = self._told.get(trial_id)
        if told is not None and (value := self._value(result)) is not None:
            told.reports[int(result[TRAINING_ITERATION])] = value

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        """Tell the sampler how a trial ended."""
        told = self._told.get(trial_id)
        if told is None or told.state != "RUNNING":
            return
        last = None if error or not result else self._value(result)
        if last is not None and result is not None:
            told.reports[int(result[TRAINING_ITERATION])] = last
        told.state, told.value = self._verdict(told, failed=last is None)
        trial = self._asked.pop(trial_id)
        for step, reported in sorted(told.reports.items()):
            trial.report(reported, step)
        # A pruned trial has no value of its own: Optuna takes its last report.
        value = told.value if told.state == "COMPLETE" else None
        self._ready()[1].tell(trial, value, state=TrialState[told.state])

    def save(self, checkpoint_path: str) -> None:
        """Write all that was told, as JSON, whole or not at all."""
        state = {"seed": self.seed, "told": {trial: asdict(told) for trial, told in self._told.items()}}
        unfinished = Path(f"{checkpoint_path}.part")
        unfinished.write_text(json.dumps(state))
        os.replace(unfinished, checkpoint_path)

    def restore(self, checkpoint_path: str) -> None:
        """Take up what another searcher of the same space was told, in the same order."""
        space, _ = self._ready()
        state = json.loads(Path(checkpoint_path).read_text())
        self.seed, self._told, self._asked = state["seed"], {}, {}
        self._study = study = _new_study(self._mode)
        study.sampler = optuna.samplers.RandomSampler(seed=0)
        for trial_id, entry in state["told"].items():
            reports = {int(step): value for step, value in entry.pop("reports").items()}
            told = self._told[trial_id] = _Told(**entry, reports=reports)
            if told.state == "RUNNING":
                study.enqueue_trial(told.labels)
                self._asked[trial_id] = study.ask(space.distributions())
            else:
                study.add_trial(
                    create_trial(
                        state=TrialState[told.state],
                        value=told.value if told.state == "COMPLETE" else None,
                        params=told.labels,
                        distributions=space.distributions(),
                        intermediate_values=told.reports,
                    )
                )

    def _ready(self) -> tuple[Space, optuna.Study]:
        if self._space is None or self._study is None:
            raise SearchError(
                f"Expected {type(self).__name__} to know its space, metric and mode before it suggests."
                " Give metric, mode and param_space to the Tuner or the Search."
            )
        return self._space, self._study

    def _value(self, result: Mapping[str, Any]) -> float | None:
        value = result.get(self._metric)
        return float(value) if is_finite_number(value) else None

    def _verdict(self, told: _Told, *, failed: bool) -> tuple[str, float | None]:
        if failed:
            return "FAIL", None
        best = min if self._mode == "min" else max
        value = best(told.reports.values()) if self.score == "best" else told.reports[max(told.reports)]
        full = self.iterations or max(max(t.reports, default=0) for t in self._told.values())
        return ("COMPLETE" if max(told.reports) >= full else "PRUNED"), value


class Random(OptunaSearcher):
    """Independent draws from the space (Bergstra and Bengio, JMLR 2012)."""

    def sampler(self, seed: int) -> BaseSampler:
        """A fresh random sampler."""
        return optuna.samplers.RandomSampler(seed=seed)

    def __repr__(self) -> str:
        return "Random()"


class Bayesian(OptunaSearcher):
    """A tree-structured Parzen estimator over the trials so far (Bergstra et al., NeurIPS 2011; Optuna's TPE).

    Args:
        kind: "tpe" is the one there is so far.
        startup: random trials before the model is asked.
        others: as for `OptunaSearcher`.
    """

    def __init__(self, kind: Literal["tpe"] = "tpe", *, startup: int = 8, **others: Any) -> None:
        if kind != "tpe":
            raise SearchError(f"Expected kind to be 'tpe', got {kind!r}. Leave it out for the default.")
        if startup < 1:
            raise SearchError(
                f"Expected at least 1 start-up trial, got startup={startup}. A model needs something to learn from."
            )
        super().__init__(**others)
        self.kind = kind
        self.startup = startup

    def sampler(self, seed: int) -> BaseSampler:
        """A fresh TPE sampler; running trials count as bad ones, so that workers spread out."""
        ready = sum(told.state in {"COMPLETE", "PRUNED"} for told in self._told.values())
        if len(self._told) < self.startup or ready == 0:
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=0, multivariate=True, constant_liar=True)

    def __repr__(self) -> str:
        return f"Bayesian(kind={self.kind!r}, startup={self.startup})"


def derived_seed(seed: int, *path: int) -> int:
    """A seed for one purpose of one trial, independent of the others (numpy's SeedSequence), below 2**31."""
    return int(np.random.SeedSequence([seed, *path]).generate_state(1)[0] >> 1)


def _new_study(mode: str) -> optuna.Study:
    storage = optuna.storages.InMemoryStorage()
    return optuna.create_study(storage=storage, direction="minimize" if mode == "min" else "maximize")


def is_finite_number(value: Any) -> TypeGuard[float]:
    """Whether a reported value can be compared: a real, finite number and not a truth value."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)


def _with_seed(config: Params, seed: int) -> Params:
    return config if "seed" in config else config | {"seed": seed}
