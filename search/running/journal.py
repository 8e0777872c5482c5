"""What happened in a run, an event a line, written as it happens: what `resume` goes by.

On a disk every event is with the operating system when `append` returns, so a driver that is killed loses none. In a
bucket, where nothing can be appended to, events wait for `flush`, which writes the last part anew until it is large.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from typing import Any

from search.errors import RunError
from search.run_folder import RunFolder

try:
    import fcntl
except ImportError:  # Windows has no such locks; there two drivers of one run are not noticed
    fcntl = None  # type: ignore[assignment]

Event = dict[str, Any]

# A part in a bucket grows to this size: few enough files to read, little enough to write again.
_PART_BYTES = 2**18

_log = logging.getLogger(__name__)


class Journal:
    """The events of a run: those of earlier sessions to be read, those of this one to be appended.

    Args:
        folder: the run.

    Raises:
        RunError: another driver is at work on the run.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._lock_file = self._lock() if folder.is_local else None
        self._earlier = [path for path in folder.files(folder.journal) if path.endswith(".jsonl")]
        self._written = len(self._earlier)
        # Of the part that grows in a bucket: what it holds, and whether all of that is there.
        self._part, self._sent = bytearray(), True
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._file = os.open(self._next_part(), flags, 0o644) if folder.is_local else None

    def read(self) -> Iterator[Event]:
        """The events of earlier sessions, first to last. A line that was cut short by a crash is left out."""
        for part in self._earlier:
            with self._folder.fs.open_input_stream(part) as source:
                lines = source.read().split(b"\n")
            for number, line in enumerate(lines, start=1):
                if not line:
                    continue
                try:
                    event = json.loads(line)
                except ValueError:
                    _log.warning("Line %d of %s was cut short and is left out.", number, part)
                    continue
                yield event

    def append(self, event: Event) -> None:
        """Note an event."""
        line = json.dumps(event).encode() + b"\n"
        if self._file is None:
            self._part += line
            self._sent = False
        else:
            os.write(self._file, line)

    def flush(self) -> None:
        """Send what waits to the bucket."""
        if self._sent:
            return
        self._folder.write_bytes(self._path(self._written + 1), bytes(self._part))
        self._sent = True
        if len(self._part) >= _PART_BYTES:
            self._written += 1
            self._part = bytearray()

    def close(self) -> None:
        """Write the rest and let others have the run."""
        self.flush()
        for handle in (self._file, self._lock_file):
            if handle is not None:
                os.close(handle)
        self._file = self._lock_file = None

    def _lock(self) -> int:
        os.makedirs(self._folder.journal, exist_ok=True)
        lock = os.open(f"{self._folder.journal}/lock", os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            # The system lets go of it when the process ends, however it ends.
            if fcntl is not None:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise RunError(
                f"Expected a run that nobody is at work on, but {self._folder.address!r} is still going on."
                " Wait for it, or stop its driver first."
            ) from None
        return lock

    def _next_part(self) -> str:
        self._written += 1
        return self._path(self._written)

    def _path(self, part: int) -> str:
        return f"{self._folder.journal}/{part:08d}.jsonl"
