"""Folders that appear whole or not at all."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check_replaceable(target: Path, marker: str) -> None:
    """Raise `FileExistsError` unless `target` is new, empty, or a folder that holds the file `marker`."""
    if target.is_dir():
        if not any(target.iterdir()) or (target / marker).is_file():
            return
    elif not target.exists():
        return
    raise FileExistsError(f"{target} exists and is not an ensemble (it holds no {marker}); give another folder.")


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A new folder beside `target` to write into, which takes its place when the block ends without an error.

    What stood there before stays until then. It is moved aside for the instant between two renames, never
    deleted before the new folder stands in its place.
    """
    target = Path(target).absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}-{uuid.uuid4().hex[:12]}")
    fresh.mkdir()
    try:
        yield fresh
        _put_in_place(fresh, target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _put_in_place(fresh: Path, target: Path) -> None:
    if not target.exists():
        fresh.rename(target)
        return
    older = fresh.with_name(f"{fresh.name}-old")
    target.rename(older)
    try:
        fresh.rename(target)
    except OSError:
        older.rename(target)
        raise
    shutil.rmtree(older, ignore_errors=True)
