"""The record of a run, written while it goes on: a Ray Tune `Callback`.

Every event goes to the journal at once, and from there to Parquet: a trial that ends within a second, reports of trials
under way as often as they cost less than a twentieth of the time. The best checkpoints of the run are kept, while Ray
Tune itself keeps only what a trial under way needs.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyarrow.fs import FileSelector
from ray.tune import Callback, Checkpoint
from ray.tune.experiment import Trial
from ray.tune.result import NODE_IP, TIME_TOTAL_S, TRAINING_ITERATION
from ray.tune.utils import flatten_dict
from rich.text import Text

from search.method import SearchMethod, is_finite_number
from search.params import Params, as_data, flatten, nest
from search.records import scalars, table_of
from search.run_folder import RunFolder
from search.running.failures import explain, in_short
from search.running.guard import AUTOMATIC, Guard
from search.running.journal import Journal
from search.running.keeper import Keeper, keep_beside, let_go
from search.running.ledger import ENDED, Entry, Event, Ledger, Snapshot
from search.running.measurements import Measurements
from search.running.study_file import StudyFile

# Seconds between two writes: after a trial has ended, and while none has.
_SOON, _AT_LEISURE = 0.5, 5.0
# Writing may take this share of the time.
_SHARE = 0.05
# How Ray Tune calls a checkpoint in the folder of its trial.
_CHECKPOINT = re.compile(r"checkpoint_[^/]*")


class Recorder(Callback):
    """Writes the journal, `trials.parquet`, `measurements/`, the study and `checkpoints/` of a run.

    Args:
        folder: the run's files.
        journal: where events go first.
        ledger: what is known of the trials, from earlier sessions of the run too.
        guard: says which trials failed and which ran to their full length.
        keep: trials of the run whose checkpoints are kept.
        snapshots: checkpoints of each of them.
        method: what suggests the trials.
        study: the trials as Optuna sees them.
        clock: seconds that only go up.
    """

    def __init__(
        self,
        folder: RunFolder,
        journal: Journal,
        ledger: Ledger,
        guard: Guard,
        *,
        keep: int,
        snapshots: int = 1,
        method: Any,
        study: StudyFile,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.ledger = ledger
        self.guard = guard
        self._journal = journal
        self._method = method
        self._study = study
        self._keeper = Keeper(ledger, keep, snapshots)
        self._measurements = Measurements(folder)
        self._clock = clock
        self._touched: dict[str, Entry] = {}
        self._obsolete: set[str] = set()
        self._configs: dict[str, Params] = {}
        self._ended = False
        self._fault: Exception | None = None
        self._last_write, self._last_cost = clock(), 0.0

    def __getstate__(self) -> dict[str, Any]:
        # Ray Tune keeps its callbacks in a file of its own; a resumed run makes this one anew, from the journal.
        return {}

    def replay(self, events: Iterable[Event]) -> None:
        """Take up what earlier sessions of the run have noted; what was not in Parquet yet gets there."""
        reports = []
        for event in events:
            self.ledger.apply(event)
            self._touched[event["trial"]] = self.ledger.entries[event["trial"]]
            if event["event"] == "report":
                reports.append(self._measurement(event))
        self._measurements.begin_again(reports)
        kept = {path for entry in self.ledger.entries.values() for path in entry.named}
        for folder in self.folder.folders(self.folder.checkpoints):
            # A session that was killed while it kept or dropped a checkpoint leaves one that no row names.
            if folder.removeprefix(f"{self.folder.root}/") not in kept:
                self.folder.delete_folder(folder)
        for entry in self.ledger.entries.values():
            if entry.status == "running":
                entry.status = "interrupted"
        self._sweep_sessions(self.folder.folders(self.folder.tune))
        self.write()

    def on_suggestion(self, trial: Trial) -> None:
        """Note a trial that was suggested and has not begun."""
        told = self._method.told[trial.trial_id] if isinstance(self._method, SearchMethod) else None
        self._note(
            {
                "event": "suggest",
                "trial": trial.trial_id,
                "number": len(self.ledger.entries) + 1,
                "config": _as_data(trial.config),
                "suggestion": asdict(told.suggestion) if told else {},
                "suggested_by": "" if self._method is None else repr(self._method),
            }
        )

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note a trial that begins, or goes on."""
        if trial.trial_id not in self.ledger.entries:
            self.on_suggestion(trial)
        resources = trial.placement_group_factory.required_resources
        self._note({"event": "start", "trial": trial.trial_id, "time": time.time(), "resources": resources})

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Note a report."""
        self._note_config(trial)
        report = flatten_dict(result)
        value = report.get(self.guard.metric)
        event = {
            "event": "report",
            "trial": trial.trial_id,
            "iteration": int(report[TRAINING_ITERATION]),
            "seconds": float(report[TIME_TOTAL_S]),
            "node": report.get(NODE_IP),
            "value": float(value) if is_finite_number(value) else None,
            "time": time.time(),
            "scalars": scalars(report, without=AUTOMATIC),
        }
        self._note(event)
        self._measurements.add(self._measurement(event))

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note the end of a trial, and let go of the checkpoints that only a trial under way needs."""
        if trial.trial_id in self.guard.braked:
            return  # it goes on when the run does
        failure = self.guard.failures.get(trial.trial_id)
        ended = "finished" if trial.trial_id in self.guard.complete else "stopped"
        self.end(self.ledger.entries[trial.trial_id], "failed" if failure else ended, failure)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note that an attempt was lost, and why; the trial starts again."""
        entry = self.ledger.entries.get(trial.trial_id)
        if entry is None or entry.status != "running":
            return  # the machine went away before the trial could begin there
        excuse = getattr(trial, "excuse", None)
        why = excuse or in_short(_trace(trial))
        lost = {"event": "lost", "trial": trial.trial_id, "time": time.time(), "why": why}
        self._note(lost | {"crashed": excuse is None})

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note a trial that crashed for good."""
        trace = _trace(trial)
        entry = self.ledger.entries[trial.trial_id]
        log = f"{self.folder.logs}/{entry.number:05d}.txt"
        self.folder.write_text(log, trace)
        failure = explain(trace, number=entry.number, config=trial.config, resources=entry.resources, log=log)
        self.end(entry, failure.status, failure.reason)

    def on_checkpoint(
        self, iteration: int, trials: list[Trial], trial: Trial, checkpoint: Checkpoint, **info: Any
    ) -> None:
        """Note what the trial can go on from, and keep it if it is among the best of the run."""
        try:
            self._take_checkpoint(trial, checkpoint)
        except Exception as fault:
            # Ray Tune logs what goes wrong in here, and nothing more: the next thing to note ends the run.
            self._fault = fault
            raise

    def _take_checkpoint(self, trial: Trial, checkpoint: Checkpoint) -> None:
        entry = self.ledger.entries[trial.trial_id]
        self._note(
            {
                "event": "checkpoint",
                "trial": trial.trial_id,
                "path": checkpoint.path.removeprefix(f"{self.folder.root}/"),
                "iteration": entry.iterations,
                "seconds": entry.seconds,
            }
        )
        value = flatten_dict(trial.last_result).get(self.guard.metric)
        if is_finite_number(value) and trial.trial_id not in self.guard.failures:
            held = entry.named
            self._weigh(entry, float(value), checkpoint)
            self._keep_beside(entry, held)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Write what is due."""
        if self._fault is not None:
            raise self._fault
        self._journal.flush_when_due()
        waited = self._clock() - self._last_write
        due = max(_SOON if self._ended else _AT_LEISURE, self._last_cost / _SHARE)
        if self._touched and waited >= due:
            self.write()

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """Write the rest; what still runs was interrupted."""
        self.close()

    def close(self) -> None:
        """Write the rest."""
        for entry in self.ledger.entries.values():
            if entry.status == "running":
                entry.status = "interrupted"
                self._touched[entry.trial_id] = entry
        self.write()
        # A session that was killed may have saved what no event tells of: it was killed before it could.
        self._sweep_sessions(self.folder.folders(self.folder.tune)[:-1])
        self._study.close()

    def is_whole(self, trial_id: str) -> bool:
        """Whether a trial is to run its full length, because its score is averaged with others."""
        return bool(self.ledger.entries[trial_id].suggestion.get("whole"))

    @property
    def ended(self) -> int:
        """How many trials have ended."""
        return sum(entry.status in ENDED for entry in self.ledger.entries.values())

    def reconsider(self, entry: Entry, checkpoint: str) -> None:
        """Weigh a trial's latest checkpoint again: the session that wrote it may have ended before it did."""
        value, held = entry.values.get(entry.latest_iteration), entry.named
        if value is not None and (entry.kept_iteration or 0) < entry.latest_iteration:
            self._weigh(entry, value, Checkpoint(path=checkpoint, filesystem=self.folder.fs))
        self._keep_beside(entry, held)

    def end(self, entry: Entry, status: str, error: str | None = None) -> None:
        """Note the end of a trial, and let go of the checkpoints that only a trial under way needs."""
        if status not in {"finished", "stopped"} and entry.kept is not None:
            self._note(let_go(entry))
        stopped_by = self.guard.stop.reason_for(entry.trial_id) or "the scheduler"
        self._note(
            {
                "event": "end",
                "trial": entry.trial_id,
                "status": status,
                "error": error,
                "ended_by": stopped_by if status == "stopped" else None,
                "time": time.time(),
            }
        )
        self._ended = True
        self._sweep(entry)

    def write(self) -> None:
        """Write everything that is known now."""
        began = self._clock()
        self._journal.flush()
        self._measurements.write()
        rows = self.ledger.rows()
        if rows:
            self.folder.write_table(self.folder.trials, table_of(rows))
        self._study.update(self._touched.values())
        # Only now does no row name them any more.
        for path in sorted(self._obsolete):
            self.folder.delete_folder(self.folder.inside(path))
        self._obsolete, self._touched, self._ended = set(), {}, False
        self._last_write = self._clock()
        self._last_cost = self._last_write - began

    def _note(self, event: Event) -> None:
        if self._fault is not None:
            raise self._fault
        entry = self.ledger.entries.get(event["trial"])
        before = entry.named if entry else frozenset()
        self._journal.append(event)
        self.ledger.apply(event)
        entry = self._touched[event["trial"]] = self.ledger.entries[event["trial"]]
        self._obsolete = (self._obsolete | before) - entry.named

    def _measurement(self, event: Event) -> dict[str, Any]:
        """A report as a row; to be made before any later event of its trial is applied."""
        return {
            "trial_id": event["trial"],
            "iteration": event["iteration"],
            "seconds": event["seconds"],
            "time": datetime.fromtimestamp(event["time"], UTC),
            "node": event["node"],
            "attempt": len(self.ledger.entries[event["trial"]].attempts),
            **event["scalars"],
        }

    def _note_config(self, trial: Trial) -> None:
        """Population based training gives a trial another configuration on the way."""
        if self._configs.get(trial.trial_id) is trial.config:
            return
        self._configs[trial.trial_id] = trial.config
        config = _as_data(trial.config)
        if config != self.ledger.entries[trial.trial_id].config:
            self._note({"event": "config", "trial": trial.trial_id, "config": config})

    def _weigh(self, entry: Entry, value: float, checkpoint: Checkpoint) -> None:
        for event in self._keeper.weigh(entry, value):
            if event["path"] is not None:
                kept = self.folder.inside(event["path"])
                self.folder.copy_folder(checkpoint.path, kept, checkpoint.filesystem)
            self._note(event)

    def _keep_beside(self, entry: Entry, held: frozenset[str]) -> None:
        """Keep snapshots; what the trial counted by until now is in `held`, and lies where it shall be as one."""

        def source(snapshot: Snapshot) -> str:
            return self.folder.inside(entry.saved[snapshot.iteration])

        def there(snapshot: Snapshot) -> bool:
            return snapshot.path in held or self.folder.exists(source(snapshot))

        snapshots = self._keeper.snapshots(entry, there)
        if snapshots == entry.snapshots:
            return
        for snapshot in snapshots:
            if snapshot.path not in held:
                self.folder.copy_folder(source(snapshot), self.folder.inside(snapshot.path))
        self._note(keep_beside(entry, snapshots))

    def _sweep(self, entry: Entry) -> None:
        for place in entry.places:
            for folder in self.folder.folders(self.folder.inside(place)):
                if folder.rsplit("/", 1)[-1].startswith("checkpoint_"):
                    self.folder.delete_folder(folder)

    def _sweep_sessions(self, sessions: Iterable[str]) -> None:
        """Delete what sessions of Ray Tune left of trials that have ended: one listing each, however many they are."""
        for session in sessions:
            for found in self.folder.fs.get_file_info(FileSelector(session, recursive=True)):
                trial_id, _, name = found.path.removeprefix(f"{session}/").partition("/")
                entry = self.ledger.entries.get(trial_id)
                if entry is not None and entry.status in ENDED and _CHECKPOINT.fullmatch(name):
                    self.folder.delete_folder(found.path)


def _trace(trial: Trial) -> str:
    """What Ray Tune wrote about the ends of a trial's attempts."""
    written = Path(trial.error_file).read_text(errors="replace") if trial.error_file else "no traceback"
    return Text.from_ansi(written).plain


def _as_data(config: Params) -> Params:
    return nest({name: as_data(value) for name, value in flatten(config).items()})
