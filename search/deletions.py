"""Folders of a bucket that are deleted on the side, while whoever no longer needs them goes on.

To delete one takes S3 five requests in a row: for a driver that hears of a new checkpoint many times a second,
and each time drops an older one, they are most of its time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

_AT_ONCE = 8

_log = logging.getLogger("search.bucket")


class Deletions:
    """What is being deleted; to this process it is gone, since nothing looks at it before it is."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="huetune-delete")
        self._under_way: dict[str, Future[None]] = {}

    def begin(self, folder: str, delete: Callable[[], None]) -> None:
        """Delete a folder soon. What goes wrong is logged: it costs room in the bucket, and no result."""

        def work() -> None:
            try:
                delete()
            except FileNotFoundError:
                pass
            except OSError as fault:
                _log.warning("%s could not be deleted and stays: %s", folder, fault)

        self.settle(folder)
        self._under_way[folder] = self._pool.submit(work)

    def settle(self, *paths: str) -> None:
        """Wait until nothing is being deleted that contains one of the paths, or is contained in it."""
        for folder, future in list(self._under_way.items()):
            if future.done() or any(_related(folder, path) for path in paths):
                future.result()
                self._under_way.pop(folder, None)


def _related(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")
