"""Where Ray Tune gets its trials from: those that an earlier session left unfinished first, then new suggestions."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyarrow.fs import FileSystem
from ray.train._internal.session import _TrainingResult
from ray.tune import Checkpoint, CheckpointConfig
from ray.tune.experiment import Trial
from ray.tune.experiment.config_parser import _create_trial_from_spec
from ray.tune.result import TIME_TOTAL_S, TRAINING_ITERATION
from ray.tune.search import Searcher, SearchGenerator
from ray.tune.utils import flatten_dict, merge_dicts

from search.params import Params
from search.running.retried import RetriedTrial


@dataclass(frozen=True)
class Unfinished:
    """A trial that goes on: with the same id and configuration, from its checkpoint if it has one.

    Attributes:
        earlier: iterations and places of checkpoints before that one, latest first.
    """

    trial_id: str
    config: Params
    checkpoint: str | None
    iteration: int
    seconds: float
    crashes: int = 0
    earlier: tuple[tuple[int, str], ...] = ()


class TrialSource(SearchGenerator):
    """A Ray Tune search algorithm around a searcher.

    Args:
        searcher: makes the suggestions; of a resumed run, it knows all that happened.
        fs: where checkpoints lie.
        unfinished: trials to go on with.
        concurrent: trials under way at once at most; None for as many as fit.
        checkpoints: when a trial is saved, and how many of its checkpoints Ray Tune keeps. The run is not to be told
            of a number to keep: Ray Tune would save the state of all trials each time that one trial had made so many.
        on_first: called once, before the first trial, when the scheduler knows its metric.
        on_suggestion: told of every new trial before it begins.
        stopped: says that nothing new is to begin.
    """

    def __init__(
        self,
        searcher: Searcher,
        fs: FileSystem,
        unfinished: list[Unfinished],
        *,
        concurrent: int | None,
        checkpoints: CheckpointConfig,
        on_first: Callable[[], None],
        on_suggestion: Callable[[Trial], None],
        stopped: Callable[[], bool],
    ) -> None:
        super().__init__(searcher)
        self._fs, self._unfinished = fs, list(unfinished)
        self._concurrent, self.checkpoints = concurrent, checkpoints
        self._on_first: Callable[[], None] | None = on_first
        self._on_suggestion, self._stopped = on_suggestion, stopped
        self._live: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        # Ray Tune keeps a copy to restore from; huetune resumes from the journal of the run.
        return {}

    def create_trial_if_possible(self, experiment_spec: dict[str, Any]) -> Trial | None:
        """The next trial, None where there is none for now."""
        if self._on_first is not None:
            self._on_first()
            self._on_first = None
        if self._concurrent is not None and len(self._live) >= self._concurrent:
            return None
        experiment_spec = experiment_spec | {"checkpoint_config": self.checkpoints}
        if self._unfinished:
            trial = self._go_on(self._unfinished.pop(0), experiment_spec)
        else:
            trial = super().create_trial_if_possible(experiment_spec)
            if trial is None:
                return None
            RetriedTrial.take(trial)
            self._on_suggestion(trial)
        self._live.add(trial.trial_id)
        return trial

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A trial is through, or has been put aside for good."""
        self._live.discard(trial_id)
        super().on_trial_complete(trial_id, result, error)

    def is_finished(self) -> bool:
        """Whether no further trial will come."""
        return self._stopped() or super().is_finished()

    def set_finished(self) -> None:
        """No further trial is wanted."""
        self._finished = True

    def save_to_dir(self, dirpath: str, session_str: str) -> None:
        """Nothing: the journal of the run has it all."""

    def _go_on(self, item: Unfinished, experiment_spec: dict[str, Any]) -> Trial:
        spec = copy.deepcopy(experiment_spec)
        spec["config"] = merge_dicts(spec["config"], copy.deepcopy(item.config))
        self._counter += 1
        trial = _create_trial_from_spec(
            spec,
            self._parser,
            evaluated_params=flatten_dict(item.config),
            experiment_tag=str(self._counter),
            trial_id=item.trial_id,
        )
        RetriedTrial.take(trial, item.crashes, [self._result(item, *one) for one in item.earlier])
        if item.checkpoint is not None:
            # What tune.run(restore=...) sets: used until the trial has a checkpoint of this session, never deleted.
            trial._restore_checkpoint_result = self._result(item, item.iteration, item.checkpoint)
        return trial

    def _result(self, item: Unfinished, iteration: int, path: str) -> _TrainingResult:
        # How long the trial took to earlier ones is not noted: about in proportion.
        metrics = {TRAINING_ITERATION: iteration, TIME_TOTAL_S: item.seconds * iteration / item.iteration}
        return _TrainingResult(checkpoint=Checkpoint(path=path, filesystem=self._fs), metrics=metrics)
