"""The candidates of an ensemble in the making: loaded, asked for predictions, or set aside with a reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ensembles.combining.gram import BadPredictions, Floats, check_predictions
from ensembles.ensemble import Member
from ensembles.predictor import CheckpointError, Predictor, open_verified, verify_checkpoint


@dataclass(frozen=True)
class Candidate:
    """A checkpoint that may become a member. `source` says, for the record, where it came from."""

    folder: Path
    trial_id: str
    iteration: int
    source: str


@dataclass(frozen=True)
class SetAside:
    """A candidate that did not become a member, and why."""

    candidate: Candidate
    reason: str


class NoMembers(ValueError):
    """Not one candidate could be used. The message gives the reason of each."""

    def __init__(self, set_aside: Sequence[SetAside]) -> None:
        reasons = [f"\n  {item.candidate.folder}: {item.reason}" for item in set_aside]
        super().__init__(f"None of {len(set_aside)} checkpoints can be a member of the ensemble.{''.join(reasons)}")
        self.set_aside = tuple(set_aside)


class Crew:
    """Candidates in use, with their predictors, and those set aside. The judge has data and scores."""

    def __init__(self, candidates: Sequence[Candidate], data: Path | None, say: Callable[[str], None]) -> None:
        """Load each candidate whose files are whole; `say` is told of each. `NoMembers` if none is left."""
        self.candidates: list[Candidate] = []
        self.predictors: list[Predictor] = []
        self.set_aside: list[SetAside] = []
        seen: dict[object, Candidate] = {}
        for candidate in candidates:
            say(f"loading {candidate.trial_id}")
            try:
                manifest = verify_checkpoint(candidate.folder)
                twin = seen.get(manifest.identity)
                if twin is not None:
                    raise CheckpointError(
                        f"duplicate: the same files as {twin.trial_id} at iteration {twin.iteration}."
                    )
                predictor = open_verified(Path(candidate.folder), manifest, data)
            except CheckpointError as error:
                self.set_aside.append(SetAside(candidate, str(error)))
            except Exception as error:  # a loader is anyone's code; its error is reported, not lost
                self.set_aside.append(SetAside(candidate, f"cannot be loaded: {type(error).__name__}: {error}"))
            else:
                seen[manifest.identity] = candidate
                self.candidates.append(candidate)
                self.predictors.append(predictor)
        if not self.predictors:
            raise NoMembers(self.set_aside)
        # It stays the judge even if its predictions turn out bad: the data must not change midway.
        self.judge = self.predictors[0]

    def predict(self, inputs: npt.NDArray[Any], shape: tuple[int, ...]) -> list[npt.NDArray[Any]]:
        """Every member's predictions; raises `BadPredictions` for the first member that fails."""
        predictions = []
        for member, predictor in enumerate(self.predictors):
            try:
                values = predictor(inputs)
            except Exception as error:
                raise BadPredictions(member, f"cannot predict: {type(error).__name__}: {error}") from error
            predictions.append(check_predictions(member, values, shape))
        return predictions

    def exclude(self, error: BadPredictions, split: str) -> int:
        """Set a member aside and return the position it had."""
        candidate = self.candidates.pop(error.member)
        self.predictors.pop(error.member)
        self.set_aside.append(SetAside(candidate, f"{error.reason} (on the {split} split)"))
        if not self.predictors:
            raise NoMembers(self.set_aside) from error
        return error.member

    def members(self, weights: Floats) -> list[Member]:
        return [
            Member(predictor, float(weight), Path(each.folder), each.trial_id, each.iteration, each.source)
            for predictor, weight, each in zip(self.predictors, weights, self.candidates, strict=True)
        ]

    @property
    def labels(self) -> list[str]:
        """A short name for each member, none twice."""
        short = [each.trial_id for each in self.candidates]
        if len(set(short)) == len(short):
            return short
        longer = [f"{each.trial_id}@{each.iteration}" for each in self.candidates]
        if len(set(longer)) == len(longer):
            return longer
        return [f"{label}#{position}" for position, label in enumerate(longer)]
