"""What goes to the cluster with a job: which files, how large they are, and what other machines could never see."""

from __future__ import annotations

import logging
import os
import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ray._private import ray_constants
from ray._private.runtime_env.packaging import _dir_travel, _get_excludes

from search.errors import RunError

# In the syntax of .gitignore. Ray leaves some of these out by itself, and lets its user change which.
LEFT_OUT = (".git", ".venv", "venv", "__pycache__", "/runs", "/.demo")

# What Ray's dashboard takes in one request, to the byte.
LIMIT = int(ray_constants.DASHBOARD_CLIENT_MAX_SIZE)

# Ray zips without compression. A file has two headers in the archive, each with its name; one record ends it.
_HEADERS, _END = 30 + 46, 22

_silent = logging.Logger("huetune.travel", logging.CRITICAL)


@dataclass(frozen=True)
class Luggage:
    """The files of a folder that travel with a job.

    Attributes:
        folder: where they lie here.
        files: bytes by path, relative to the folder.
    """

    folder: Path
    files: Mapping[str, int]

    @property
    def size(self) -> int:
        """What is uploaded, in bytes."""
        names = sum(len(os.fsencode(name)) for name in self.files)
        return sum(self.files.values()) + _HEADERS * len(self.files) + 2 * names + _END

    def largest(self, most: int = 5) -> list[tuple[str, int]]:
        """What weighs most, heaviest first: files, and folders in which no few parts make up most of the weight."""
        weights: dict[str, int] = defaultdict(int)
        parts: dict[str, set[str]] = defaultdict(set)
        for name, size in self.files.items():
            path = name
            while path:
                weights[path] += size
                whole = path.rpartition("/")[0]
                parts[whole].add(path)
                path = whole

        def heavy(path: str) -> Iterator[str]:
            first = sorted(parts[path], key=lambda part: (-weights[part], part))[:most]
            if path and (path in self.files or sum(weights[part] for part in first) < weights[path] / 2):
                yield path
                return
            for part in first:
                yield from heavy(part)

        found = sorted(heavy(""), key=lambda path: (-weights[path], path))[:most]
        return [(path if path in self.files else f"{path}/", weights[path]) for path in found]

    def __str__(self) -> str:
        files = f"{len(self.files):,} file{'' if len(self.files) == 1 else 's'}"
        return f"{files}, {in_words(self.size)}"


def pack(folder: Path, limit: int = LIMIT) -> Luggage:
    """Find what would travel of a folder, by the rules of Ray: all but what .gitignore, .rayignore and we leave out.

    Raises:
        RunError: there is no such folder, or it is larger than the cluster takes.
    """
    if not folder.is_dir():
        raise RunError(f"Expected a folder to send to the cluster, found none at {folder}. Correct --working-dir.")
    folder = folder.absolute()
    files: dict[str, int] = {}

    def note(path: Path) -> None:
        if path.is_file():
            files[path.relative_to(folder).as_posix()] = path.stat().st_size

    heed = os.environ.get(ray_constants.RAY_RUNTIME_ENV_IGNORE_GITIGNORE, "0") != "1"
    left_out = [*ray_constants.get_runtime_env_default_excludes(), *LEFT_OUT]
    _dir_travel(folder, [_get_excludes(folder, left_out)], note, include_gitignore=heed, logger=_silent)
    luggage = Luggage(folder, files)
    if luggage.size > limit:
        listed = "".join(f"\n  {in_words(size):>10}  {path}" for path, size in luggage.largest())
        raise RunError(
            f"Expected at most {in_words(limit)} to send to the cluster, got {luggage} in {folder}. The largest:"
            f"{listed}\nName what is no code in a file .rayignore (written like .gitignore), or send a smaller folder:"
            " --working-dir DIR. Data belong in a bucket."
        )
    return luggage


