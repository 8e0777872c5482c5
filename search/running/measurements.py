"""Every report of a run as Parquet: small files as they come, joined into larger ones for the sake of readers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from search.records import concatenate, table_of
from search.run_folder import RunFolder

# So many files become one, so many of those one again, and so on.
_JOIN = 16


class Measurements:
    """The folder `measurements/` of a run, as the one who writes it sees it."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._waiting: list[dict[str, Any]] = []
        self._written = 0

    def add(self, row: dict[str, Any]) -> None:
        """Take up a report; `write` writes it."""
        self._waiting.append(row)

    def begin_again(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write all reports of earlier sessions anew, in place of the files that are there."""
        stale = self._folder.files(self._folder.measurements)
        self._written = 1 + max((int(path.rsplit("/", 1)[-1][:8]) for path in stale), default=-1)
        if rows:
            # A reader that comes in between finds reports twice, which it is used to, and never too few.
            self._folder.write_table(self._file(self._written, 1), table_of(rows))
            self._written += 1
        for path in stale:
            self._folder.fs.delete_file(path)

    def write(self) -> None:
        """Write what waits."""
        if not self._waiting:
            return
        self._folder.write_table(self._file(self._written, 1), table_of(self._waiting))
        self._waiting, self._written = [], self._written + 1
        size = _JOIN
        while self._written % size == 0:
            self._join(self._written - size, size)
            size *= _JOIN

    def _join(self, first: int, count: int) -> None:
        step = count // _JOIN
        named = [self._file(number, step) for number in range(first, first + count, step)]
        parts = [path for path in named if self._folder.exists(path)]
        joined = concatenate([self._folder.read_table(part) for part in parts])
        self._folder.write_table(self._file(first, count), joined)
        for part in parts:
            self._folder.fs.delete_file(part)

    def _file(self, first: int, count: int) -> str:
        joined = f"-{count}" if count > 1 else ""
        return f"{self._folder.measurements}/{first:08d}{joined}.parquet"
