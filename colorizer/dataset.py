"""A prepared dataset, and its splits as arrays that every process of a machine shares.

The drawings are decoded once per machine, split and size, into a cache of memory-mapped arrays; those of a dataset in a
bucket are fetched for that, once per machine too. `prepare.py` writes what is read here.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from colorizer.bucket import Place
from colorizer.columns import COLUMNS, LATER_COLUMNS, completed
from colorizer.images import MIN_SIDE, UnreadableImage, read_rgb, to_square

FORMAT = "huetune-dataset"
VERSION = 1
SPLITS = ("train", "val", "test")
DRAWINGS_FILE = "drawings.parquet"
DESCRIPTION_FILE = "dataset.json"
WORKERS = min(8, os.cpu_count() or 1)

# Part of the key of a cache entry: to be raised whenever `to_square` or the files of an entry change.
_CACHE_VERSION = 2
_TEXTS = ("name", "label", "origin")


class DatasetError(ValueError):
    """A dataset that is missing, damaged or of another version; the message says what to do."""


@dataclass(frozen=True, eq=False)
class Drawings:
    """One split at one size. The arrays are read-only maps of files; copy what is to be changed.

    Attributes:
        names: of the N drawings, in the order of the dataset.
        groups: (N,) int64; drawings of one group have identical line art or look alike.
        lines: (N, 1, S, S) uint8, 255 white paper, 0 black line.
        colors: (N, 3, S, S) uint8, RGB.
        labels: what each shows, "" where nobody said; [] where nobody said anything of any.
        sides: (N, 2) int32, width and height of the coloured originals in pixels, 0 where unknown; None where all are.
        origins: "given" or "pseudo" of each, whose colours are those of a model; [] where all are given.
    """

    names: list[str] = field(repr=False)
    groups: NDArray[np.int64] = field(repr=False)
    lines: NDArray[np.uint8] = field(repr=False)
    colors: NDArray[np.uint8] = field(repr=False)
    labels: list[str] = field(default_factory=list, repr=False)
    sides: NDArray[np.int32] | None = field(default=None, repr=False)
    origins: list[str] = field(default_factory=list, repr=False)

    def __len__(self) -> int:
        return len(self.names)

    def chosen(self, rows: NDArray[np.integer[Any]], colors: NDArray[np.uint8] | None = None) -> "Drawings":
        """Those at some positions (M,), in the order given; with other colours (M, 3, S, S), if there are any."""
        return Drawings(
            names=[self.names[row] for row in rows],
            groups=self.groups[rows],
            lines=self.lines[rows],
            colors=self.colors[rows] if colors is None else colors,
            labels=[self.labels[row] for row in rows] if self.labels else [],
            sides=None if self.sides is None else self.sides[rows],
            origins=[self.origins[row] for row in rows] if self.origins else [],
        )


@dataclass(frozen=True)
class Dataset:
    """A folder written by `prepare`: `drawings.parquet` and `dataset.json`.

    Attributes:
        address: what names it on every machine that sees it: its absolute path, or its address in a bucket.
        folder: where its files lie on this machine; of a dataset in a bucket, where they are fetched to.
        digest: SHA-256 of the Parquet file; two datasets of one digest hold the same drawings.
        counts: drawings per split.
        statistics: of the training split alone, in the model's range [-1, 1]: mean and std of "line" and of "color" (by
            channel), "density", the share of dark pixels, as a mean under "line" and as quantiles. {} where `prepare`
            counted none.
    """

    address: str
    folder: Path
    digest: str
    counts: dict[str, int]
    statistics: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, path: str | Path) -> "Dataset":
        """Reads the description; no drawing is touched.

        Args:
            path: of its folder, or its address in a bucket: s3://bucket/data.

        Raises:
            DatasetError: there is no dataset, it is of another format or version, part of it is missing, or the bucket
                cannot be read.
        """
        place = Place.of(path)
        description = _read_description(place)
        if not place.has(DRAWINGS_FILE):
            raise DatasetError(f"{place} has a {DESCRIPTION_FILE} but no {DRAWINGS_FILE}; {_HOW_TO_PREPARE}")
        try:
            counts = {split: int(description["counts"][split]) for split in SPLITS}
            digest = _digest(description["digest"])
            statistics = dict(description.get("statistics", {}))
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(
                f"{place}/{DESCRIPTION_FILE} should hold a digest and counts of {', '.join(SPLITS)}; {_HOW_TO_PREPARE}"
            ) from error
        if empty := [split for split in SPLITS if counts[split] < 1]:
            raise DatasetError(
                f"Expected drawings in each of {', '.join(SPLITS)}, got none in {' and '.join(empty)} of {place};"
                f" {_HOW_TO_PREPARE}"
            )
        return cls(str(place), place.local or cache_folder() / f"{digest[:32]}-fetched", digest, counts, statistics)

    @property
    def drawings_file(self) -> Path:
        return self.folder / DRAWINGS_FILE

    def description(self) -> dict[str, Any]:
        """All that `dataset.json` says.

        Raises:
            DatasetError: it has gone since the dataset was opened, or cannot be read.
        """
        return _read_description(Place.of(self.address))

    def fetched(self) -> Path:
        """The Parquet file on this machine, found to be what was written; one in a bucket is fetched if need be.

        Raises:
            DatasetError: it does not match its digest.
            OSError: it cannot be fetched.
        """
        place, file = Place.of(self.address), self.drawings_file
        if place.local is None and not (file.is_file() and sha256_of(file) == self.digest):
            place.fetch(DRAWINGS_FILE, file)
        if (found := sha256_of(file)) != self.digest:
            raise DatasetError(
                f"{place}/{DRAWINGS_FILE} has changed since it was written: its SHA-256 should start with "
                f"{self.digest[:12]}, but starts with {found[:12]}. Copy or prepare the dataset again."
            )
        return file

    def split(self, split: str, size: int) -> Drawings:
        """The drawings of a split, each laid into a white square of `size` pixels.

        The first call on a machine decodes them into a cache: `$HUETUNE_CACHE`, else `$XDG_CACHE_HOME/huetune`,
        else `~/.cache/huetune`. Later calls, from any process, map the same files; processes that call at the same
        time wait for the one that decodes. A damaged entry is made anew.

        Args:
            split: "train", "val" or "test".
            size: side of the square in pixels, at least 8.

        Raises:
            ValueError: no such split, or the size is too small.
            DatasetError: the Parquet file does not match its digest or holds a drawing that cannot be read,
                or the cache cannot be written.
        """
        if split not in SPLITS:
            raise ValueError(f"Expected a split out of {', '.join(SPLITS)}, got {split!r}.")
        if size < MIN_SIDE:
            raise ValueError(f"Expected a size of at least {MIN_SIDE} pixels, got {size}.")
        root = cache_folder()
        entry = root / f"{self.digest[:32]}-{split}-{size}-v{_CACHE_VERSION}"
        drawings = _open_entry(entry, self.counts[split], size)
        if drawings is not None:
            return drawings
        try:
            root.mkdir(parents=True, exist_ok=True)
            with locked(entry.with_name(entry.name + ".lock")):
                drawings = _open_entry(entry, self.counts[split], size)  # another process may have made it meanwhile
                if drawings is None:
                    _build_entry(self, split, size, entry)
                    drawings = _open_entry(entry, self.counts[split], size)
        except OSError as error:
            raise DatasetError(
                f"The drawings of {self.folder} could not be decoded into {root}: {error}. If it is the latter "
                "that cannot be written, set HUETUNE_CACHE to a folder on a disk with space."
            ) from error
        if drawings is None:
            raise DatasetError(f"The cache entry {entry} was damaged while it was made; try again.")
        return drawings


_HOW_TO_PREPARE = "make it with `huetune prepare COLOR_DIR --lines LINE_DIR -o DATASET`."


def cache_folder() -> Path:
    """Where decoded drawings are kept on this machine. Everything in it can be deleted at any time."""
    if chosen := os.environ.get("HUETUNE_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "huetune"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digest(text: Any) -> str:
    """Text of somebody else's that will name folders on this machine: nothing but what it says it is."""
    if not re.fullmatch("[0-9a-f]{64}", str(text)):
        raise ValueError(f"no SHA-256: {text!r}")
    return str(text)


