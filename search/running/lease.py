"""Who drives a run: in a bucket, where no system's lock keeps a second driver out, a note that is renewed all the time.

The note says nothing by its age, since no two clocks need agree: whoever wants the run watches whether it is renewed.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

from search.errors import RunError
from search.run_folder import RunFolder

try:
    import fcntl
except ImportError:  # Windows has no such locks; there two drivers of one run are not noticed
    fcntl = None  # type: ignore[assignment]

_KEYS = {"holder", "host", "processes", "pid", "beat", "every"}
# A holder that was not seen for so many of its own intervals is gone.
_MISSED = 3
# A reader compares the bucket's clock with its own, so that it allows for more.
_READERS_TOLERANCE = 60.0

_log = logging.getLogger(__name__)


class TakenOver(RunError):
    """Another driver goes on with the run, because it took this one to be gone."""


class Lock:
    """The right to drive a run on a disk. The system lets go of it when the process ends, however it ends.

    Args:
        folder: the run.
        patience: seconds in which a reader that looks at the lock has looked.

    Raises:
        RunError: another driver is at work on the run.
    """

    def __init__(self, folder: RunFolder, patience: float = 1.0) -> None:
        os.makedirs(folder.journal, exist_ok=True)
        self._file: int | None = os.open(_lock(folder), os.O_WRONLY | os.O_CREAT, 0o644)
        until = time.monotonic() + patience
        while not _locked(self._file, exclusive=True):
            if time.monotonic() > until:
                os.close(self._file)
                raise RunError(_still_going_on(folder))
            time.sleep(0.05)

    def check(self) -> None:
        """Nothing: nobody can take a lock away."""

    def release(self) -> None:
        """Let others have the run."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Lease:
    """The right to drive a run in a bucket, renewed by a thread until it is released.

    Args:
        folder: the run, its bucket not patient: a sign of life that comes late is worse than none.
        say: is told what a person should know while this waits.
        every: seconds between two signs of life.
        settle: seconds in which two drivers that began at the same moment see each other.

    Attributes:
        holder: a name that no other driver has.

    Raises:
        RunError: another driver is at work on the run.
    """

    def __init__(
        self, folder: RunFolder, say: Callable[[str], None] = _log.warning, *, every: float = 10.0, settle: float = 2.0
    ) -> None:
        self.holder = secrets.token_hex(4)
        self._folder, self._every = folder, every
        self._beat, self._replaced = 0, False
        self._wait_until_free(say)
        self._renew()
        time.sleep(settle)
        self._look()
        if self._replaced:
            raise RunError(_still_going_on(folder, self._read()))
        self._over = Flag()
        self._thread = Thread(target=self._keep, name="huetune-lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """To be called before anything is written to the run.

        Raises:
            TakenOver: another driver has it now.
        """
        # A process that was frozen looks before it does anything; otherwise the thread has just looked.
        if not self._over.is_set() and _now() - self._seen > 1.5 * self._every:
            self._look()
        if self._replaced:
            other = self._read()
            raise TakenOver(
                f"Another driver{_by(other)} has taken over the run {self._folder.address!r}: this one had given no"
                " sign of life for a while. It has written nothing since, and ends here; the run goes on there."
            )

    def release(self) -> None:
        """Let others have the run."""
        if self._over.is_set():
            return
        self._over.set()
        self._thread.join()
        # A note that stays behind costs the next driver half a minute, no more.
        with suppress(OSError):
            self._look()
            if not self._replaced:
                self._folder.fs.delete_file(_note(self._folder))

    def _wait_until_free(self, say: Callable[[str], None]) -> None:
        held = self._read()
        if held is None or _is_dead(held):
            return
        wait = _MISSED * float(held["every"])
        seen = self._folder.fs.get_file_info(_note(self._folder)).mtime
        when = f"{seen.astimezone():%Y-%m-%d %H:%M:%S}" if seen else "at an unknown time"
        say(
            f"The driver on {held['host']} that had this run was last seen {when};"
            f" waiting {wait:g} s to be sure that it is gone."
        )
        until = time.monotonic() + wait
        while time.monotonic() < until:
            time.sleep(self._every / 5)
            found = self._read()
            if found is None:
                return  # it has come to its end
            if found != held:
                raise RunError(_still_going_on(self._folder, found))

    def _keep(self) -> None:
        while not self._over.wait(self._every):
            try:
                self._look()
                if self._replaced:
                    break
                # Frozen since it looked, it may have been replaced: it looks again before it writes.
                if _now() - self._seen < self._every:
                    self._renew()
            except (OSError, RunError) as fault:
                _log.warning("The lease could not be renewed; trying again in %g s: %s", self._every, fault)

    def _look(self) -> None:
        now, found = _now(), self._read()
        if found is None or found["holder"] != self.holder:
            self._replaced = True
        else:
            self._seen = now

    def _renew(self) -> None:
        self._beat += 1
        note = {"holder": self.holder, "host": socket.gethostname(), "processes": _processes(), "pid": os.getpid()}
        self._folder.write_json(_note(self._folder), note | {"beat": self._beat, "every": self._every})

    def _read(self) -> dict[str, Any] | None:
        # Asked until it answers: to write without knowing would be worse than to wait.
        try:
            with self._folder.patient().fs.open_input_stream(_note(self._folder)) as source:
                found = json.loads(source.read())
        except (FileNotFoundError, ValueError):
            return None
        return found if isinstance(found, dict) and found.keys() >= _KEYS else None


def is_driven(folder: RunFolder) -> bool | None:
    """Whether a driver is at work on a run, None where that cannot be told. Disturbs none that is about to begin."""
    if not folder.is_local:
        seen = folder.fs.get_file_info(_note(folder)).mtime
        return None if seen is None else (datetime.now(UTC) - seen).total_seconds() < _READERS_TOLERANCE
    if fcntl is None:
        return None
    try:
        lock = os.open(_lock(folder), os.O_RDONLY)
    except OSError:
        return None
    try:
        return not _locked(lock, exclusive=False)
    finally:
        os.close(lock)


def _locked(file: int, exclusive: bool) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _processes() -> str | None:
    """What processes are told apart by their numbers in: a machine since it was booted, a container on it."""
    with suppress(OSError):
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    return None


def _is_dead(held: dict[str, Any]) -> bool:
    """Whether a driver was one of this machine's processes, and is no more."""
    if held["processes"] is None or held["processes"] != _processes():
        return False
    try:
        os.kill(int(held["pid"]), 0)
    except OSError as fault:
        return isinstance(fault, ProcessLookupError)
    return False


def _now() -> float:
    """Seconds that go on while the process is frozen, and while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _still_going_on(folder: RunFolder, held: dict[str, Any] | None = None) -> str:
    return (
        f"Expected a run that nobody is at work on, but {folder.address!r} is still going on{_by(held)}."
        " Wait for it, or stop its driver first."
    )


def _by(held: dict[str, Any] | None) -> str:
    return f", by host {held['host']}, pid {held['pid']}" if held else ""


def _lock(folder: RunFolder) -> str:
    return f"{folder.journal}/lock"


def _note(folder: RunFolder) -> str:
    return f"{folder.journal}/lease.json"
