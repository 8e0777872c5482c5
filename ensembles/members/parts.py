"""Members trained again on parts of the training split: a job a member and fold, each done once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ensembles.capabilities import Retrainable
from ensembles.combining.combiner import Positions
from ensembles.folders import whole_folder
from ensembles.members.folds import Folds
from ensembles.predictor import CheckpointError, load_predictor, read_manifest, verify_checkpoint

PART = "part.json"


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


def retrain(job: Job, data: str | Path | None = None) -> None:
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
