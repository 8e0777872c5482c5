"""The record of a run, written while it goes on: a Ray Tune `Callback`.

Every report goes to Parquet, and the best checkpoints of the run are kept while Ray Tune itself keeps only what a
trial under way needs. A trial that ends is on disk within a second; reports of trials under way follow as often as
they cost less than a twentieth of the time.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ray.tune import Callback, Checkpoint
from ray.tune.experiment import Trial
from ray.tune.result import NODE_IP, TIME_TOTAL_S, TRAINING_ITERATION
from ray.tune.utils import flatten_dict
from rich.text import Text

from search.guard import AUTOMATIC, Guard
from search.records import concatenate, scalars, table_of
from search.run_folder import RunFolder
from search.samplers import is_finite_number
from search.space import as_data, flatten

# Seconds between two writes: after a trial has ended, and while none has.
_SOON, _AT_LEISURE = 0.5, 5.0
# Writing may take this share of the time.
_SHARE = 0.05
# So many small files of reports are joined into one larger one.
_JOIN = 16


@dataclass
class _Entry:
    """What is known of a trial so far; becomes its row."""

    trial_id: str
    number: int
    config: dict[str, Any]
    resources: dict[str, float]
    suggested_by: str
    started: datetime
    status: str = "running"
    best: float | None = None
    best_iteration: int | None = None
    last: float | None = None
    iterations: int = 0
    seconds: float = 0.0
    node: str | None = None
    error: str | None = None
    ended: datetime | None = None
    checkpoint: str | None = None
    checkpoint_iteration: int | None = None
    checkpoint_score: float | None = field(default=None, repr=False)

    def row(self, score: Literal["best", "last"]) -> dict[str, Any]:
        counted = self.best if score == "best" else self.last
        return {
            "trial_id": self.trial_id,
            "number": self.number,
            "status": self.status,
            "stage": None,
            "score": None if self.status == "failed" else counted,
            "metric.best": self.best,
            "metric.last": self.last,
            "metric.best_iteration": self.best_iteration,
            "iterations": self.iterations,
            "seconds": self.seconds,
            "node": self.node,
            "checkpoint": self.checkpoint,
            "checkpoint_iteration": self.checkpoint_iteration,
            "error": self.error,
            "started": self.started,
            "ended": self.ended,
            "suggested_by": self.suggested_by,
            "config": json.dumps(as_data(self.config)),
            **{f"resources.{name.lower()}": amount for name, amount in self.resources.items()},
            **{f"config.{name}": value for name, value in flatten(self.config).items()},
        }


class Recorder(Callback):
    """Writes `trials.parquet`, `measurements/` and `checkpoints/` of a run.

    Args:
        folder: the run's files.
        guard: says which trials failed and which ran to their full length.
        mode: "min" or "max" of the guard's metric.
        score: whether a trial counts by its "best" or its "last" report.
        keep: checkpoints of the run to keep, one a trial.
        suggested_by: the name of the search method.
        clock: seconds that only go up.
    """

    def __init__(
        self,
        folder: RunFolder,
        guard: Guard,
        *,
        mode: Literal["min", "max"],
        score: Literal["best", "last"] = "best",
        keep: int = 8,
        suggested_by: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.guard = guard
        self.mode = mode
        self.score = score
        self.keep = keep
        self.suggested_by = suggested_by
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._kept: dict[str, _Entry] = {}
        self._obsolete: list[str] = []
        self._reports: list[dict[str, Any]] = []
        self._written = 0
        self._changed = self._ended = False
        self._last_write, self._last_cost = clock(), 0.0

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note a trial that begins, or goes on."""
        entry = self._entry(trial)
        entry.status, self._changed = "running", True

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Note a report."""
        report, entry = flatten_dict(result), self._entry(trial)
        entry.iterations = int(report[TRAINING_ITERATION])
        entry.seconds, entry.node = float(report[TIME_TOTAL_S]), report.get(NODE_IP)
        value = report.get(self.guard.metric)
        if is_finite_number(value):
            entry.last = float(value)
            if self._better(entry.last, entry.best):
                entry.best, entry.best_iteration = entry.last, entry.iterations
        head = {
            "trial_id": entry.trial_id,
            "iteration": entry.iterations,
            "seconds": entry.seconds,
            "time": datetime.now(UTC),
        }
        self._reports.append(head | scalars(report, without=AUTOMATIC))
        self._changed = True

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note the end of a trial, and let go of the checkpoint that only a trial under way needs."""
        failure = self.guard.failures.get(trial.trial_id)
        if failure:
            self._close(trial, "failed", failure)
        else:
            self._close(trial, "finished" if trial.trial_id in self.guard.complete else "stopped")
        if trial.checkpoint is not None and trial.checkpoint.path:
            self.folder.delete_folder(trial.checkpoint.path)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note a trial that crashed for good."""
        written = Path(trial.error_file).read_text(errors="replace") if trial.error_file else "no traceback"
        trace = Text.from_ansi(written).plain
        self.folder.write_text(f"{self.folder.logs}/{self._entry(trial).number:05d}.txt", trace)
        self._close(trial, "failed", _reason(trace))

    def on_checkpoint(
        self, iteration: int, trials: list[Trial], trial: Trial, checkpoint: Checkpoint, **info: Any
    ) -> None:
        """Keep the checkpoint if it is among the best of the run."""
        entry, value = self._entry(trial), flatten_dict(trial.last_result).get(self.guard.metric)
        if not is_finite_number(value) or trial.trial_id in self.guard.failures:
            return
        if self.score == "best" and not self._better(value, entry.checkpoint_score):
            return
        worst = self._to_give_way(entry)
        if worst is not None and not self._better(value, worst.checkpoint_score):
            return
        kept = f"checkpoints/{entry.number:05d}-{entry.iterations:06d}"
        self.folder.copy_folder(checkpoint.path, self.folder.inside(kept), checkpoint.filesystem)
        for superseded in (entry, worst):
            if superseded is not None and superseded.checkpoint != kept:
                self._drop(superseded)
        entry.checkpoint, entry.checkpoint_iteration, entry.checkpoint_score = (
            kept,
            entry.iterations,
            float(value),
        )
        self._kept[entry.trial_id] = entry
        self._changed = True

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Write what is due."""
        waited = self._clock() - self._last_write
        due = max(_SOON if self._ended else _AT_LEISURE, self._last_cost / _SHARE)
        if self._changed and waited >= due:
            self.write()

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """Write the rest; what still runs was interrupted."""
        for entry in self._entries.values():
            if entry.status == "running":
                entry.status = "interrupted"
        self.write()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row a trial, as they are now."""
        return [entry.row(self.score) for entry in self._entries.values()]

    def write(self) -> None:
        """Write everything that is known now."""
        began = self._clock()
        if self._reports:
            self._write_reports()
        if self._entries:
            self.folder.write_table(self.folder.trials, table_of(self.rows))
        # Only now does no row name them any more.
        for checkpoint in self._obsolete:
            self.folder.delete_folder(self.folder.inside(checkpoint))
        self._obsolete = []
        self._changed = self._ended = False
        self._last_write = self._clock()
        self._last_cost = self._last_write - began

    def _write_reports(self) -> None:
        self.folder.write_table(f"{self.folder.measurements}/{self._written:08d}.parquet", table_of(self._reports))
        self._reports, self._written = [], self._written + 1
        # The files of 16 writes become one, 16 of those one again, ...: a reader never opens many.
        size = _JOIN
        while self._written % size == 0:
            step = size // _JOIN
            firsts = range(self._written - size, self._written, step)
            parts = [self._measurement_file(first, step) for first in firsts]
            joined = concatenate([self.folder.read_table(part) for part in parts])
            self.folder.write_table(self._measurement_file(self._written - size, size), joined)
            for part in parts:
                self.folder.fs.delete_file(part)
            size *= _JOIN

    def _measurement_file(self, first: int, count: int) -> str:
        joined = f"-{count}" if count > 1 else ""
        return f"{self.folder.measurements}/{first:08d}{joined}.parquet"

    def _entry(self, trial: Trial) -> _Entry:
        entry = self._entries.get(trial.trial_id)
        if entry is None:
            entry = self._entries[trial.trial_id] = _Entry(
                trial_id=trial.trial_id,
                number=len(self._entries) + 1,
                config=trial.config,
                resources=trial.placement_group_factory.required_resources,
                suggested_by=self.suggested_by,
                started=datetime.now(UTC),
            )
        return entry

    def _close(self, trial: Trial, status: str, error: str | None = None) -> None:
        entry = self._entry(trial)
        entry.status, entry.error, entry.ended = status, error, datetime.now(UTC)
        if status == "failed":
            self._drop(entry)
        self._changed = self._ended = True

    def _better(self, value: float, than: float | None) -> bool:
        return than is None or (value < than if self.mode == "min" else value > than)

    def _to_give_way(self, entry: _Entry) -> _Entry | None:
        """Whose checkpoint has to go for one of `entry`, None while there is room."""
        if entry.trial_id in self._kept or len(self._kept) < self.keep:
            return None
        choose: Callable[..., _Entry] = max if self.mode == "min" else min
        return choose(self._kept.values(), key=lambda kept: kept.checkpoint_score)

    def _drop(self, entry: _Entry) -> None:
        if self._kept.pop(entry.trial_id, None) is not None:
            self._obsolete.append(str(entry.checkpoint))
        entry.checkpoint = entry.checkpoint_iteration = entry.checkpoint_score = None


def _reason(trace: str) -> str:
    """The line of a traceback that names the error."""
    lines = [line.strip() for line in trace.splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt|Diverged)\b", line)]
    return (named or lines)[-1]
