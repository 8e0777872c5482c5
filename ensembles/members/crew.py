"""The candidates of an ensemble in the making: loaded, asked for predictions, or set aside with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ensembles.capabilities import Confident, Flippable
from ensembles.combining.combiner import Positions, Predicted
from ensembles.combining.gram import BadPredictions, check_predictions
from ensembles.ensemble import Member
from ensembles.members.cache import PredictionCache, PredictionKey, code_version, fingerprint
from ensembles.members.flips import ConfidentFlipped, Flipped
from ensembles.predictor import Array, Batch, CheckpointError, Output, Predictor, open_verified, verify_checkpoint

BASE, FLIPS = "base", "flips"
_FAR = 10.0  # from zero: what overshoots a little is clipped when it is scored
_NEARLY = 1e-2  # rounding in half precision
Told = tuple[Array, Array | None]  # predictions, and log-variances from those who tell them


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


@dataclass(frozen=True)
class Seat:
    """A predictor that takes part.

    Attributes:
        predictor: as it was loaded, in whatever family.
        family: those it is combined with: the checkpoints, the same with their flips averaged, averages of weights, …
        key: under which its predictions are kept.
    """

    predictor: Predictor
    candidate: Candidate
    family: str
    key: PredictionKey

    @property
    def flip(self) -> bool:
        return self.family == FLIPS

    def of_family(self, family: str) -> Seat:
        """The same in another family."""
        return replace(self, family=family)

    def member(self) -> Member:
        """It as a member of an ensemble."""
        predictor = Flipped(self.predictor) if self.flip else self.predictor
        came_from = self.candidate
        place = Path(came_from.folder)
        return Member(predictor, place, came_from.trial_id, came_from.iteration, came_from.source, self.flip)


class Crew:
    """Candidates in use, with their predictors, and those set aside. The judge has data and scores."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        data: str | Path | None,
        cache: PredictionCache | None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Load each candidate whose files are whole; `say` is told of each. `NoMembers` if none is left."""
        self.data = data
        self.cache = cache
        self.seats: list[Seat] = []
        self.set_aside: list[SetAside] = []
        self.spoilt: set[tuple[str, str]] = set()
        for candidate in candidates:
            say(f"loading {candidate.trial_id}")
            self._admit(candidate)
        if not self.seats:
            raise NoMembers(self.set_aside)
        # It stays the judge even if its predictions turn out bad: the data must not change midway.
        self.judge = self.seats[0].predictor
        self.confident = all(isinstance(seat.predictor, Confident) for seat in self.seats)

    def _admit(self, candidate: Candidate) -> None:
        try:
            self.seat(candidate, BASE)
        except CheckpointError as error:
            self.set_aside.append(SetAside(candidate, str(error)))
        except Exception as error:  # a loader is anyone's code; its error is reported, not lost
            self.set_aside.append(SetAside(candidate, f"cannot be loaded: {type(error).__name__}: {error}"))

    def seat(self, candidate: Candidate, family: str) -> None:
        """Load a checkpoint into a family. Raises `CheckpointError`, or whatever its loader raises."""
        manifest = verify_checkpoint(candidate.folder)
        predictor = open_verified(Path(candidate.folder), manifest, self.data)
        key = PredictionKey(manifest.identity, code_version(manifest.predictor))
        for seat in self.family(family):
            if seat.key == key:
                twin = seat.candidate
                raise CheckpointError(f"duplicate: the same files as {twin.trial_id} at iteration {twin.iteration}.")
        self.seats.append(Seat(predictor, candidate, family, key))

    def add_flips(self) -> str | None:
        """Seat each base member once more with its flips averaged; why that cannot be, None where it can."""
        base = self.family(BASE)
        for seat in base:
            if not isinstance(seat.predictor, Flippable) or not seat.predictor.flip_axes:
                return f"{seat.candidate.trial_id} does not say along which axes it may be flipped (flip_axes)"
        for seat in base:
            self.seats.append(replace(seat, family=FLIPS, key=replace(seat.key, kind="flips")))
        return None

    def only_base(self) -> None:
        """Forget all that was made of the base members."""
        self.seats = self.family(BASE)

    def family(self, name: str) -> list[Seat]:
        return [seat for seat in self.seats if seat.family == name]

    def positions(self, family: str) -> Positions:
        """The positions of a family's seats, best candidate first."""
        return np.array([position for position, seat in enumerate(self.seats) if seat.family == family], dtype=np.intp)

    @property
    def candidates(self) -> list[Candidate]:
        """Those of the base members."""
        return [seat.candidate for seat in self.family(BASE)]

    def predict(self, batch: Batch, positions: Sequence[int] | Positions | None = None) -> Predicted:
        """The predictions of some seats, all by default; raises `BadPredictions` for the first that fails.

        The member that it names is the seat's position.
        """
        chosen = range(len(self.seats)) if positions is None else positions
        digest = b"" if self.cache is None else fingerprint(batch.inputs)
        told = [self._checked(int(position), batch, digest) for position in chosen]
        variances = [log_variance for _, log_variance in told if log_variance is not None]
        return Predicted(batch.inputs, [v for v, _ in told], variances if len(variances) == len(told) else None)

    def _checked(self, position: int, batch: Batch, digest: bytes) -> Told:
        try:
            values, log_variance = self._predict(self.seats[position], batch.inputs, digest)
        except Exception as error:
            raise BadPredictions(position, f"cannot predict: {type(error).__name__}: {error}") from error
        checked = check_predictions(position, values, batch.targets.shape)
        _check_range(position, checked, self.judge.output)
        return checked, log_variance

    def _predict(self, seat: Seat, inputs: Array, digest: bytes) -> Told:
        def compute(inputs: Array) -> Told:
            if seat.flip:  # the member as it is has just been asked: only the flipped inputs are new
                plain = replace(seat, family=BASE, key=replace(seat.key, kind="plain"))
                flipped, (values, told) = Flipped(seat.predictor), self._predict(plain, inputs, digest)
                if told is not None and isinstance(flipped, ConfidentFlipped):
                    return flipped.from_plain_with_log_variance((values, told), inputs)
                return flipped.from_plain(values, inputs), None
            if self.confident and isinstance(seat.predictor, Confident):
                return seat.predictor.with_log_variance(inputs)
            return np.asarray(seat.predictor(inputs)), None

        if self.cache is None:
            return compute(inputs)
        key = replace(seat.key, kind=f"{seat.key.kind} with log-variance") if self.confident else seat.key
        return self.cache.predict(key, inputs, compute, digest=digest)

    def exclude(self, error: BadPredictions, split: str) -> None:
        """Set a member aside, with all that was made of it.

        What was made for the ensemble, such as an average of weights, is noted as `spoilt`, by family and name, so that
        it is not made again.
        """
        seat = self.seats[error.member]
        failed = seat.candidate
        if seat.family not in (BASE, FLIPS):
            self.spoilt.add((seat.family, failed.trial_id))
        self.seats = [seat for seat in self.seats if seat.candidate is not failed]
        self.set_aside.append(SetAside(failed, f"{error.reason} (on the {split} split)"))
        if not self.family(BASE):
            raise NoMembers(self.set_aside) from error

    @property
    def labels(self) -> list[str]:
        """A short name for each base member, none twice."""
        short = [each.trial_id for each in self.candidates]
        if len(set(short)) == len(short):
            return short
        longer = [f"{each.trial_id}@{each.iteration}" for each in self.candidates]
        if len(set(longer)) == len(longer):
            return longer
        return [f"{label}#{position}" for position, label in enumerate(longer)]


