"""Where a dataset lies: a folder of this machine, or a place in a bucket that every machine sees."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from pyarrow import fs


@dataclass(frozen=True)
class Place:
    """A folder of files on a disk or in a bucket; its text names it on every machine that sees it."""

    _address: str
    _files: fs.FileSystem
    _root: str

    @classmethod
    def of(cls, path: str | Path) -> Place:
        """The place at a path or an address such as s3://bucket/data?region=eu-west-1.

        Raises:
            ValueError: nothing knows such addresses.
        """
        if "://" in str(path):
            files, root = fs.FileSystem.from_uri(str(path))
            return cls(str(path), files, root.rstrip("/"))
        folder = str(Path(path).absolute())
        return cls(folder, fs.LocalFileSystem(), folder)

    def __str__(self) -> str:
        return self._address

    @property
    def local(self) -> Path | None:
        """The folder, None in a bucket."""
        return Path(self._root) if isinstance(self._files, fs.LocalFileSystem) else None

    def is_folder(self) -> bool:
        """Whether there is a folder at all."""
        return bool(self._files.get_file_info(self._root).type == fs.FileType.Directory)

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return bool(self._files.get_file_info(f"{self._root}/{name}").is_file)

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            OSError: it cannot be read; FileNotFoundError where there is none.
        """
        with self._files.open_input_stream(f"{self._root}/{name}") as source:
            return bytes(source.read())

    def fetch(self, name: str, target: Path) -> None:
        """Copy a file to this machine, whole or not at all.

        Raises:
            OSError: it cannot be read or written.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.part-{uuid.uuid4().hex[:8]}")
        try:
            with self._files.open_input_stream(f"{self._root}/{name}") as source, partial.open("wb") as out:
                shutil.copyfileobj(source, out, 2**20)
            partial.rename(target)
        finally:
            partial.unlink(missing_ok=True)
