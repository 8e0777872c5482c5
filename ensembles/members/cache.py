"""Predictions kept on disk under what they were made of: none is computed twice, none is ever stale.

The name of a file follows from the checkpoint's bytes, the predictor's code and the inputs themselves. A build that was
broken off finds all that it had predicted. Everything in the folder can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
import uuid
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ensembles.predictor import ENTRY_POINTS, Array, UnknownPredictor

Identity = str | bytes | tuple[str, tuple[tuple[str, str], ...]]  # the last is `Manifest.identity`
Compute = Callable[[Array], tuple[Array, Array | None]]  # inputs -> predictions, log-variances where they are told

DEFAULT_LIMIT = 10 * 2**30
_FORMAT = "huetune-predictions 1"  # part of every name: files of another layout are never opened
_SUFFIX = ".predictions"
_UNFINISHED = ".part"
_ABANDONED = 3600.0  # seconds after which an unfinished file belongs to a process that died
_CHECKSUM = 4  # bytes of CRC-32 before the arrays


def default_folder() -> Path:
    """`$HUETUNE_CACHE/predictions`, else `$XDG_CACHE_HOME/huetune/predictions`, else `~/.cache/huetune/predictions`."""
    if chosen := os.environ.get("HUETUNE_CACHE"):
        return Path(chosen).expanduser() / "predictions"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "huetune" / "predictions"


@dataclass(frozen=True)
class PredictionKey:
    """What predictions come from, but for the inputs.

    Attributes:
        identity: `verify_checkpoint(folder).identity`, or a name or digest that no other model has.
        code: what computes them, usually `code_version(manifest.predictor)`.
        kind: what is asked of the model, such as "plain", "with log-variance" or "flips". Whatever else decides about
            the numbers belongs here, for those who care: a GPU and a CPU can differ in the last digits.
    """

    identity: Identity
    code: str
    kind: str = "plain"


def fingerprint(inputs: Array) -> bytes:
    """SHA-256 of an array's type, shape and values: for a caller who asks many members about the same inputs."""
    values = np.asarray(inputs, order="C")
    digest = hashlib.sha256(f"{values.dtype.str} {values.shape}\n".encode())
    digest.update(values.data)
    return digest.digest()


