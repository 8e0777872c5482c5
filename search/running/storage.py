"""When the storage of a run fails it: a disk that is full, a bucket that refuses. In words, and how to go on."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from search.errors import RunError
from search.run_folder import RunFolder
from search.running.journal import Journal
from search.running.retried import RetriedTrial

_FULL = (errno.ENOSPC, errno.EDQUOT)


class Watch(Callback):
    """Ends a session whose storage fails it, before anything is written: the first callback of all.

    Args:
        folder: the run.
        journal: knows whether another driver has the run.
    """

    def __init__(self, folder: RunFolder, journal: Journal) -> None:
        self._folder, self._journal = folder, journal

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Look whether the run is still this driver's."""
        self._journal.check()

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial that found no room on the disk of the run is not to blame for it."""
        # Beside a bucket it is the disk of one machine that is full, and trials may fare better on others.
        if self._folder.is_local and isinstance(trial, RetriedTrial) and trial.disk_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    on_trial_error = on_trial_recover


@contextmanager
def in_words(folder: RunFolder) -> Iterator[None]:
    """Turn what storage can come to into an error that says how to go on."""
    try:
        yield
    except OSError as fault:
        if is_full(fault):
            raise RunError(full_disk(folder)) from fault
        raise RunError(
            f"Expected to read and write the run {folder.address!r}, got: {fault}. What had reached it is there."
            f" Correct the address or the rights to it, then: huetune resume {folder.address}"
        ) from fault


def is_full(failure: BaseException | None) -> bool:
    """Whether a failure, or what it came from, is that of a disk without room."""
    while failure is not None:
        if isinstance(failure, OSError) and failure.errno in _FULL:
            return True
        failure = failure.__cause__ or failure.__context__
    return False


def full_disk(folder: RunFolder) -> str:
    """What to tell whoever runs a search on a disk that is full."""
    places = [folder.root, tempfile.gettempdir()] if folder.is_local else [tempfile.gettempdir()]
    free = " and ".join(f"{shutil.disk_usage(place).free / 2**20:,.1f} MiB free in {place}" for place in places)
    return (
        f"The disk is full: {free}. Whatever had finished is kept in {folder.address}, and trials under way go on from"
        f" their latest checkpoints. Make room, then: huetune resume {folder.address}"
    )
