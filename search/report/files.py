"""How a report's files get where they belong: whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search.errors import RunError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its name when all is written. Folders are made.

    Raises:
        RunError: a file stands where a folder should be, or a folder where the file should be.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise RunError(f"Expected a folder at {path.parent}, but a file is there. Name another folder.") from None
    if path.is_dir():
        raise RunError(f"Expected to write the file {path}, but a folder is there. Name a file.")
    half = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield half
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)
