"""A bucket that does not answer for a while is asked again: a file system around another one.

Trials cost hours, and a bucket that is away for a minute should cost none of them. Workers get it too, so it can be
pickled; pyarrow's own S3 file system would lose a retry strategy on the way.
"""

from __future__ import annotations

import io
import logging
import re
import shutil
import time
from collections.abc import Callable
from tempfile import SpooledTemporaryFile
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import fs

from search.deletions import Deletions

Answer = TypeVar("Answer")

# How AWS, Google and whatever speaks S3 say: not now.
_AWAY = re.compile(
    r"NETWORK_CONNECTION|SLOW_DOWN|SERVICE_UNAVAILABLE|INTERNAL_FAILURE|REQUEST_TIMEOUT|THROTTL|UNAVAILABLE"
    r"|DEADLINE_EXCEEDED|HTTP status (429|5\d\d)|[Tt]imed? ?out|[Cc]ould not (connect|resolve)|[Cc]onnection reset"
)
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 15.0
# What is written goes up once it is whole; larger files wait for that on the disk.
_IN_MEMORY = 16 * 2**20

# Of all buckets: each checkpoint that a worker reports comes with a file system of its own.
_deletions = Deletions()

_log = logging.getLogger("search.bucket")


def patient(files: fs.FileSystem, seconds: float = 600.0) -> fs.FileSystem:
    """The same files, whose every operation goes on for so long where the bucket does not answer; disks as they are."""
    if isinstance(files, fs.LocalFileSystem | fs.PyFileSystem):
        return files
    return fs.PyFileSystem(_Patient(files, seconds))


class _Patient(fs.FileSystemHandler):
    def __init__(self, files: fs.FileSystem, seconds: float) -> None:
        self.files, self.seconds = files, seconds

    def __eq__(self, other: object) -> bool:
        return self.files.equals(other.files) if isinstance(other, _Patient) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.files.type_name)

    def insist(self, operation: Callable[[], Answer]) -> Answer:
        """The answer, however often it takes to ask.

        Raises:
            OSError: what the bucket says, if it is an answer, or has been none for too long.
        """
        began, pause = time.monotonic(), _FIRST_PAUSE
        while True:
            try:
                answer = operation()
            except OSError as fault:
                away = time.monotonic() - began
                if not _AWAY.search(str(fault)) or away > self.seconds:
                    raise
                _log.warning("The bucket does not answer for %.0f s now; asking again: %s", away, fault)
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                if pause > _FIRST_PAUSE:
                    _log.warning("The bucket answers again after %.0f s.", time.monotonic() - began)
                return answer

    def get_type_name(self) -> str:
        return f"patient+{self.files.type_name}"

    def normalize_path(self, path: str) -> str:
        return str(self.files.normalize_path(path))

    def get_file_info(self, paths: list[str]) -> list[fs.FileInfo]:
        _deletions.settle(*paths)
        return self.insist(lambda: self.files.get_file_info(paths))

    def get_file_info_selector(self, selector: fs.FileSelector) -> list[fs.FileInfo]:
        _deletions.settle(selector.base_dir)
        return self.insist(lambda: self.files.get_file_info(selector))

    def create_dir(self, path: str, recursive: bool) -> None:
        _deletions.settle(path)
        self.insist(lambda: self.files.create_dir(path, recursive=recursive))

    def delete_dir(self, path: str) -> None:
        _deletions.begin(path, lambda: self.insist(lambda: self.files.delete_dir(path)))

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        _deletions.settle(path)
        self.insist(lambda: self.files.delete_dir_contents(path, missing_dir_ok=missing_dir_ok))

    def delete_root_dir_contents(self) -> None:
        raise NotImplementedError("nothing here empties a whole bucket")

    def delete_file(self, path: str) -> None:
        _deletions.settle(path)
        self.insist(lambda: self.files.delete_file(path))

    def move(self, src: str, dest: str) -> None:
        _deletions.settle(src, dest)
        self.insist(lambda: self.files.move(src, dest))

    def copy_file(self, src: str, dest: str) -> None:
        _deletions.settle(src, dest)
        self.insist(lambda: self.files.copy_file(src, dest))

    def open_input_stream(self, path: str) -> pa.NativeFile:
        _deletions.settle(path)
        return self.insist(lambda: self.files.open_input_stream(path))

    def open_input_file(self, path: str) -> pa.NativeFile:
        _deletions.settle(path)
        return self.insist(lambda: self.files.open_input_file(path))

    def open_output_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        _deletions.settle(path)
        return pa.PythonFile(_Upload(self, path), mode="w")

    def open_append_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        raise NotImplementedError("nothing can be appended to in a bucket")


class _Upload(io.RawIOBase):
    """What is written, sent when it is closed: as often as it takes, and whole each time."""

    def __init__(self, bucket: _Patient, path: str) -> None:
        self._bucket, self._path = bucket, path
        self._content = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed in `close`

    def writable(self) -> bool:
        return True

    def write(self, some: Any) -> int:
        return self._content.write(some)

    def close(self) -> None:
        if self.closed:
            return
        try:
            self._bucket.insist(self._send)
        finally:
            self._content.close()
            super().close()

    def __del__(self) -> None:
        # Nobody closed it: whoever wrote has failed, and half of it is not to be had.
        self._content.close()

    def _send(self) -> None:
        self._content.seek(0)
        with self._bucket.files.open_output_stream(self._path) as out:
            shutil.copyfileobj(self._content, out, 2**20)
