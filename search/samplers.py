"""Random and Bayesian search: Optuna samplers that are told the truth, and shown what they can compare."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import optuna
from optuna.samplers import BaseSampler

from search.comparable import Losses, Projection
from search.gp_sampler import GPSampler
from search.errors import SearchError
from search.method import SearchMethod, Suggestion, derived_seed
from search.method import is_finite_number as is_finite_number
from search.study import Observation, question


class OptunaSearcher(SearchMethod):
    """A search method that asks an Optuna sampler.

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
        super().__init__(score=score, iterations=iterations, seed=seed)
        self.points_to_evaluate = tuple(points_to_evaluate)

    @abstractmethod
    def sampler(self, seed: int) -> BaseSampler:
        """A fresh Optuna sampler for one suggestion."""

    def on_space(self) -> None:
        """Check the points."""
        for point in self.points_to_evaluate:
            self.space.labels(point)

    def propose(self, number: int) -> Suggestion:
        """The point of this number, or what the sampler says."""
        fixed = self.space.labels(self.points_to_evaluate[number]) if number < len(self.points_to_evaluate) else {}
        trial = question(self.sampler(derived_seed(self.seed, number)), self._observations(), fixed)
        for name, distribution in self.space.distributions().items():
            trial._suggest(name, distribution)
        return Suggestion(trial.params, reason="point" if fixed else "model")

    def _observations(self) -> list[Observation]:
        distributions = self.space.distributions()
        sign = self.loss(1.0)
        curves = {i: Losses.of(t.reports, self.score, sign) for i, t in self.told.items() if t.reports}
        full = self.iterations or max((c.length for c in curves.values()), default=1)
        learned = Projection.learn([c for i, c in curves.items() if self.told[i].state != "FAIL"], full)
        seen = []
        for i, told in self.told.items():
            running = told.state == "RUNNING"
            if told.state == "FAIL" or (i not in curves and not running):
                continue
            loss, spread = learned.to_full(curves[i]) if i in curves else (None, 0.0)
            seen.append(Observation(told.suggestion.values, distributions, loss, spread, running))
        worst = max((o.loss for o in seen if o.loss is not None), default=None)
        if worst is not None:
            seen += [
                Observation(t.suggestion.values, distributions, worst)
                for t in self.told.values()
                if t.state == "FAIL"
            ]
        return seen


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

    def __init__(self, kind: str = "gp", *, startup: int = 8, **others: Any) -> None:
        if startup < 1:
            raise SearchError(
                f"Expected at least 1 start-up trial, got startup={startup}. A model needs something to learn from."
            )
        super().__init__(**others)
        self.kind = kind
        self.startup = startup

    def sampler(self, seed: int) -> BaseSampler:
        """A fresh TPE sampler; running trials count as bad ones, so that workers spread out."""
        ready = sum(bool(told.reports) for told in self.told.values())
        if len(self.told) < self.startup or ready == 0:
            return optuna.samplers.RandomSampler(seed=seed)
        if self.kind == "gp":
            return GPSampler(self.space.distributions(), optuna.samplers.RandomSampler(seed=seed), seed)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=0, multivariate=True, constant_liar=True)

    def __repr__(self) -> str:
        return f"Bayesian(kind={self.kind!r}, startup={self.startup})"
