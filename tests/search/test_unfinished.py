"""What a resumed run begins with: trials that go on, trials that only lacked the word of their end, memories."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs

from search.patient import Answer, _Patient
from search.run_folder import RunFolder
from search.running.guard import Guard
from search.running.journal import Journal
from search.running.ledger import Event, Ledger
from search.running.recorder import Recorder
from search.running.study_file import StudyFile
from search.running.unfinished import remind, rung_reports, unfinished_trials
from search.space import Space
from search.stopping.budget import Budget
from search.stopping.stoppers import Stoppers
from search.stopping.trials import Patience


def suggested(trial: str, number: int, **suggestion: Any) -> Event:
    config = {"x": number, **({"training_iteration": 6} if suggestion.get("whole") else {})}
    begun = {"event": "suggest", "trial": trial, "number": number, "suggestion": suggestion, "config": config}
    return begun | {"suggested_by": ""}


def started(trial: str) -> Event:
    return {"event": "start", "trial": trial, "time": 0.0, "resources": {"CPU": 1.0, "GPU": 0.5}}


def reported(trial: str, iteration: int, value: float) -> Event:
    at: Event = {"iteration": iteration, "seconds": 100.0 * iteration, "node": "here", "time": float(iteration)}
    return {"event": "report", "trial": trial, "value": value, "scalars": {"loss": value}, **at}


def saved(trial: str, iteration: int) -> Event:
    path = f"tune/001/{trial}/checkpoint_{iteration:06d}"
    return {"event": "checkpoint", "trial": trial, "path": path, "iteration": iteration, "seconds": 100.0 * iteration}


def ended(trial: str) -> Event:
    how = {"status": "finished", "error": None, "ended_by": None}
    return {"event": "end", "trial": trial, "time": 9.0, **how}


def recorder_of(folder: RunFolder, *events: Event, iterations: int = 3) -> Recorder:
    folder.write_json(folder.definition, {"format": "huetune-run", "version": 1, "mode": "min"})
    for event in events:
        if event["event"] == "checkpoint":
            checkpoint = Path(folder.inside(event["path"]))
            checkpoint.mkdir(parents=True)
            (checkpoint / "state.json").write_text(json.dumps(event["iteration"]))
    study = StudyFile(folder, "a", "min", "best", Space((), ()))
    guard = Guard("loss", iterations)
    recorder = Recorder(folder, Journal(folder), Ledger("min"), guard, keep=2, method=None, study=study)
    recorder.replay(events)
    return recorder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.open(tmp_path / "run")


def test_a_trial_goes_on_from_the_checkpoint_named_last(folder: RunFolder) -> None:
    events = [suggested("a", 1), started("a")]
    for iteration in (1, 2):
        events += [reported("a", iteration, 1.0), saved("a", iteration)]
    recorder = recorder_of(folder, *events, suggested("b", 2))
    going_on, fresh = unfinished_trials(recorder, lambda entry: entry.config)
    assert (going_on.trial_id, going_on.iteration, going_on.seconds) == ("a", 2, 200.0)
    assert going_on.checkpoint == folder.inside("tune/001/a/checkpoint_000002")
    assert (fresh.trial_id, fresh.checkpoint, fresh.iteration) == ("b", None, 0)


def test_a_trial_that_had_made_its_last_report_and_was_saved_is_closed(folder: RunFolder) -> None:
    recorder = recorder_of(folder, suggested("a", 1), started("a"), reported("a", 3, 0.5), saved("a", 3))
    assert unfinished_trials(recorder, lambda entry: entry.config) == []
    [row] = recorder.ledger.rows()
    assert (row["status"], row["score"]) == ("finished", 0.5)
    # Its checkpoint is among the best of the run, and where Ray Tune had put it there is none any more.
    assert json.loads(Path(folder.inside(row["checkpoint"]), "state.json").read_text()) == 3
    assert not list(Path(folder.tune).glob("*/*/checkpoint_*"))


def test_a_trial_that_was_not_saved_after_its_last_report_does_its_last_step_again(folder: RunFolder) -> None:
    recorder = recorder_of(
        folder, suggested("a", 1), started("a"), reported("a", 2, 1.0), saved("a", 2), reported("a", 3, 0.5)
    )
    [going_on] = unfinished_trials(recorder, lambda entry: entry.config)
    assert going_on.iteration == 2


def test_a_trial_has_the_length_that_its_method_gave_it(folder: RunFolder) -> None:
    recorder = recorder_of(folder, suggested("a", 1, whole=True), started("a"), reported("a", 3, 0.5), saved("a", 3))
    assert [item.trial_id for item in unfinished_trials(recorder, lambda entry: entry.config)] == ["a"]


def test_a_trial_whose_checkpoint_has_gone_begins_again(folder: RunFolder) -> None:
    recorder = recorder_of(folder, suggested("a", 1), started("a"), reported("a", 2, 1.0), saved("a", 2))
    Path(folder.inside("tune/001/a/checkpoint_000002/state.json")).unlink()
    Path(folder.inside("tune/001/a/checkpoint_000002")).rmdir()
    [again] = unfinished_trials(recorder, lambda entry: entry.config)
    assert (again.checkpoint, again.iteration, again.seconds) == (None, 0, 0.0)


def test_checkpoints_that_no_row_names_are_swept_away(folder: RunFolder) -> None:
    stray = Path(folder.checkpoints, "00009-000001")
    stray.mkdir(parents=True)
    recorder_of(folder, suggested("a", 1))
    assert not stray.exists()


def test_what_sessions_left_of_trials_that_ended_is_swept_away_and_nothing_else(folder: RunFolder) -> None:
    left = [Path(folder.tune, session, "a", "checkpoint_000099") for session in ("001", "002")]
    stay = [Path(folder.tune, "001", *path) for path in (("a", "artifact"), ("b", "checkpoint_000099"))]
    for place in (*left, *stay):
        place.mkdir(parents=True)
    recorder_of(folder, suggested("a", 1), started("a"), ended("a"), suggested("b", 2), started("b"))
    assert not any(place.exists() for place in left)
    assert all(place.exists() for place in stay)


class Counting(_Patient):
    """Files that count how often they are asked for anything: in a bucket each time is a request."""

    asked = 0

    def insist(self, operation: Callable[[], Answer]) -> Answer:
        self.asked += 1
        return super().insist(operation)


def test_a_run_is_taken_up_with_as_many_requests_however_many_trials_have_ended(tmp_path: Path) -> None:
    asked = []
    for trials in (2, 20):
        files = Counting(fs.LocalFileSystem(), 0.0)
        folder = replace(RunFolder.open(tmp_path / str(trials)), fs=fs.PyFileSystem(files))
        events: list[Event] = []
        for number in range(trials):
            trial = f"t{number}"
            Path(folder.tune, "001", trial).mkdir(parents=True)
            events += [suggested(trial, number), started(trial), reported(trial, 3, 1.0), saved(trial, 3), ended(trial)]
        for written in (folder.measurements, folder.journal):
            Path(written).mkdir()
        recorder = recorder_of(folder)
        before = files.asked
        recorder.replay(events)
        asked.append(files.asked - before)
    assert asked[0] == asked[1] > 0


def test_patience_remembers_the_reports_before_the_break(folder: RunFolder) -> None:
    flat = [reported("a", iteration, 1.0) for iteration in (1, 2, 3)]
    events = [suggested("a", 1), started("a"), *flat]
    recorder = recorder_of(folder, *events, iterations=9)
    unfinished = unfinished_trials(recorder, lambda entry: entry.config)
    stoppers = Stoppers.of(Patience(3, smooth=1), "loss", "min")
    remind(stoppers, events, recorder.ledger, unfinished, seconds=0.0)
    assert stoppers("a", {"loss": 1.0, "training_iteration": 4})
    forgetful = Stoppers.of(Patience(3, smooth=1), "loss", "min")
    assert not forgetful("a", {"loss": 1.0, "training_iteration": 4})


def test_a_budget_counts_what_earlier_sessions_have_spent(folder: RunFolder) -> None:
    events = [suggested("a", 1), started("a"), reported("a", 2, 1.0)]
    recorder = recorder_of(folder, *events)
    budget = Budget(seconds=60, gpu_hours=1)
    stoppers = Stoppers.of(budget, "loss", "min", gpus=0.5)
    remind(stoppers, events, recorder.ledger, [], seconds=50.0)
    assert stoppers.budget is not None
    spent = stoppers.budget.spent()
    assert (spent["gpu_seconds"], spent["seconds"]) == (100.0, 50.0)


def test_a_scheduler_is_told_of_no_trial_that_was_kept_from_it() -> None:
    events = [suggested("a", 1), suggested("b", 2, whole=True), reported("a", 1, 3.0), reported("b", 1, 4.0)]
    assert list(rung_reports(events)) == [("a", {"x": 1}, 1, 3.0)]
