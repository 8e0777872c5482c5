"""A run as event files that TensorBoard reads: a folder a trial, and one file that says what the trials differ in.

What a trial's file should hold follows from the run alone, byte for byte (`tensorboard_events`). A file that holds the
beginning of it is continued, so that nothing is written twice, and one that was cut short is mended; TensorBoard itself
passes over a record that is not there to its end. Only a trial that has gone back, to train again from a checkpoint,
gets a new file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.errors import RunError
from search.results import Results
from search.tensorboard_events import experiment, kinds_of, trial_events, varies

try:
    import fcntl
except ImportError:  # Windows has no such locks; there two writers are not noticed
    fcntl = None  # type: ignore[assignment]

_OWNER = "huetune.json"


@dataclass(frozen=True)
class Written:
    """What one pass over a run has done: how many trials there are, and how many files have changed."""

    trials: int
    changed: int


class EventFiles:
    """The event files of a run in a folder; one process at a time writes them.

    Args:
        run: whose they are; it may still go on.
        folder: on a disk; made where it is missing.

    Raises:
        RunError: the folder holds something else, or the files of another run, or another process writes it.
    """

    def __init__(self, run: Results, folder: Path) -> None:
        self._run, self._folder = run, folder
        # What need not be compared with the files again while this process is the one that writes them.
        self._kinds: dict[str, int] = {}
        self._seen: dict[str, tuple[Any, ...]] = {}

    def write(self) -> Written:
        """Write what is new since the last time, in this process or in an earlier one."""
        definition = self._run.definition
        with _owned(self._folder, definition):
            # In this order: whatever a trial that has ended by now reported is found in the measurements.
            trials, measured = self._run.table(), self._run.measurements()
            reports = dict(iter(measured.groupby("trial_id", sort=False)))
            kinds = kinds_of(json.loads(text) for text in trials.get("config", []))
            if kinds != self._kinds:
                self._kinds, self._seen = kinds, {}
            about = experiment(definition, {name: kind for name, kind in kinds.items() if varies(definition, name)})
            changed = int(_extend(self._folder, about))
            for row in ({str(name): cell for name, cell in told.items()} for told in trials.to_dict("records")):
                own = reports.get(row["trial_id"], measured.iloc[:0])
                stand = row["status"], row["config"], len(own), None if own.empty else own["time"].iloc[-1]
                if self._seen.get(row["trial_id"]) != stand:
                    content = trial_events(definition, row, own, kinds)
                    changed += _extend(self._folder / f"trial-{row['number']:05d}", content)
                    self._seen[row["trial_id"]] = stand
        return Written(len(trials), changed)


@contextmanager
def _owned(folder: Path, definition: Mapping[str, Any]) -> Iterator[None]:
    """Have the folder to oneself, and know that it is this run's."""
    mark, whose = folder / _OWNER, {name: definition.get(name) for name in ("name", "started")}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise RunError(f"Expected a folder at {folder}, but a file is there. Name another with -o.") from None
    if not mark.exists() and any(folder.iterdir()):
        raise RunError(
            f"Expected {folder} to be new, empty or of this run, but it holds other files. Name another with -o."
        )
    handle = os.open(mark, os.O_RDWR | os.O_CREAT, 0o644)
    with os.fdopen(handle, "r+", encoding="utf-8") as file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"Expected nobody else to write the event files in {folder}, but another process does. It keeps them up"
                " to date if it watches; else try again when it is through."
            ) from None
        text = file.read()
        if not text:
            json.dump(whose, file)
            file.flush()
        elif text != json.dumps(whose):
            raise RunError(
                f"Expected event files of this run in {folder}, but those of another are there: {text}."
                " Name another folder with -o."
            )
        yield


def _extend(folder: Path, content: bytes) -> bool:
    """Have the newest event file of a folder hold `content`; whether that changed anything."""
    folder.mkdir(exist_ok=True)
    files = sorted(folder.glob("events.out.tfevents.*.huetune"))
    there = files[-1].read_bytes() if files else b""
    if files and content.startswith(there):
        if len(content) > len(there):
            with files[-1].open("ab") as file:
                file.write(content[len(there) :])
        return len(content) > len(there)
    # Under a later name: a TensorBoard that follows the folder reads files in this order, and none again.
    number = int(files[-1].name.split(".")[3]) + 1 if files else 0
    unfinished = folder / ".unfinished"
    unfinished.write_bytes(content)
    os.replace(unfinished, folder / f"events.out.tfevents.{number:010d}.huetune")
    for old in files:
        old.unlink()
    return True
