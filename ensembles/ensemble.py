"""Several predictors that predict as one, kept in a folder together with the rule that combines them."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from ensembles.capabilities import Confident
from ensembles.combining.combiner import Combiner, Predicted, Weighted
from ensembles.combining.gram import Floats, check_predictions
from ensembles.combining.stored import describe, restored
from ensembles.folders import check_replaceable, whole_folder
from ensembles.members.flips import Flipped
from ensembles.predictor import (
    MANIFEST,
    Array,
    Borrowing,
    CheckpointDamaged,
    CheckpointError,
    Predictor,
    load_predictor,
    read_json,
    read_manifest,
)

ENSEMBLE = "ensemble.json"
RULE = "rule.safetensors"
FORMAT = "huetune-ensemble"
VERSION = 2

_OWN_KEYS = frozenset({"format", "version", "method", "members", "rule", "rule_digest"})


@dataclass(frozen=True)
class Member:
    """One predictor, the folder of its checkpoint, where it came from, and whether its flips are averaged."""

    predictor: Predictor
    folder: Path
    trial_id: str = ""
    iteration: int = 0
    source: str = ""
    flip: bool = False


class Ensemble(Borrowing):
    """A rule over its members' predictions. Data, scores and pictures are those of its first member.

    Members that the rule does not use are dropped and never run. `notes` is kept in `ensemble.json` as it is given.
    Raises `ValueError` for no members, and for a rule over another number of them.
    """

    def __init__(
        self, members: Sequence[Member], rule: Combiner, method: str, notes: Mapping[str, Any] | None = None
    ) -> None:
        if not members or rule.members != len(members):
            raise ValueError(f"Expected a rule over {len(members)} members, at least one; got one over {rule.members}.")
        self.members = tuple(members[position] for position in rule.used)
        self.rule = rule.narrowed()
        self.method = method
        self.notes = dict(notes or {})
        taken = _OWN_KEYS & self.notes.keys()
        if taken:
            raise ValueError(f"Expected notes under names of their own, got {sorted(taken)}.")
        self._together: Callable[[Array], Sequence[Array]] | None = None

    def quickened(self, inputs: Array) -> Ensemble:
        """The same for batches like `inputs`, its members of one architecture as one pass where that is faster.

        Both ways are timed on the inputs. Members predict the same within 1e-5, so that what comes out is no longer
        bit for bit what it was. Members that are no networks of PyTorch run as before.
        """
        from ensembles.members.together import fastest

        twin = copy.copy(self)
        if not self.rule.asks_confidence:
            twin._together = fastest([member.predictor for member in self.members], inputs)
        return twin

    @property
    def weights(self) -> Floats | None:
        """(k,), in the order of `members`; None where the rule is more than a weighted mean."""
        return self.rule.weights if isinstance(self.rule, Weighted) else None

    def __call__(self, inputs: Array) -> Array:
        """(B, ...) to what the rule makes of the members' predictions (B, ...).

        Raises `BadPredictions` where a member gives NaN, infinity, or a shape unlike the first member's.
        """
        if self._together is not None:
            return self.rule(_checked(inputs, self._together(inputs)))
        return self.rule(predict_all([member.predictor for member in self.members], inputs, self.rule.asks_confidence))

    @property
    def lender(self) -> Predictor:
        return self.members[0].predictor

    def save(self, folder: Path, *, by_reference: bool = False) -> None:
        """Write the ensemble and copies of its members. An older one stays until this one is whole.

        With `by_reference` the members stay where they are, and are found by path and digest.
        Raises `FileExistsError` where `folder` holds something else, `ValueError` for a rule that cannot be stored.
        """
        check_replaceable(folder, ENSEMBLE)
        with whole_folder(folder) as fresh:
            self.write(fresh, by_reference=by_reference)

    def write(self, folder: Path, *, by_reference: bool = False) -> None:
        """Write into a folder that nobody reads yet; `save` is for all others."""
        settings, arrays = describe(self.rule)
        # It writes the memory as it lies, whatever the order of the axes in it.
        packed = safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        (folder / RULE).write_bytes(packed)
        content = {
            "format": FORMAT,
            "version": VERSION,
            "method": self.method,
            "members": [
                {
                    **_placed(member, folder, f"members/{position:02d}", by_reference),
                    "flip": member.flip,
                    "trial_id": member.trial_id,
                    "iteration": member.iteration,
                    "source": member.source,
                }
                for position, member in enumerate(self.members)
            ],
            "rule": settings,
            "rule_digest": hashlib.sha256(packed).hexdigest(),
            **self.notes,
        }
        (folder / ENSEMBLE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, data: str | Path | None = None) -> Ensemble:
        """Load what `save` wrote; the same inputs then give the same bits. `data` as in `load_predictor`.

        Raises `CheckpointDamaged` where a file of a member is missing or changed, `CheckpointError` where
        `ensemble.json` does not describe an ensemble.
        """
        folder = Path(folder)
        content = read_json(folder / ENSEMBLE, FORMAT, VERSION)
        members = _load_members(folder, content, data)
        rule = _load_rule(folder, content)
        notes = {key: value for key, value in content.items() if key not in _OWN_KEYS}
        try:
            return cls(members, rule, str(content.get("method", "")), notes)
        except ValueError as error:
            raise CheckpointError(f"{folder / ENSEMBLE}: {error}") from error


def load(folder: Path, data: str | Path | None = None) -> Predictor:
    """Load whatever predicts in `folder`: an ensemble if it holds `ensemble.json`, else one checkpoint."""
    folder = Path(folder)
    return Ensemble.load(folder, data) if (folder / ENSEMBLE).is_file() else load_predictor(folder, data)


def predict_all(predictors: Sequence[Predictor], inputs: Array, confidence: bool) -> Predicted:
    """The checked predictions of all, with their log-variances if `confidence` asks for them and all tell them."""
    told = [p.with_log_variance(inputs) for p in predictors if confidence and isinstance(p, Confident)]
    if len(told) == len(predictors):
        values = [mean for mean, _ in told]
        log_variances = [log_variance for _, log_variance in told]
    else:
        values, log_variances = [predictor(inputs) for predictor in predictors], None
    return _checked(inputs, values, log_variances)


def _checked(inputs: Array, values: Sequence[Array], log_variances: Sequence[Array] | None = None) -> Predicted:
    shape = (len(inputs), *values[0].shape[1:])
    checked = [check_predictions(member, each, shape) for member, each in enumerate(values)]
    return Predicted(inputs, checked, log_variances)


def _load_rule(folder: Path, content: Mapping[str, Any]) -> Combiner:
    try:
        packed = (folder / RULE).read_bytes()
        found = hashlib.sha256(packed).hexdigest()
        if found != content.get("rule_digest"):
            raise CheckpointDamaged(
                f"{folder / RULE} is damaged: expected SHA-256 {content.get('rule_digest')}, found {found}."
                " Build the ensemble again."
            )
        return restored(content.get("rule"), safetensors.numpy.load(packed))
    except OSError as error:
        raise CheckpointDamaged(f"{folder / RULE} cannot be read: {error.strerror}.") from error
    except (ValueError, safetensors.SafetensorError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{folder / ENSEMBLE}: {error}.") from error


def _load_members(folder: Path, content: Mapping[str, Any], data: str | Path | None) -> list[Member]:
    path = folder / ENSEMBLE
    entries = content.get("members")
    if not isinstance(entries, list) or not entries:
        raise CheckpointError(f'{path}: expected "members" to list at least one member, got {entries!r}.')
    members = []
    for entry in entries:
        if not isinstance(entry, dict) or not {"folder", "reference"} & entry.keys():
            raise CheckpointError(f"{path}: expected members with a folder or a reference each, got {entry!r}.")
        place = _place(folder, path, entry)
        predictor = load_predictor(place, data)
        flip = bool(entry.get("flip", False))
        members.append(
            Member(
                Flipped(predictor) if flip else predictor,
                place,
                str(entry.get("trial_id", "")),
                int(entry.get("iteration", 0)),
                str(entry.get("source", "")),
                flip,
            )
        )
    return members


def _placed(member: Member, folder: Path, name: str, by_reference: bool) -> dict[str, str]:
    if by_reference:
        return {"reference": str(member.folder.absolute()), "digest": _digest(member.folder)}
    _copy_checkpoint(member.folder, folder / name)
    return {"folder": name}


def _place(folder: Path, path: Path, entry: Mapping[str, Any]) -> Path:
    """Where the checkpoint of a member lies: inside the folder, or, by reference, elsewhere and unchanged."""
    if "reference" in entry:
        place = Path(str(entry["reference"]))
        if _digest(place) != entry.get("digest"):
            raise CheckpointDamaged(
                f"{path} refers to {place}, which holds another checkpoint now. Build the ensemble again."
            )
        return place
    place = folder / str(entry["folder"])
    if not place.resolve().is_relative_to(folder.resolve()):
        raise CheckpointError(f"{path}: expected members inside {folder}, got {entry['folder']!r}.")
    return place


def _digest(folder: Path) -> str:
    return hashlib.sha256(repr(read_manifest(folder).identity).encode()).hexdigest()


def _copy_checkpoint(source: Path, target: Path) -> None:
    """Only what the manifest lists: a folder may hold other things, and nothing else was verified."""
    target.mkdir(parents=True)
    for name in (*read_manifest(source).files, MANIFEST):
        shutil.copyfile(source / name, target / name)
