"""The study an Optuna sampler is shown: one question at a time, beside whatever trials it should learn from.

The record is elsewhere (`SearchMethod.told`). A study here lives for one suggestion, so nothing in it can grow old.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from search.params import Params

_OPTUNA = logging.getLogger("optuna.storages._in_memory")
# Optuna wants times; no sampler reads them.
_TIME = datetime(2000, 1, 1)
_LOSS = "loss and spread"


@dataclass(frozen=True)
class Observation:
    """What a sampler learns of one trial.

    Attributes:
        params: by the name of an axis.
        distributions: of the same names.
        loss: what the trial came to, or would have come to, at the full budget, less being better; None while nothing
            is known.
        spread: how unsure `loss` is, as a standard deviation; 0 for a full trial.
        running: whether the trial is under way.
    """

    params: Params
    distributions: Mapping[str, BaseDistribution]
    loss: float | None
    spread: float = 0.0
    running: bool = False

    def frozen(self, number: int) -> FrozenTrial:
        """The observation as Optuna knows trials: COMPLETE with its loss, RUNNING without."""
        return FrozenTrial(
            number=number,
            state=TrialState.RUNNING if self.running else TrialState.COMPLETE,
            value=None if self.running else self.loss,
            datetime_start=_TIME,
            datetime_complete=None if self.running else _TIME,
            params=self.params,
            distributions=dict(self.distributions),
            user_attrs={} if self.loss is None else {_LOSS: (self.loss, self.spread)},
            system_attrs={},
            intermediate_values={},
            trial_id=number,
        )


class _Shown(optuna.storages.InMemoryStorage):
    """A storage with further trials that nobody copies and nobody can change."""

    def __init__(self, observations: Sequence[Observation]) -> None:
        super().__init__()
        # Number 0 is the trial that is asked for.
        self._shown = [observation.frozen(number) for number, observation in enumerate(observations, start=1)]

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        own = super().get_all_trials(study_id, deepcopy, states)
        return own + [trial for trial in self._shown if states is None or trial.state in states]


def loss_of(trial: FrozenTrial) -> tuple[float, float] | None:
    """The loss and the spread of a shown trial, also of one under way; None while nothing is known."""
    return trial.user_attrs.get(_LOSS)


def question(
    sampler: BaseSampler,
    observations: Sequence[Observation],
    fixed: Mapping[str, Any],
    distributions: Mapping[str, BaseDistribution] | None = None,
) -> optuna.Trial:
    """A trial whose parameters the sampler chooses in the light of the observations.

    Args:
        sampler: an Optuna sampler; it minimizes.
        observations: what it may learn from.
        fixed: parameters that are given.
        distributions: parameters to ask for at once; others can be asked for afterwards.
    """
    with _quiet():
        study = optuna.create_study(storage=_Shown(observations), direction="minimize", sampler=sampler)
    if fixed:
        study.enqueue_trial(dict(fixed))
    return study.ask(dict(distributions or {}))


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna announces every new study, and there is one for every suggestion."""
    level = _OPTUNA.level
    _OPTUNA.setLevel(logging.WARNING)
    try:
        yield
    finally:
        _OPTUNA.setLevel(level)
