"""Checkpoint folders: a half-written one never passes for whole, and all are checked before being believed.

A checkpoint is `generator.safetensors` (the weights to predict with), `discriminator.safetensors`,
`training.safetensors` (optimisers, random states, order of the data: what continuing needs) and
`checkpoint.json`, which holds the config and the SHA-256 of the others. One that is only to predict with lists, and
has, the first alone. Nothing in it is code or a pickle.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from colorizer.config import TrainingConfig, build_generator
from colorizer.generator import UNet, placed

FORMAT = "huetune-checkpoint"
VERSION = 1
PREDICTOR = "colorizer"
DESCRIPTION = "checkpoint.json"
_FILES = tuple(f"{name}.safetensors" for name in ("generator", "discriminator", "training"))
GENERATOR, DISCRIMINATOR, TRAINING = _FILES
_MOST_NAMED = 12  # tensors: beyond that a list says nothing more


class CheckpointError(Exception):
    """A checkpoint that cannot be used; says which file or tensor, what was expected and what was found."""


@dataclass(frozen=True)
class Description:
    """What `checkpoint.json` says.

    Attributes:
        config: of the training.
        steps: taken when it was written.
        iteration: reports made by then.
        data: where the drawings came from, `path` and `digest`, and the `statistics` of their training split; or empty.
        metrics: validation scores by then, or empty.
        versions: of the packages that wrote it.
        notes: of whoever had it written; JSON values.
        files: name -> SHA-256 of the other files.
    """

    config: TrainingConfig
    steps: int = 0
    iteration: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def write(folder: str | Path, description: Description, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Write a checkpoint into `folder`, made if missing; one that is there is replaced.

    The description goes first and comes last: a folder without one is no checkpoint. Should the power fail
    before the disk has everything, the digests tell.

    Args:
        tensors: file name -> the tensors in it, on any device.

    Raises:
        ValueError: a note that JSON cannot hold. Nothing is written then.
    """
    notes = _as_json(description.notes)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DESCRIPTION).unlink(missing_ok=True)
    for name in set(_FILES) - set(tensors):
        (folder / name).unlink(missing_ok=True)
    digests = {}
    for name, content in tensors.items():
        plain = {key: tensor.detach().cpu().contiguous() for key, tensor in content.items()}
        packed = safetensors.torch.save(plain)
        digests[name] = hashlib.sha256(packed).hexdigest()
        _replace(folder / name, packed)
    values = {
        "format": FORMAT,
        "version": VERSION,
        "predictor": PREDICTOR,
        "config": description.config.to_dict(),
        "steps": description.steps,
        "iteration": description.iteration,
        "data": dict(description.data),
        "metrics": {name: float(value) for name, value in description.metrics.items()},
        "versions": _versions(),
        **({"notes": notes} if notes else {}),
        "files": digests,
    }
    _replace(folder / DESCRIPTION, json.dumps(values | {"sha256": _digest(values)}, indent=2).encode())


