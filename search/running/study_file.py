"""The trials of a run as an Optuna study in Optuna's journal format, so that optuna-dashboard and Optuna open it.

Written for other programs; huetune itself never reads it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from search.run_folder import RunFolder
from search.running.ledger import FAILED, Entry
from search.space import Space

_STATES = {"finished": TrialState.COMPLETE, "stopped": TrialState.PRUNED}
_STATES |= dict.fromkeys(FAILED, TrialState.FAIL)


class StudyFile:
    """Keeps `study.journal` of a run.

    Args:
        folder: the run.
        name: of the study: the run's own, so that no two runs are ever one study.
        mode: "min" or "max".
        score: whether a trial counts by its "best" or its "last" report.
        space: the axes that trials vary on.
    """

    def __init__(self, folder: RunFolder, name: str, mode: str, score: str, space: Space) -> None:
        self._folder, self._name, self._score, self._space = folder, name, score, space
        self._direction = StudyDirection.MINIMIZE if mode == "min" else StudyDirection.MAXIMIZE
        self._lines = _Lines()
        self._ids: dict[str, int] = {}
        self._steps: dict[str, int] = {}
        self._sent = 0

    def update(self, entries: Iterable[Entry]) -> None:
        """Take up what has happened to some trials, and write it."""
        for entry in entries:
            self._take(entry)
        # Readers of the format leave out a line without an end, so that appending is as good as renaming.
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in self._lines.logs[self._sent :])
        if lines and self._folder.is_local:
            with open(self._folder.study, "a" if self._sent else "w") as out:
                out.write(lines)
            self._sent = len(self._lines.logs)

    def close(self) -> None:
        """Send the whole file to the bucket, where nothing can be appended to."""
        if not self._folder.is_local:
            self._folder.write_text(self._folder.study, "".join(json.dumps(log) + "\n" for log in self._lines.logs))

    @cached_property
    def _study(self) -> optuna.Study:
        storage = JournalStorage(self._lines)
        return optuna.create_study(storage=storage, study_name=self._name, direction=self._direction)

    @property
    def _storage(self) -> BaseStorage:
        return self._study._storage

    def _take(self, entry: Entry) -> None:
        if entry.trial_id not in self._ids:
            self._begin(entry)
        trial_id = self._ids[entry.trial_id]
        if self._storage.get_trial(trial_id).state.is_finished():
            return
        for step, value in list(entry.values.items())[self._steps[entry.trial_id] :]:
            self._storage.set_trial_intermediate_value(trial_id, step, value)
        self._steps[entry.trial_id] = len(entry.values)
        counted = entry.best if self._score == "best" else entry.last
        state = _STATES.get(entry.status)
        if state is TrialState.COMPLETE and counted is not None:
            self._storage.set_trial_state_values(trial_id, state, [counted])
        elif state is not None:
            self._storage.set_trial_state_values(trial_id, TrialState.FAIL if counted is None else state)

    def _begin(self, entry: Entry) -> None:
        values = entry.suggestion.get("values", {})
        own = entry.suggestion.get("notes", {}).get("distributions", {})
        distributions = {name: optuna.distributions.json_to_distribution(text) for name, text in own.items()}
        for axis in self._space.axes:
            if axis.name in values and axis.name not in distributions:
                distributions[axis.name] = _widened(axis.distribution(), values[axis.name])
        told = {k: v for k, v in entry.suggestion.items() if k in {"stage", "cell", "reason"} and v is not None}
        trial = create_trial(
            state=TrialState.RUNNING,
            params={name: values[name] for name in distributions},
            distributions=distributions,
            user_attrs={"trial": entry.number, "trial_id": entry.trial_id, **told},
        )
        self._ids[entry.trial_id] = self._storage.create_new_trial(self._study._study_id, template_trial=trial)
        self._steps[entry.trial_id] = 0


class _Lines(BaseJournalBackend):
    """Optuna's journal in memory, for somebody else to write."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs += logs


def _widened(distribution: BaseDistribution, value: Any) -> BaseDistribution:
    """The distribution, reaching to a value beyond its range: a grid goes past an edge where the best lies on it."""
    if isinstance(distribution, FloatDistribution):
        if not distribution.low <= value <= distribution.high:
            low, high = min(distribution.low, value), max(distribution.high, value)
            return FloatDistribution(low, high, log=distribution.log)
    elif isinstance(distribution, IntDistribution) and not distribution.low <= value <= distribution.high:
        low, high = min(distribution.low, value), max(distribution.high, value)
        return IntDistribution(low, high, log=distribution.log)
    return distribution