class PredictionCache:
    """Predictions by content, a file a batch, for any number of processes at a time.

    Where a file cannot be written (a full disk, a folder that may only be read) a `RuntimeWarning` says so once; from
    then on new predictions are used and not kept. When the files pass the limit, those that nobody has used for longest
    go, and never one that this object has used: where these alone fill the limit, what comes after them is not kept.

    Args:
        folder: made when first needed; `default_folder()` if None. Only the cache's own files are ever deleted there.
        limit_bytes: how much the files may hold together. Several processes can pass it by a twentieth each.

    Raises:
        ValueError: the limit is not above zero.
    """

    def __init__(self, folder: Path | None = None, limit_bytes: int = DEFAULT_LIMIT) -> None:
        if limit_bytes <= 0:
            raise ValueError(f"Expected limit_bytes > 0, got {limit_bytes}. To keep nothing, use no cache.")
        self.folder = default_folder() if folder is None else Path(folder)
        self.limit_bytes = limit_bytes
        self.hits = 0
        self.misses = 0
        self._used: set[str] = set()
        self._keeping = True
        self._held: int | None = None  # bytes in the folder when it was last looked through
        self._added = 0  # bytes since then

    def predict(
        self, key: PredictionKey, inputs: Array, compute: Compute, *, digest: bytes | None = None
    ) -> tuple[Array, Array | None]:
        """What `compute(inputs)` gives or gave: predictions (B, ...), and log-variances or None.

        It is called where no whole file is found; a damaged one is replaced. The arrays are in C order, may be written
        to, and are the caller's own. Predictions that are not finite floating-point numbers are returned and not kept,
        so that a passing fault does not last. `digest` is the `fingerprint` of the inputs, if it is at hand.

        Raises:
            Whatever `compute` raises.
        """
        path = self.folder / _name(key, fingerprint(inputs) if digest is None else digest)
        found = _read(path)
        if found is not None:
            self.hits += 1
            self._mark_used(path)
            return found
        self.misses += 1
        values, told = compute(inputs)
        values = np.asarray(values, order="C")
        told = None if told is None else np.asarray(told, order="C")
        if self._keeping and _sound(values) and (told is None or _sound(told)):
            problem = self._keep(path, _packed(values, told))
            if problem is not None:
                self._keeping = False
                warnings.warn(
                    f"New predictions are no longer kept in {self.folder}: {problem} The work goes on without.",
                    RuntimeWarning,
                    stacklevel=2,
                )
        return values, told

    def _mark_used(self, path: Path) -> None:
        self._used.add(path.name)
        try:
            os.utime(path)
        except OSError:  # deleted meanwhile, or a folder that may only be read: then nobody goes by its times
            return

    def _keep(self, path: Path, content: bytes) -> str | None:
        """Write a file, whole or not at all; where that fails, why, and what to do."""
        fresh = path.with_name(f"{path.name}-{uuid.uuid4().hex[:12]}{_UNFINISHED}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._room_for(len(content)):
                limit = self.limit_bytes / 2**20
                return f"those in use fill its limit of {limit:.4g} MiB. Raise limit_bytes to keep the rest."
            try:
                fresh.write_bytes(content)
                fresh.replace(path)
            except BaseException:
                fresh.unlink(missing_ok=True)
                raise
        except OSError as error:
            reason = error.strerror or str(error)
            return f"{reason}. Free space there, or set HUETUNE_CACHE to a folder on a disk with space."
        self._used.add(path.name)
        return None

    def _room_for(self, size: int) -> bool:
        """Whether a file of this size may be written, after old ones were removed where that was needed."""
        if size > self.limit_bytes:
            return False
        self._added += size
        others_may_have_written = self._added > self.limit_bytes / 20
        if self._held is None or others_may_have_written or self._held + self._added > self.limit_bytes:
            self._held, self._added = self._swept(size), size
        return self._held + self._added <= self.limit_bytes

    def _swept(self, size: int) -> int:
        """The bytes that the folder holds, a tenth below the limit if `size` more would have passed it."""
        entries = sorted(_entries(self.folder), key=lambda entry: entry.used)
        held = sum(entry.size for entry in entries)
        if held + size <= self.limit_bytes:
            return held
        for entry in entries:
            if held + size <= 0.9 * self.limit_bytes:
                break
            if entry.path.name not in self._used:
                entry.path.unlink(missing_ok=True)
                held -= entry.size
        return held


@dataclass(frozen=True)
class _Entry:
    path: Path
    size: int
    used: float  # seconds since 1970


def _entries(folder: Path) -> Iterator[_Entry]:
    """The cache's own files. What a process left unfinished when it died is deleted on the way."""
    with os.scandir(folder) as found:
        for item in found:
            unfinished = _SUFFIX in item.name and item.name.endswith(_UNFINISHED)
            if not unfinished and not item.name.endswith(_SUFFIX):
                continue
            try:
                status = item.stat()
            except FileNotFoundError:
                continue
            if unfinished:
                if time.time() - status.st_mtime > _ABANDONED:
                    Path(item.path).unlink(missing_ok=True)
                continue
            yield _Entry(Path(item.path), status.st_size, status.st_mtime)


def _name(key: PredictionKey, inputs: bytes) -> str:
    # The repr of strings, bytes and tuples of them tells any two apart, as joined text would not.
    content = repr((_FORMAT, key.identity, key.code, key.kind, inputs))
    return hashlib.sha256(content.encode()).hexdigest() + _SUFFIX


def _sound(values: Array) -> bool:
    return bool(np.issubdtype(values.dtype, np.floating) and np.isfinite(values).all())


def _packed(values: Array, told: Array | None) -> bytes:
    body = io.BytesIO()
    body.write(bytes(_CHECKSUM))
    for array in (values,) if told is None else (values, told):
        np.save(body, array, allow_pickle=False)
    content = body.getbuffer()
    content[:_CHECKSUM] = zlib.crc32(content[_CHECKSUM:]).to_bytes(_CHECKSUM, "little")
    return bytes(content)


def _read(path: Path) -> tuple[Array, Array | None] | None:
    """What a file holds, None where there is none or where it is not whole."""
    try:
        content = path.read_bytes()
        expected = int.from_bytes(content[:_CHECKSUM], "little")
        if zlib.crc32(memoryview(content)[_CHECKSUM:]) != expected:
            return None
        body = io.BytesIO(content)
        body.seek(_CHECKSUM)
        values = np.load(body, allow_pickle=False)
        told = np.load(body, allow_pickle=False) if body.tell() < len(content) else None
    except (OSError, ValueError, EOFError):
        return None
    return values, told


@cache
def code_version(name: str) -> str:
    """SHA-256 of the code behind an entry point of the group "huetune.predictors", in hexadecimal.

    Over every Python file of the top-level package that supplies the loader, the version of the distribution it comes
    from, and those of numpy and torch: any change makes new keys. Computed once in a process. Where no source is
    found the result is another in each process, so that nothing is reused that may be stale. Other packages that
    the loader's package imports are not looked at.

    Raises:
        UnknownPredictor: no installed package supplies an entry point of that name.
    """
    points = tuple(entry_points(group=ENTRY_POINTS, name=name))
    if not points:
        raise UnknownPredictor(
            f"Expected an entry point {name!r} in the group {ENTRY_POINTS!r}, found none. Install the package that "
            "supplies it."
        )
    digest = hashlib.sha256()
    sources = _sources(points[-1].module.partition(".")[0])
    for label, content in sources or [("no source", uuid.uuid4().bytes)]:
        digest.update(repr((label, hashlib.sha256(content).digest())).encode())
    digest.update(repr([_origin(points[-1]), _version("numpy"), _version("torch")]).encode())
    return digest.hexdigest()


def _sources(package: str) -> list[tuple[str, bytes]]:
    """The Python files of a top-level package or module, by their names inside it."""
    spec = find_spec(package)
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        file = Path(spec.origin or "")
        return [(file.name, file.read_bytes())] if file.is_file() else []
    files = [(path, Path(root)) for root in spec.submodule_search_locations for path in Path(root).rglob("*.py")]
    return sorted((path.relative_to(root).as_posix(), path.read_bytes()) for path, root in files)


def _origin(point: EntryPoint) -> tuple[str, str] | None:
    return None if point.dist is None else (point.dist.name, point.dist.version)


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