def read(folder: str | Path) -> Description:
    """The description of a checkpoint, once every file it lists has been found to be what was written.

    Raises:
        CheckpointError: something is missing, damaged, of another format or newer than this program.
    """
    folder = Path(folder)
    path = folder / DESCRIPTION
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(f"Expected a checkpoint, found no {DESCRIPTION} in {folder}.") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"Expected {path} to be readable JSON, found: {error}.") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        found = values.get("format") if isinstance(values, dict) else type(values).__name__
        raise CheckpointError(f'Expected "format": "{FORMAT}" in {path}, found {found!r}.')
    if values.get("version") != VERSION:
        raise CheckpointError(
            f"Expected version {VERSION} in {path}, found {values.get('version')!r}: "
            "it was written by another version of huetune."
        )
    if values.pop("sha256", None) != _digest(values):
        raise CheckpointError(f"Expected {path} as it was written, found another SHA-256: the file was changed.")
    try:
        description = Description(
            config=TrainingConfig.from_dict(values["config"]),
            steps=int(values["steps"]),
            iteration=int(values["iteration"]),
            data=dict(values["data"]),
            metrics=dict(values["metrics"]),
            versions=dict(values["versions"]),
            notes=dict(values.get("notes", {})),
            files=dict(values["files"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"Expected a complete description in {path}, found: {error}. {_written_by(values.get('versions'))}"
        ) from error
    for name in description.files:
        if name not in _FILES:
            raise CheckpointError(f"Expected {path} to list some of {', '.join(_FILES)}, found {name!r}.")
    for name in dict.fromkeys((GENERATOR, *description.files)):
        _verify(folder / name, description.files.get(name))
    return description


def read_tensors(folder: str | Path, name: str) -> dict[str, Tensor]:
    """The tensors of one file of a checkpoint that `read` has verified, on the CPU."""
    path = Path(folder) / name
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load_file(path)
        return tensors
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"Expected tensors in {path}, found: {error}.") from error


def load_generator(folder: str | Path, device: str | torch.device = "cpu") -> tuple[UNet, Description]:
    """The generator of a checkpoint, built from its own config, ready to predict.

    Raises:
        CheckpointError: see `read`; or the tensors are not those of the config.
    """
    description = read(folder)
    generator = build_generator(description.config)
    try:
        load_weights(generator, read_tensors(folder, GENERATOR), Path(folder) / GENERATOR)
    except CheckpointError as error:
        raise CheckpointError(f"{error}\n{_written_by(description.versions)}") from error
    return placed(generator, device).eval(), description


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], source: str | Path) -> None:
    """Put `weights` into `network`, all or, when anything differs, none.

    Raises:
        CheckpointError: a tensor is missing, unknown, of another shape or type.
    """
    check_tensors(network.state_dict(), weights, source)
    network.load_state_dict(dict(weights))


def check_tensors(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], source: str | Path) -> None:
    """Refuse `found` unless it has the names, shapes and types of `expected`; what differs is named, tensor by tensor.

    Raises:
        CheckpointError: they differ.
    """
    differing = [
        f"{name} as {_signature(tensor)} but found {_instead(tensor, found.get(name))}"
        for name, tensor in expected.items()
        if name not in found or _signature(found[name]) != _signature(tensor)
    ]
    differing += [f"no tensor {name} but found {_signature(found[name])}" for name in found if name not in expected]
    if not differing:
        return
    if len(differing) == 1:
        raise CheckpointError(f"Expected in {source} {differing[0]}.")
    more = [f"and {len(differing) - _MOST_NAMED} more"] if len(differing) > _MOST_NAMED else []
    listed = "\n  ".join([*differing[:_MOST_NAMED], *more])
    raise CheckpointError(f"Expected other tensors in {source}, {len(differing)} of them differ:\n  {listed}")


def _as_json(notes: Mapping[str, Any]) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(notes), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected notes that JSON can hold, got {dict(notes)!r}: {error}.") from error
    return plain


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _signature(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _instead(expected: Tensor, found: Tensor | None) -> str:
    if found is None:
        return "no such tensor"
    turned = found.shape != expected.shape and sorted(found.shape) == sorted(expected.shape)
    return f"{_signature(found)}{', which looks transposed' if turned else ''}"


def _written_by(versions: object) -> str:
    """Who wrote a checkpoint that does not fit, and what to do about it."""
    theirs = versions.get("huetune", "unknown") if isinstance(versions, Mapping) else "unknown"
    ours = _versions()["huetune"]
    return f"It was written by huetune {theirs}, this is {ours}: use that one, or another checkpoint of its run."


def _verify(path: Path, expected: str | None) -> None:
    if expected is None:
        raise CheckpointError(f"Expected the SHA-256 of {path.name} in {path.parent / DESCRIPTION}, found none.")
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"Expected {path}, found: {error.strerror or error}.") from error
    if found != expected:
        raise CheckpointError(f"Expected {path} with SHA-256 {expected[:12]}…, found {found[:12]}…: it is damaged.")


def _replace(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)  # mkstemp's files are for the owner's eyes alone
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _versions() -> dict[str, str]:
    try:
        ours = version("huetune")
    except PackageNotFoundError:
        ours = "unknown"
    return {"huetune": ours, "torch": str(torch.__version__)}
