"""What happened in a run, an event a line, written as it happens: what `resume` goes by.

On a disk every event is with the operating system when `append` returns, so a driver that is killed loses none. In a
bucket, where nothing can be appended to, events wait for `flush`, which writes the last part anew until it is large.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Iterator
from typing import Any

from search.run_folder import RunFolder
from search.running.lease import Lease, Lock

Event = dict[str, Any]

# A part in a bucket grows to this size: few enough files to read, little enough to write again.
_PART_BYTES = 2**18
# How long an event waits for the bucket: so many seconds, or longer where sending would take more than this share.
_WAIT_SECONDS, _SHARE = 0.5, 0.1
# Its number, and in a bucket the name of the driver that wrote it.
_PART = re.compile(r"(\d{8})(?:-\w+)?\.jsonl")

_log = logging.getLogger(__name__)


class Journal:
    """The events of a run: those of earlier sessions to be read, those of this one to be appended.

    Args:
        folder: the run.
        lease: of a run in a bucket. On a disk the journal takes a lock by itself.

    Raises:
        RunError: another driver is at work on the run.
    """

    def __init__(self, folder: RunFolder, lease: Lease | None = None) -> None:
        self._folder = folder
        self._right = Lock(folder) if folder.is_local else lease
        # Two drivers of a run in a bucket can never write over each other: each has files of its own.
        self._own = f"-{lease.holder}" if lease else ""
        # Of the part that grows in a bucket: what it holds, and whether all of that is there.
        self._part, self._sent = bytearray(), True
        self._flushed, self._took = time.monotonic(), 0.0
        self._file: int | None = None
        try:
            numbered = {path: _PART.fullmatch(path.rsplit("/", 1)[-1]) for path in folder.files(folder.journal)}
            self._earlier = {path: int(named[1]) for path, named in numbered.items() if named}
            self._written = max(self._earlier.values(), default=0)
            if folder.is_local:
                self._written += 1
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
                self._file = os.open(self._path(self._written), flags, 0o644)
        except BaseException:
            self._release()
            raise
        self._size = 0

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

    def check(self) -> None:
        """To be called before anything is written to the run; what is below does it by itself.

        Raises:
            TakenOver: another driver has the run now.
        """
        if self._right is not None:
            self._right.check()

    def append(self, event: Event) -> None:
        """Note an event.

        Raises:
            OSError: the disk is full. The journal is as it was before.
            TakenOver: another driver has the run now.
        """
        self.check()
        line = json.dumps(event).encode() + b"\n"
        if self._file is not None:
            self._append(self._file, line)
        else:
            self._part += line
            self._sent = False

    def flush(self) -> None:
        """Send what waits to the bucket.

        Raises:
            TakenOver: another driver has the run now.
        """
        self.check()
        if self._sent:
            return
        began = time.monotonic()
        self._folder.write_bytes(self._path(self._written + 1), bytes(self._part))
        self._sent = True
        self._flushed = time.monotonic()
        self._took = self._flushed - began
        if len(self._part) >= _PART_BYTES:
            self._written += 1
            self._part = bytearray()

    def flush_when_due(self) -> None:
        """Send what has waited for half a second to the bucket, or for so long that sending takes little of the time.

        Raises:
            TakenOver: another driver has the run now.
        """
        if not self._sent and time.monotonic() - self._flushed >= max(_WAIT_SECONDS, self._took / _SHARE):
            self.flush()

    def close(self) -> None:
        """Write the rest and let others have the run."""
        try:
            self.flush()
        finally:
            self._release()

    def _append(self, file: int, line: bytes) -> None:
        """All of a line or nothing of it: on a full disk there is room for a part of one."""
        rest = line
        try:
            while rest:
                rest = rest[os.write(file, rest) :]
        except BaseException:
            os.ftruncate(file, self._size)
            raise
        self._size += len(line)

    def _release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._right is not None:
            self._right.release()

    def _path(self, part: int) -> str:
        return f"{self._folder.journal}/{part:08d}{self._own}.jsonl"
