"""A weighted mean of predictors that is a predictor itself, kept in a folder together with its members."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ensembles.combining.gram import Floats, blend, check_weights
from ensembles.folders import check_replaceable, whole_folder
from ensembles.predictor import (
    MANIFEST,
    Array,
    Batch,
    CheckpointError,
    Output,
    Predictor,
    Scores,
    load_predictor,
    read_json,
    read_manifest,
)

ENSEMBLE = "ensemble.json"
FORMAT = "huetune-ensemble"
VERSION = 1

_OWN_KEYS = frozenset({"format", "version", "method", "members"})


@dataclass(frozen=True)
class Member:
    """One predictor with its share of the blend, the folder of its checkpoint, and where it came from."""

    predictor: Predictor
    weight: float
    folder: Path
    trial_id: str = ""
    iteration: int = 0
    source: str = ""


class Ensemble:
    """The weighted mean of its members' predictions. Data, scores and pictures are those of its first member.

    Members of weight zero are dropped and never run. `notes` is kept in `ensemble.json` as it is given.
    Raises `ValueError` for no members, for weights below zero, and for weights that do not sum to one.
    """

    def __init__(self, members: Sequence[Member], method: str, notes: Mapping[str, Any] | None = None) -> None:
        weights = check_weights([member.weight for member in members], len(members))
        if weights.min(initial=0.0) < 0:
            raise ValueError(f"Expected weights of zero or more, got {weights.tolist()}.")
        self.members = tuple(member for member in members if member.weight > 0)
        self.method = method
        self.notes = dict(notes or {})
        taken = _OWN_KEYS & self.notes.keys()
        if taken:
            raise ValueError(f"Expected notes under names of their own, got {sorted(taken)}.")

    @property
    def weights(self) -> Floats:
        """(k,), above zero, in the order of `members`."""
        return np.array([member.weight for member in self.members])

    def __call__(self, inputs: Array) -> Array:
        """(B, ...) to the weighted mean of the members' predictions (B, ...).

        Raises `BadPredictions` where a member gives NaN, infinity, or a shape unlike the first member's.
        """
        return blend((member.predictor(inputs) for member in self.members), self.weights)

    def batches(self, split: str) -> Iterator[Batch]:
        return self._first.batches(split)

    @property
    def output(self) -> Output:
        return self._first.output

    @property
    def gain_metric(self) -> str:
        return self._first.gain_metric

    def scores(self, predictions: Array, targets: Array) -> Scores:
        return self._first.scores(predictions, targets)

    def summarize(self, scores: Scores) -> dict[str, float]:
        return self._first.summarize(scores)

    def picture(self, values: Array) -> Array:
        return self._first.picture(values)

    @property
    def _first(self) -> Predictor:
        return self.members[0].predictor

    def save(self, folder: Path) -> None:
        """Write the ensemble and copies of its members. An older one stays until this one is whole.

        Raises `FileExistsError` where `folder` holds something else.
        """
        check_replaceable(folder, ENSEMBLE)
        with whole_folder(folder) as fresh:
            self.write(fresh)

    def write(self, folder: Path) -> None:
        """Write into a folder that nobody reads yet; `save` is for all others."""
        entries = []
        for position, member in enumerate(self.members):
            name = f"members/{position:02d}"
            _copy_checkpoint(member.folder, folder / name)
            entries.append(
                {
                    "folder": name,
                    "weight": float(member.weight),
                    "trial_id": member.trial_id,
                    "iteration": member.iteration,
                    "source": member.source,
                }
            )
        content = {
            "format": FORMAT,
            "version": VERSION,
            "method": self.method,
            "members": entries,
            **self.notes,
        }
        (folder / ENSEMBLE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, data: Path | None = None) -> Ensemble:
        """Load what `save` wrote; the same inputs then give the same bits. `data` as in `load_predictor`.

        Raises `CheckpointDamaged` where a file of a member is missing or changed, `CheckpointError` where
        `ensemble.json` does not describe an ensemble.
        """
        folder = Path(folder)
        content = read_json(folder / ENSEMBLE, FORMAT, VERSION)
        notes = {key: value for key, value in content.items() if key not in _OWN_KEYS}
        return cls(_load_members(folder, content, data), str(content.get("method", "")), notes)


def load(folder: Path, data: Path | None = None) -> Predictor:
    """Load whatever predicts in `folder`: an ensemble if it holds `ensemble.json`, else one checkpoint."""
    folder = Path(folder)
    return Ensemble.load(folder, data) if (folder / ENSEMBLE).is_file() else load_predictor(folder, data)


def _load_members(folder: Path, content: Mapping[str, Any], data: Path | None) -> list[Member]:
    path = folder / ENSEMBLE
    entries = content.get("members")
    if not isinstance(entries, list) or not entries:
        raise CheckpointError(f'{path}: expected "members" to list at least one member, got {entries!r}.')
    try:
        weights = check_weights([float(entry["weight"]) for entry in entries], len(entries))
        folders = [folder / str(entry["folder"]) for entry in entries]
    except (TypeError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path}: expected members with a folder and a weight each. {error}") from error
    members = []
    for entry, weight, place in zip(entries, weights, folders, strict=True):
        if not place.resolve().is_relative_to(folder.resolve()):
            raise CheckpointError(f"{path}: expected members inside {folder}, got {entry['folder']!r}.")
        if weight == 0:
            continue
        came_from = (
            str(entry.get("trial_id", "")),
            int(entry.get("iteration", 0)),
            str(entry.get("source", "")),
        )
        members.append(Member(load_predictor(place, data), float(weight), place, *came_from))
    return members


def _copy_checkpoint(source: Path, target: Path) -> None:
    """Only what the manifest lists: a folder may hold other things, and nothing else was verified."""
    target.mkdir(parents=True)
    for name in (*read_manifest(source).files, MANIFEST):
        shutil.copyfile(source / name, target / name)
