"""Members trained again on parts of the training split, and what each predicts for examples it never saw."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ensembles.capabilities import Confident, Retrainable
from ensembles.combining.combiner import Array, Positions, Predicted
from ensembles.combining.gram import BadPredictions, ErrorGram, Floats, check_predictions
from ensembles.combining.method import Measures, fold_of
from ensembles.folders import whole_folder
from ensembles.predictor import CheckpointError, Predictor, load_predictor, read_manifest, verify_checkpoint

PART = "part.json"
SPLIT = "train"

Groups = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Fold:
    """Positions of examples, in the order of the training split: (M,) to train on, (H,) that this leaves unseen."""

    training: Positions
    held_out: Positions

    def __post_init__(self) -> None:
        object.__setattr__(self, "training", np.asarray(self.training))
        object.__setattr__(self, "held_out", np.asarray(self.held_out))


@dataclass(frozen=True, eq=False)
class Folds:
    """The training split cut so that the second level is fitted only to what the members have not seen.

    Raises `ValueError` where an example of `covered` is held out by no fold or by two, or where a fold trains on an
    example, or on a group, that it holds out.

    Attributes:
        folds: at least one, none of them with an empty part.
        groups: (N,), of all examples of the split.
        covered: (N,), the examples that the second level sees. All by default.
    """

    folds: Sequence[Fold]
    groups: Groups
    covered: npt.NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        covered = self.seen
        object.__setattr__(self, "folds", tuple(self.folds))
        if covered.shape != self.groups.shape:
            raise ValueError(f"Expected covered (N,) for groups {self.groups.shape}, got {covered.shape}.")
        for number, fold in enumerate(self.folds):
            _check_fold(number, fold, self.groups)
        times = np.zeros(len(self.groups), dtype=np.int64)
        for fold in self.folds:
            np.add.at(times, fold.held_out, 1)
        if (times > 1).any():
            raise ValueError(
                f"Expected each example in the held-out part of one fold, got {int((times > 1).sum())} of {len(times)} "
                "in those of several; the folds overlap."
            )
        if (times[covered] == 0).any() or not self.folds:
            missing = int((times[covered] == 0).sum())
            raise ValueError(
                f"Expected a fold for each example, got {missing} of {int(covered.sum())} that no fold holds out; "
                "nothing can be predicted for them by a model that did not see them."
            )
        if (times[~covered] > 0).any():
            raise ValueError(
                f"Expected only covered examples in held-out parts, got {int((times[~covered] > 0).sum())} others."
            )

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """(N,), `covered`, or all."""
        return np.ones(len(self.groups), dtype=np.bool_) if self.covered is None else np.asarray(self.covered)

    @property
    def fold_of(self) -> npt.NDArray[np.intp]:
        """(N,), the number of the fold that holds an example out, -1 where none does."""
        result = np.full(len(self.groups), -1, dtype=np.intp)
        for number, fold in enumerate(self.folds):
            result[fold.held_out] = number
        return result

    @classmethod
    def by_group(cls, groups: Groups, k: int = 5, seed: int = 0) -> Folds:
        """k folds that hold out every example once; fewer where there are fewer groups, of which none is split."""
        _named(groups)
        fold = fold_of(groups, k, seed)
        numbers = range(int(fold.max()) + 1)
        return cls([Fold(np.flatnonzero(fold != each), np.flatnonzero(fold == each)) for each in numbers], groups)

    @classmethod
    def blend(cls, groups: Groups, share: float = 0.3, seed: int = 0) -> Folds:
        """One cut: members train on one part, the second level is fitted to the other, about `share` of the groups.

        Blending as in the Netflix prize: Töscher, Jahrer & Bell, The BigChaos Solution, 2009.
        """
        if not 0 < share < 1:
            raise ValueError(f"Expected 0 < share < 1, got {share}.")
        names, group_of = _named(groups)
        count = min(max(1, round(share * len(names))), len(names) - 1)
        held_out = (np.random.default_rng(seed).permutation(len(names)) < count)[group_of]
        return cls([Fold(np.flatnonzero(~held_out), np.flatnonzero(held_out))], groups, held_out)


def _named(groups: Groups) -> tuple[Groups, Positions]:
    names, group_of = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"Expected at least two groups to train on one and hold out another, got {len(names)}.")
    return names, group_of


def _check_fold(number: int, fold: Fold, groups: Groups) -> None:
    for name, rows in (("trains on", fold.training), ("holds out", fold.held_out)):
        if not len(rows) or not np.issubdtype(rows.dtype, np.integer) or len(np.unique(rows)) < len(rows):
            raise ValueError(f"Fold {number}: expected what it {name} to be one example or more, each once.")
        if rows.min() < 0 or rows.max() >= len(groups):
            low, high = rows.min(), rows.max()
            raise ValueError(f"Fold {number}: expected what it {name} in 0..{len(groups) - 1}, got {low}..{high}.")
    shared = np.intersect1d(groups[fold.training], groups[fold.held_out])
    if len(shared):
        raise ValueError(
            f"Fold {number}: expected groups either to train on or to hold out, got {len(shared)} in both, such as "
            f"{shared[0]}; cut with `Folds.by_group`."
        )


@dataclass(frozen=True, eq=False)
class Job:
    """One member to be trained on one fold.

    Attributes:
        checkpoint: the member as it is.
        member, fold: their positions.
        rows: (M,), what to train on, as positions in the order of the training split.
        seed: follows from the one given, the member's files and the fold.
        folder: an empty folder for the checkpoint, which takes its place when it is whole.
    """

    checkpoint: Path
    member: int
    fold: int
    rows: Positions
    seed: int
    folder: Path
    request: Mapping[str, Any]


Train = Callable[[Job], None]
Map = Callable[[Train, Iterable[Job]], Iterable[None]]


def retrain(job: Job, data: Path | None = None) -> None:
    """Train a job by the member itself. Raises `CheckpointError` for one that cannot be trained again."""
    predictor = load_predictor(job.checkpoint, data)
    if not isinstance(predictor, Retrainable):
        raise CheckpointError(
            f"{job.checkpoint}: expected a model that can be trained on a part of its data, got a "
            f"{type(predictor).__name__} that is not `Retrainable`; give a function of your own that trains it."
        )
    predictor.retrain(job.rows, job.folder, seed=job.seed)


def train_parts(
    checkpoints: Sequence[Path],
    folds: Folds,
    work: Path,
    *,
    seed: int = 0,
    train: Train = retrain,
    map: Map = map,
) -> list[list[Path]]:
    """Train each member on the training part of each fold: folders of checkpoints in `work`, [member][fold].

    A folder that holds a checkpoint whose files are whole, trained by the same request (the member's files, the rows
    with their groups, the seed), is left as it is, so that a call that was killed goes on where it was. `train` and
    `map` are told only of the rest. Raises what `train` raises, with a note of the member and the fold;
    what was trained by then stays. One process at a time works in `work`.
    """
    jobs = [
        [_job(Path(checkpoint), member, number, folds, Path(work), seed) for number in range(len(folds.folds))]
        for member, checkpoint in enumerate(checkpoints)
    ]
    by_folder = {job.folder: job for of_member in reversed(jobs) for job in of_member}  # of twins the first
    missing = [job for of_member in jobs for job in of_member if by_folder[job.folder] is job and not _is_done(job)]
    for _ in map(partial(_train_whole, train), missing):
        pass
    left = [job.folder for job in missing if not _is_done(job)]
    if left:
        raise CheckpointError(f"Expected `map` to train every part, got {len(left)} without, such as {left[0]}.")
    return [[job.folder for job in of_member] for of_member in jobs]


def _job(checkpoint: Path, member: int, number: int, folds: Folds, work: Path, seed: int) -> Job:
    files = hashlib.sha256(json.dumps(read_manifest(checkpoint).identity).encode()).hexdigest()
    rows = np.ascontiguousarray(folds.folds[number].training, dtype="<i8")
    cut = hashlib.sha256(rows.tobytes() + np.ascontiguousarray(folds.groups[rows], dtype="<i8").tobytes()).hexdigest()
    entropy = np.random.SeedSequence([seed, int(files[:16], 16), number])
    own_seed = int(entropy.generate_state(1)[0] >> 1)  # 31 bits: what every library takes
    request = {"member": files, "rows": cut, "seed": own_seed}
    return Job(checkpoint, member, number, rows.astype(np.intp), own_seed, work / f"{files[:16]}-{number}", request)


def _is_done(job: Job) -> bool:
    try:
        verify_checkpoint(job.folder)
        found = json.loads((job.folder / PART).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # CheckpointError and JSONDecodeError are ValueErrors
        return False
    return bool(found == job.request)


def _train_whole(train: Train, job: Job) -> None:
    try:
        with whole_folder(job.folder) as fresh:
            train(replace(job, folder=fresh))
            verify_checkpoint(fresh)
            (fresh / PART).write_text(json.dumps(dict(job.request)) + "\n", encoding="utf-8")
    except Exception as error:
        error.add_note(
            f"While member {job.member} ({job.checkpoint}) was trained on fold {job.fold}. "
            "The parts that are whole are kept; call again to train the rest."
        )
        raise


def groups_of(predictor: Predictor, split: str = SPLIT) -> Groups:
    """The groups of a split, (N,), in its order."""
    return np.concatenate([np.asarray(batch.groups, dtype=np.int64) for batch in predictor.batches(split)])


class OutOfFold:
    """`Observed` over the training split: each example as predicted by members that were trained without it.

    Nothing is held but the Gram matrices, after a first pass for them. Each pass asks each member once for each
    example, so that members whose predictions are cached are asked again at no cost.

    Args:
        judge: has the data and the measures.
        folds: how its training split was cut.
        parts: [member][fold], each trained on the fold's training part.
    """

    def __init__(self, judge: Predictor, folds: Folds, parts: Sequence[Sequence[Predictor]]) -> None:
        if not parts or any(len(of_member) != len(folds.folds) for of_member in parts):
            raise ValueError(
                f"Expected members with {len(folds.folds)} parts each, one for each fold, got "
                f"{[len(of_member) for of_member in parts]}."
            )
        self.measures: Measures = judge
        self._judge, self._folds, self._parts = judge, folds, parts
        self._fold_of = folds.fold_of
        self._tell = all(isinstance(part, Confident) for of_member in parts for part in of_member)
        self._whole = self
        self._whole_gram: Floats | None = None
        self._examples, self._positions = folds.seen, np.arange(len(parts))

    @property
    def members(self) -> int:
        return len(self._positions)

    @property
    def groups(self) -> Groups:
        return self._folds.groups[self._examples]

    @property
    def gram(self) -> Floats:
        whole = self._whole
        if whole._whole_gram is None:
            gram = ErrorGram(whole.members)
            for predicted, targets in whole.stream():
                gram.add(predicted.values, targets)
            whole._whole_gram = gram.per_example
        rows = np.flatnonzero(self._examples[whole._examples])
        return whole._whole_gram[np.ix_(rows, self._positions, self._positions)]

    def stream(self) -> Iterator[tuple[Predicted, Array]]:
        """Predictions with targets, batch by batch, in the order of the split.

        Raises `BadPredictions` for a member that fails, `ValueError` where the split is not the one that was cut.
        """
        start = 0
        for batch in self._judge.batches(SPLIT):
            rows = np.arange(start, start + len(batch.targets))
            start += len(rows)
            if not np.array_equal(self._folds.groups[rows[0] : start], batch.groups):
                raise ValueError(
                    f"Expected the split that was cut, got other groups in examples {rows[0]}..{start - 1}."
                )
            wanted = self._examples[rows]
            if wanted.any():
                targets = np.asarray(batch.targets)[wanted]
                yield self._predicted(np.asarray(batch.inputs)[wanted], targets, self._fold_of[rows[wanted]]), targets
        if start != len(self._folds.groups):
            raise ValueError(f"Expected the {len(self._folds.groups)} examples that were cut into folds, got {start}.")

    def only(self, examples: npt.NDArray[np.bool_]) -> OutOfFold:
        result = copy(self)
        result._examples = np.zeros_like(self._examples)
        result._examples[np.flatnonzero(self._examples)[examples]] = True
        return result

    def of(self, members: Sequence[int] | Positions) -> OutOfFold:
        result = copy(self)
        result._positions = self._positions[np.asarray(members, dtype=np.intp)]
        return result

    def _predicted(self, inputs: Array, targets: Array, fold: Positions) -> Predicted:
        values, told = [], []
        for member in self._positions:
            # NaN until a fold fills it: what none covers is refused, and never taken for a prediction of zero.
            own = np.full(targets.shape, np.nan, dtype=np.float32)
            log_variance = np.full(targets.shape, np.nan)
            for number in np.unique(fold[fold >= 0]):
                here = fold == number
                found, sure = self._asked(int(member), int(number), inputs[here], targets[here].shape)
                own = own.astype(found.dtype, copy=False)
                own[here] = found
                if sure is not None:
                    log_variance[here] = sure
            values.append(check_predictions(int(member), own, targets.shape))
            told.append(log_variance)
        return Predicted(inputs, values, told if self._tell else None)

    def _asked(self, member: int, number: int, inputs: Array, shape: tuple[int, ...]) -> tuple[Array, Array | None]:
        part = self._parts[member][number]
        try:
            if self._tell and isinstance(part, Confident):
                found, told = part.with_log_variance(inputs)
                return check_predictions(member, found, shape), np.broadcast_to(told, shape)
            return check_predictions(member, part(inputs), shape), None
        except BadPredictions:
            raise
        except Exception as error:  # a predictor is anyone's code; its error is reported with its number
            raise BadPredictions(member, f"cannot predict: {type(error).__name__}: {error}") from error
