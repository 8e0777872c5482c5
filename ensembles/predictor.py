"""What a member of an ensemble must be able to do, and how one is loaded from its checkpoint folder.

Nothing here knows a network: a checkpoint names its predictor, an installed entry point supplies the code.
"""

from __future__ import annotations

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy.typing as npt

ENTRY_POINTS = "huetune.predictors"
MANIFEST = "checkpoint.json"
FORMAT = "huetune-checkpoint"
VERSION = 1

Array = npt.NDArray[Any]
Scores = dict[str, Array]
Output = Literal["colours", "dense", "values", "probabilities"]
Loader = Callable[[Path, str | Path | None], "Predictor"]

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Batch(Protocol):
    """B examples of a split. Examples of one group are never split apart when weights are checked."""

    @property
    def names(self) -> Sequence[str]: ...  # B

    @property
    def inputs(self) -> Array: ...  # (B, ...), float32

    @property
    def targets(self) -> Array: ...  # (B, ...), float32

    @property
    def groups(self) -> Array: ...  # (B,), int64


@runtime_checkable
class Predictor(Protocol):
    """A trained model together with the data and the measures by which it is judged."""

    def __call__(self, inputs: Array, /) -> Array:
        """Inputs (B, ...) to predictions (B, ...), of the shape of the targets."""
        ...

    def batches(self, split: str, /) -> Iterator[Batch]:
        """The examples of "train", "val" or "test": read as they are asked for, always in the same order."""
        ...

    @property
    def output(self) -> Output:
        """What predictions are.

        "colours": RGB pictures (B, 3, H, W) in [-1, 1]. "dense": other pictures or maps (B, C, H, W). "values":
        numbers (B,) or (B, C). "probabilities": of classes, (B, C), each row summing to one.
        """
        ...

    @property
    def gain_metric(self) -> str:
        """The score by which gains are counted, such as "psnr". Higher is better."""
        ...

    def scores(self, predictions: Array, targets: Array, /) -> Scores:
        """Scores of each example, (B,) each. Among them are "mse" and the `gain_metric`."""
        ...

    def summarize(self, scores: Scores, /) -> dict[str, float]:
        """The per-example scores of a whole split, (N,) each, to the columns of a table."""
        ...

    def picture(self, values: Array, /) -> Array:
        """One input, prediction or target, without its batch axis, as (H, W, 3) uint8."""
        ...


class Borrowing(ABC):
    """The data, the measures and the pictures of another predictor."""

    @property
    @abstractmethod
    def lender(self) -> Predictor:
        """The other."""

    def batches(self, split: str) -> Iterator[Batch]:
        return self.lender.batches(split)

    @property
    def output(self) -> Output:
        return self.lender.output

    @property
    def gain_metric(self) -> str:
        return self.lender.gain_metric

    def scores(self, predictions: Array, targets: Array) -> Scores:
        return self.lender.scores(predictions, targets)

    def summarize(self, scores: Scores) -> dict[str, float]:
        return self.lender.summarize(scores)

    def picture(self, values: Array) -> Array:
        return self.lender.picture(values)


class CheckpointError(ValueError):
    """A folder that cannot be used as a checkpoint."""


class CheckpointDamaged(CheckpointError):
    """A checkpoint, or an ensemble, whose files are missing or are not those that were written."""


class UnknownPredictor(CheckpointError):
    """A checkpoint that names a predictor which no installed package supplies."""


@dataclass(frozen=True)
class Manifest:
    """What `checkpoint.json` says that everybody needs: who can load the files, and their SHA-256 digests."""

    predictor: str
    files: Mapping[str, str]

    @property
    def identity(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Equal for two checkpoints that hold the same bytes for the same predictor."""
        return self.predictor, tuple(sorted(self.files.items()))


def read_json(path: Path, expected_format: str, version: int) -> dict[str, Any]:
    """A JSON object of the format and version given; raises `CheckpointError` where it is anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointDamaged(f"{path} does not exist; expected a folder that holds {path.name}.") from None
    except NotADirectoryError:
        raise CheckpointDamaged(f"{path.parent} is a file; expected the folder that holds {path.name}.") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are both ValueErrors
        raise CheckpointDamaged(f"{path} is not JSON ({error}); it is damaged or was never finished.") from None
    if not isinstance(content, dict) or content.get("format") != expected_format:
        got = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise CheckpointError(f'{path}: expected "format": "{expected_format}", got {got!r}.')
    if content.get("version") != version:
        raise CheckpointError(
            f"{path}: expected version {version}, got {content.get('version')!r}. "
            "It was written by another huetune; read it with the one that wrote it."
        )
    return content


def read_manifest(folder: Path) -> Manifest:
    """Read `checkpoint.json` and check its form, not yet the files it lists."""
    path = folder / MANIFEST
    content = read_json(path, FORMAT, VERSION)
    predictor, files = content.get("predictor"), content.get("files")
    if not isinstance(predictor, str):
        raise CheckpointError(f'{path}: expected "predictor" to be a name, got {predictor!r}.')
    if not isinstance(files, dict) or not files:
        raise CheckpointError(f'{path}: expected "files" to list at least one file with its SHA-256, got {files!r}.')
    for name, digest in files.items():
        if name in {"", ".", "..", MANIFEST} or any(character in name for character in "/\\:\0"):
            raise CheckpointError(f"{path}: expected plain names of files beside it, got {name!r}.")
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise CheckpointError(f"{path}: expected 64 hexadecimal digits for {name}, got {digest!r}.")
    return Manifest(predictor, files)


def verify_checkpoint(folder: Path) -> Manifest:
    """Compare each listed file with its digest. `CheckpointDamaged` names the file that differs."""
    folder = Path(folder)
    manifest = read_manifest(folder)
    for name, expected in manifest.files.items():
        path = folder / name
        if path.resolve().parent != folder.resolve():  # a link can lead anywhere
            raise CheckpointError(f"{path} leads to {path.resolve()}; expected a file inside the checkpoint.")
        try:
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise CheckpointDamaged(f"{path} cannot be read: {error.strerror}. Copy the checkpoint again.") from error
        if found != expected:
            raise CheckpointDamaged(
                f"{path} is damaged: expected SHA-256 {expected}, found {found}. Copy the checkpoint again."
            )
    return manifest


def load_predictor(folder: Path, data: str | Path | None = None) -> Predictor:
    """Load the checkpoint in `folder` after comparing all its files with their digests.

    `data` is a dataset to use in place of the one the checkpoint was trained on. Raises `CheckpointDamaged`
    for a missing or changed file, `UnknownPredictor` where no installed package knows its kind,
    `CheckpointError` otherwise.
    """
    return open_verified(Path(folder), verify_checkpoint(folder), data)


def open_verified(folder: Path, manifest: Manifest, data: str | Path | None = None) -> Predictor:
    """Load a checkpoint whose files `verify_checkpoint` has just compared."""
    loader: Loader = _entry_point(manifest.predictor, folder).load()
    predictor = loader(folder, data)
    if not isinstance(predictor, Predictor):
        raise CheckpointError(
            f"{folder}: the loader of {manifest.predictor!r} returned a {type(predictor).__name__}; expected "
            "a predictor: callable, with batches, output, gain_metric, scores, summarize and picture."
        )
    return predictor


def _entry_point(name: str, folder: Path) -> EntryPoint:
    known = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name not in known:
        raise UnknownPredictor(
            f"{folder / MANIFEST} names the predictor {name!r}; known: {', '.join(sorted(known)) or 'none'}. "
            f'Install the package that supplies it, under the entry points "{ENTRY_POINTS}".'
        )
    return known[name]
