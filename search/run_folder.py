"""Where each file of a run lies, on a disk or in a bucket, and how a file gets there whole."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from search.errors import RunError, UnreachableError
from search.patient import patient

_UNFINISHED = ".part-"


@dataclass(frozen=True)
class RunFolder:
    """The files of one run by name. Paths are inside `fs`; every file is written whole or not at all."""

    fs: pyarrow.fs.FileSystem
    root: str
    address: str

    @classmethod
    def open(cls, address: str | os.PathLike[str]) -> RunFolder:
        """The run at a local path or at an address such as s3://bucket/runs/quick; it need not exist yet.

        Raises:
            RunError: that is no address.
            UnreachableError: nobody tells where the bucket is.
        """
        text = os.fspath(address)
        if "://" not in text:
            return cls(pyarrow.fs.LocalFileSystem(), str(Path(text).resolve()), text)
        try:
            with _reached(text):
                fs, root = pyarrow.fs.FileSystem.from_uri(_in_one_go(text))
        except ValueError as fault:
            raise RunError(
                f"Expected an address such as s3://bucket/runs, got {text!r}: {fault}. Correct the address."
            ) from None
        if not root.strip("/"):
            raise RunError(f"Expected an address such as s3://bucket/runs, got {text!r}. Name the bucket.")
        return cls(fs, root.rstrip("/"), text)

    @classmethod
    def create(cls, storage: str, name: str) -> RunFolder:
        """A new run under `storage`, which may be an address with a query: s3://bucket/runs?region=eu-west-1.

        Raises:
            RunError: there is one of that name.
        """
        place, mark, query = storage.partition("?") if "://" in storage else (storage, "", "")
        folder = cls.open(f"{place.rstrip('/')}/{name}{mark}{query}")
        try:
            # In a bucket a driver that was killed before there was a run may have left its lease.
            if folder.exists(folder.root if folder.is_local else folder.definition):
                raise FileExistsError(folder.root)
            if folder.is_local:
                os.makedirs(Path(folder.root).parent, exist_ok=True)
                os.mkdir(folder.root)
        except FileExistsError:
            raise RunError(
                f"Expected a new run name, but {folder.address!r} exists, and no run is ever overwritten."
                f" Choose another with --name, or remove the folder."
            ) from None
        except OSError as fault:
            raise RunError(
                f"Expected to reach the storage {storage!r}, got: {fault}. Correct --storage, or the rights to it."
            ) from fault
        return folder

    @property
    def is_local(self) -> bool:
        """Whether other programs can open the files by their path."""
        return isinstance(self.fs, pyarrow.fs.LocalFileSystem)

    def patient(self) -> RunFolder:
        """The same run, whose bucket is asked again where it does not answer for a while."""
        return replace(self, fs=patient(self.fs))

    @property
    def definition(self) -> str:
        """The search as data (JSON); a folder with this file is a run."""
        return f"{self.root}/search.json"

    @property
    def trials(self) -> str:
        """A row a trial (Parquet)."""
        return f"{self.root}/trials.parquet"

    @property
    def measurements(self) -> str:
        """A folder of Parquet files with a row a report."""
        return f"{self.root}/measurements"

    @property
    def journal(self) -> str:
        """What happened, an event a line (JSON): what `resume` goes by."""
        return f"{self.root}/journal"

    @property
    def study(self) -> str:
        """The trials as an Optuna study, in the format of Optuna's journal."""
        return f"{self.root}/study.journal"

    @property
    def checkpoints(self) -> str:
        """The folder of the run's best checkpoints."""
        return f"{self.root}/checkpoints"

    @property
    def tune(self) -> str:
        """Ray Tune's own state."""
        return f"{self.root}/tune"

    @property
    def ensemble(self) -> str:
        """The folder of the ensemble built from this run."""
        return f"{self.root}/ensemble"

    @property
    def report(self) -> str:
        """The page for people."""
        return f"{self.root}/report.html"

    @property
    def logs(self) -> str:
        """A text for every trial that crashed, by its number."""
        return f"{self.root}/logs"

    @property
    def log(self) -> str:
        """What Ray had to say."""
        return f"{self.root}/ray.log"

    def inside(self, relative: str) -> str:
        """The full path of a file named relative to the run."""
        return f"{self.root}/{relative}"

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder at the path."""
        return bool(self.fs.get_file_info(path).type != pyarrow.fs.FileType.NotFound)

    def files(self, folder: str) -> list[str]:
        """The whole files of a folder, sorted; none where the folder is missing."""
        found = self.fs.get_file_info(pyarrow.fs.FileSelector(folder, allow_not_found=True))
        return sorted(f.path for f in found if f.is_file and _UNFINISHED not in f.base_name)

    def folders(self, folder: str) -> list[str]:
        """The folders inside a folder, sorted; none where it is missing."""
        found = self.fs.get_file_info(pyarrow.fs.FileSelector(folder, allow_not_found=True))
        return sorted(f.path for f in found if f.type == pyarrow.fs.FileType.Directory)

    def write_json(self, path: str, data: Any) -> None:
        """Write JSON, whole or not at all."""
        self.write_text(path, json.dumps(data, indent=1))

    def write_text(self, path: str, text: str) -> None:
        """Write text, whole or not at all."""
        self.write_bytes(path, text.encode())

    def write_bytes(self, path: str, content: bytes) -> None:
        """Write a file, whole or not at all."""
        with self._whole(path) as unfinished, self.fs.open_output_stream(unfinished) as out:
            out.write(content)

    def read_json(self, path: str) -> Any:
        """Read JSON.

        Raises:
            RunError: the file is missing or is not JSON.
            UnreachableError: the storage does not give it.
        """
        try:
            with _reached(self.address), self.fs.open_input_stream(path) as source:
                return json.loads(source.read())
        except FileNotFoundError:
            raise RunError(
                f"Expected a run in {self.address!r}, found no {Path(path).name} there."
                " Give the folder that `huetune run` printed."
            ) from None
        except ValueError as damage:
            raise RunError(f"Expected JSON in {path}, got: {damage}. The file is damaged; restore it.") from None

    def write_table(self, path: str, table: pa.Table) -> None:
        """Write Parquet, whole or not at all."""
        with self._whole(path) as unfinished:
            pq.write_table(table, unfinished, filesystem=self.fs, compression="zstd")

    def read_table(self, path: str) -> pa.Table:
        """Read one Parquet file.

        Raises:
            FileNotFoundError: there is none.
            RunError: it is damaged.
            UnreachableError: the storage does not give it.
        """
        try:
            with _reached(self.address), self.fs.open_input_file(path) as source:
                return pq.read_table(source)
        except pa.ArrowInvalid as damage:
            raise RunError(
                f"Expected a Parquet file at {path}, got: {damage}. The file is damaged; restore it."
            ) from None

    def copy_folder(self, source: str, target: str, source_fs: pyarrow.fs.FileSystem | None = None) -> None:
        """Copy a folder into the run in place of any at that name, whole or not at all where files can be renamed."""
        self.delete_folder(target)
        with self._whole(target) as unfinished:
            self.fs.create_dir(unfinished)
            pyarrow.fs.copy_files(
                source, unfinished, source_filesystem=source_fs or self.fs, destination_filesystem=self.fs
            )

    def delete_folder(self, path: str) -> None:
        """Delete a folder if it is there."""
        if self.exists(path):
            self.fs.delete_dir(path)

    @contextmanager
    def local_copy(self, path: str) -> Iterator[Path]:
        """A file or folder of the run as a local path, fetched where the run lies in a bucket."""
        if self.is_local:
            yield Path(path)
            return
        with TemporaryDirectory(prefix="huetune-") as fetched:
            target = Path(fetched) / Path(path).name
            if self.fs.get_file_info(path).type == pyarrow.fs.FileType.Directory:
                target.mkdir()  # `copy_files` makes folders inside of it, not itself
            pyarrow.fs.copy_files(path, str(target), source_filesystem=self.fs)
            yield target

    @contextmanager
    def workplace(self, path: str) -> Iterator[Path]:
        """Where to build a folder of the run: in its place on a disk, else here and then sent to the bucket."""
        if self.is_local:
            yield Path(path)
            return
        with TemporaryDirectory(prefix="huetune-") as scratch:
            built = Path(scratch) / Path(path).name
            yield built
            self.copy_folder(str(built), path, pyarrow.fs.LocalFileSystem())

    @contextmanager
    def _whole(self, path: str) -> Iterator[str]:
        """A path to write to that takes its final name at the end; buckets do that by themselves."""
        if not self.is_local:
            yield path
            return
        unfinished = f"{path}{_UNFINISHED}{uuid.uuid4().hex[:8]}"
        os.makedirs(Path(path).parent, exist_ok=True)
        try:
            yield unfinished
            self.fs.move(unfinished, path)
        except BaseException:
            if self.exists(unfinished):
                _discard(self.fs, unfinished)
            raise


@contextmanager
def _reached(address: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise  # an answer like any other
    except OSError as fault:
        raise UnreachableError(
            f"Expected to read {address!r}, got: {fault}. Check the address, the network and the rights to it."
        ) from fault


def _in_one_go(address: str) -> str:
    """Have S3 take small files by one request: by default Arrow needs three for each."""
    if not address.startswith("s3://") or "allow_delayed_open" in address:
        return address
    return f"{address}{'&' if '?' in address else '?'}allow_delayed_open=true"


def _discard(fs: pyarrow.fs.FileSystem, path: str) -> None:
    if fs.get_file_info(path).is_file:
        fs.delete_file(path)
    else:
        fs.delete_dir(path)