def check_place(what: str, place: str, shared: Sequence[Path]) -> None:
    """Refuse a place of runs, or a run, that not every machine of a cluster can reach.

    Args:
        what: the option or argument that names it.
        place: a folder or an address.
        shared: folders that all machines mount at the same path.

    Raises:
        RunError: it lies on this machine only.
    """
    if _is_here_only(place, shared):
        raise RunError(
            f"Expected {what} to lie where all machines of the cluster reach it, got {place!r}, on the disk of this"
            " one. Give an address such as s3://bucket/runs, or a folder that all machines mount at the same path, and"
            f" say so: --shared /mnt.{_not_shared(place, shared)}"
        )


def check_options(options: Mapping[str, Any], folder: Path, storage: str, shared: Sequence[Path]) -> None:
    """Refuse options of a definition that name something on the disk of this machine.

    Args:
        options: parsed values by the names of the definition's parameters.
        folder: where the job starts; paths relative to it are looked for as well.
        storage: the place of runs, for the advice where to put what is refused.
        shared: folders that all machines mount at the same path.

    Raises:
        RunError: with the first of them, and what to write instead.
    """
    for name, given in options.items():
        option = "--" + name.replace("_", "-")
        for value in given if isinstance(given, list | tuple) else (given,):
            if not isinstance(value, str | Path) or not value or not _is_here_only(value, shared):
                continue
            here = _as_path(value) or Path()
            found = next((path for path in (here, folder / here) if os.path.lexists(path)), None)
            if found is None and isinstance(value, str):
                continue  # not a path, as far as anybody can tell
            kind = "a path" if found is None else "a folder" if found.is_dir() else "a file"
            raise RunError(
                f"Expected {option} to name what all machines of the cluster can read, got {str(value)!r}: {kind} on"
                f" this disk, which the others do not see. {_advice(option, value, found or here, storage)}"
                f" Or put it where all machines mount the same disk, and say so: --shared DIR."
                f"{_not_shared(value, shared)}"
            )


def check_shared(shared: Sequence[Path]) -> None:
    """Refuse a shared folder that no two machines would look for at the same place.

    Raises:
        RunError: a path is not absolute.
    """
    for folder in shared:
        if not folder.is_absolute():
            raise RunError(f"Expected --shared to be an absolute path, got {str(folder)!r}. Write it from the root on.")


def in_words(size: int) -> str:
    """A number of bytes, short."""
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= scale:
            return f"{size / scale:,.1f} {unit}"
    return f"{size} bytes"


def _as_path(value: str | Path) -> Path | None:
    """The local path that a value may be; None for an address elsewhere."""
    if isinstance(value, Path):
        return value
    if value.startswith("file:"):
        return Path(urlsplit(value).path)
    return None if "://" in value else Path(value)


def _is_here_only(value: str | Path, shared: Sequence[Path]) -> bool:
    path = _as_path(value)
    if path is None:
        return False
    return not any(Path(os.path.normpath(path)).is_relative_to(folder) for folder in shared)


def _not_shared(value: str | Path, shared: Sequence[Path]) -> str:
    """What to add where a shared folder was given and the value does not lie in it."""
    if not shared:
        return ""
    return f" ({value} does not lie under {', '.join(map(str, shared))}; write it as an absolute path.)"


def _advice(option: str, value: str | Path, found: Path, storage: str) -> str:
    """How to bring a file or folder to the bucket of the runs, and what to write then."""
    place = urlsplit(storage)
    if isinstance(value, Path):
        return "A bucket has no paths: declare the parameter as a string, and give an address such as s3://bucket/data."
    if place.scheme not in ("s3", "gs"):
        return f"Copy it to a bucket, and give its address: {option} s3://bucket/data."
    address = f"{place.scheme}://{place.netloc}/data/{Path(os.path.abspath(found)).name}"
    copy = ["aws", "s3", "cp"] if place.scheme == "s3" else ["gcloud", "storage", "cp"]
    if found.is_dir():
        copy.append("--recursive")
    settings = parse_qs(place.query)
    if endpoint := settings.get("endpoint_override"):
        copy += ["--endpoint-url", f"{settings.get('scheme', ['https'])[0]}://{endpoint[0].split('://')[-1]}"]
    written = address + (f"?{place.query}" if place.query else "")
    return (
        f"Copy it to the bucket: {shlex.join([*copy, str(found), address])} and then write {option}"
        f" {shlex.quote(written)}."
    )