def _check_range(member: int, values: Array, output: Output) -> None:
    """Raise `BadPredictions` for what is clearly of another range, such as colours from 0 to 255."""
    if output == "colours" and (furthest := float(np.abs(values).max(initial=0))) > _FAR:
        raise BadPredictions(member, f"expected colours in [-1, 1], got values as far as {furthest:.4g} from zero.")
    if output == "probabilities":
        off = float(np.abs(values.sum(axis=1) - 1).max(initial=0))
        least = float(values.min(initial=0))
        if off > _NEARLY or least < -_NEARLY:
            raise BadPredictions(
                member,
                f"expected class probabilities that sum to one, got values from {least:.4g} and sums {off:.4g} off.",
            )


def counted(judge: Predictor, split: str) -> Iterator[tuple[int, Batch]]:
    """The batches of a split, checked, each with the number of examples so far. `ValueError` where there are none."""
    count = 0
    for batch in judge.batches(split):
        size = len(batch.names)
        if batch.targets is None:
            raise ValueError(
                f"Expected targets in the {split} split, got none: members are weighed and judged by them."
            )
        if not size == len(batch.inputs) == len(batch.targets) == len(batch.groups):
            raise ValueError(
                f"Expected as many names, inputs, targets and groups in a batch of the {split} split, got "
                f"{size}, {len(batch.inputs)}, {len(batch.targets)} and {len(batch.groups)}."
            )
        count += size
        yield count, batch
    if not count:
        raise ValueError(f"The {split} split holds no example; an ensemble needs at least one.")