def _read_description(place: Place) -> dict[str, Any]:
    file = f"{place}/{DESCRIPTION_FILE}"
    try:
        description = json.loads(place.read(DESCRIPTION_FILE))
    except FileNotFoundError as error:
        found = f"holds no {DESCRIPTION_FILE}" if place.is_folder() else "is no folder"
        raise DatasetError(f"{place} is not a dataset (it {found}); {_HOW_TO_PREPARE}") from error
    except OSError as error:
        raise DatasetError(f"Expected to read {file}, but {error}. Correct the address or the rights to it.") from error
    except ValueError as error:
        raise DatasetError(f"{file} is not valid JSON ({error}); {_HOW_TO_PREPARE}") from error
    kind = (description.get("format"), description.get("version")) if isinstance(description, dict) else None
    if kind != (FORMAT, VERSION):
        raise DatasetError(
            f"{file} should say format {FORMAT!r}, version {VERSION}, but says {kind}: it was written by "
            f"another program or another version of huetune; {_HOW_TO_PREPARE}"
        )
    return cast(dict[str, Any], description)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock of a file, made if missing; the kernel frees it if this process dies."""
    with path.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _shapes(count: int, size: int) -> dict[str, tuple[type[np.generic], tuple[int, ...]]]:
    return {
        "groups": (np.int64, (count,)),
        "sides": (np.int32, (count, 2)),
        "lines": (np.uint8, (count, 1, size, size)),
        "colors": (np.uint8, (count, 3, size, size)),
    }


def _open_entry(entry: Path, count: int, size: int) -> Drawings | None:
    """The cached split, or None if it is absent, cut short or otherwise not what it should be."""
    arrays = {}
    try:
        texts = json.loads((entry / "texts.json").read_text(encoding="utf-8"))
        for name, (dtype, shape) in _shapes(count, size).items():
            file = entry / f"{name}.npy"
            array = np.load(file, mmap_mode="r", allow_pickle=False)
            whole = file.stat().st_size == array.offset + array.nbytes
            if array.dtype != dtype or array.shape != shape or not whole:
                return None
            arrays[name] = array
    except (OSError, ValueError, EOFError):
        return None
    if not isinstance(texts, dict) or [len(texts.get(name, "")) for name in _TEXTS] != [count] * len(_TEXTS):
        return None
    sides = arrays.pop("sides")
    return Drawings(
        names=texts["name"],
        labels=texts["label"] if any(texts["label"]) else [],
        sides=sides if sides.any() else None,
        origins=texts["origin"] if any(origin != "given" for origin in texts["origin"]) else [],
        **arrays,
    )


def _build_entry(dataset: Dataset, split: str, size: int, entry: Path) -> None:
    """Decodes a split into a new cache entry, in place of a damaged one. Its lock must be held."""
    dataset.fetched()
    partial = entry.with_name(entry.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)  # what a killed process left
    partial.mkdir()
    try:
        _write_arrays(dataset, split, size, partial)
        if entry.exists():
            shutil.rmtree(entry)
        partial.rename(entry)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_arrays(dataset: Dataset, split: str, size: int, folder: Path) -> None:
    count = dataset.counts[split]
    texts: dict[str, list[str]] = {name: [] for name in _TEXTS}
    with ExitStack() as stack:
        # Written piece by piece rather than through a writable map, which a full disk would answer by killing
        # the process.
        files = {
            name: _new_array(stack.enter_context((folder / f"{name}.npy").open("wb")), dtype, shape)
            for name, (dtype, shape) in _shapes(count, size).items()
        }
        workers = stack.enter_context(ThreadPoolExecutor(WORKERS))
        for rows in _rows_of(dataset, split):
            for name in _TEXTS:
                texts[name] += rows[name].to_pylist()
            files["groups"].write(rows["group"].to_numpy().astype(np.int64).tobytes())
            sides = np.stack([rows[side].to_numpy() for side in ("width", "height")], axis=1)  # (rows, 2)
            files["sides"].write(sides.astype(np.int32).tobytes())
            for column, mode in (("line", "L"), ("color", "RGB")):
                encoded = pc.struct_field(rows[column], "bytes").to_pylist()
                for pixels in workers.map(_decode, encoded, [mode] * len(encoded), [size] * len(encoded)):
                    files[f"{column}s"].write(pixels)
    if (found := len(texts["name"])) != count:
        raise DatasetError(
            f"{dataset.drawings_file} holds {found} drawings of split {split}, but its "
            f"{DESCRIPTION_FILE} says {count}; {_HOW_TO_PREPARE}"
        )
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")


def _rows_of(dataset: Dataset, split: str) -> Iterator[pa.Table]:
    """The rows of a split, one row group at a time."""
    try:
        with pq.ParquetFile(dataset.drawings_file) as file:
            there = set(file.schema_arrow.names)
            if absent := COLUMNS.keys() - LATER_COLUMNS.keys() - there:
                raise KeyError(f"no column {', '.join(sorted(absent))}")
            columns = [name for name in COLUMNS if name in there]
            for group in range(file.num_row_groups):
                wanted = pc.equal(file.read_row_group(group, columns=["split"])["split"], split)
                if pc.any(wanted).as_py():
                    yield completed(file.read_row_group(group, columns=columns).filter(wanted))
    except (pa.ArrowException, KeyError) as error:
        raise DatasetError(f"{dataset.drawings_file} holds no drawings ({error}); {_HOW_TO_PREPARE}") from error


def _new_array(stream: BinaryIO, dtype: type[np.generic], shape: tuple[int, ...]) -> BinaryIO:
    """Writes the head of a .npy file; the values are to follow in C order."""
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream


def _decode(encoded: bytes, mode: str, size: int) -> bytes:
    """A picture as bytes in the order (channel, row, column)."""
    try:
        image = to_square(read_rgb(encoded).convert(mode), size)
    except UnreadableImage as error:
        raise DatasetError(f"A drawing of the dataset cannot be read ({error}); {_HOW_TO_PREPARE}") from error
    return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1).tobytes()
