"""Models that are trained for the ensemble: on parts of the training split, for a second level that sees no more than
they do; and one student of what the ensemble predicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ensembles.capabilities import Retrainable
from ensembles.combining.combiner import Positions
from ensembles.combining.method import Method
from ensembles.combining.stacking import Ridge
from ensembles.combining.weighting import SimplexLog
from ensembles.contest import Contest
from ensembles.folders import whole_folder
from ensembles.members.crew import BASE, Candidate
from ensembles.members.folds import Folds
from ensembles.members.out_of_fold import OutOfFold, groups_of
from ensembles.members.parts import retrain, train_parts
from ensembles.predictor import Predictor, load_predictor

BLEND = "blend"
STUDENT = "student"

Map = Callable[[Callable[[Any], None], Iterable[Any]], Iterable[None]]

_SECOND_LEVELS: dict[str, Method] = {
    "ridge": Ridge(),
    "nonnegative": Ridge(positive=True),
    "simplex_log": SimplexLog(),
}


@dataclass(frozen=True)
class Trained:
    """What is trained for an ensemble; nothing by default.

    Attributes:
        folds: parts of the training split for stacking, 2 or more: each member is trained again without each of them.
            0 for none.
        blend: share of the training split, in (0, 1), that members are trained again without; the second level is
            fitted to it. 0 for none.
        student: whether one model of the default size is trained on the colours of the ensemble.
        folder: where these models are kept, so that a build that was broken off goes on; all who train must see it.
            None: beside the ensemble, in "parts".
        map: calls a function with each of some items, wherever; Python's own does it here, one after another.
    """

    folds: int = 0
    blend: float = 0.0
    student: bool = False
    folder: Path | None = None
    map: Map = map

    def __post_init__(self) -> None:
        if self.folds and self.folds < 2:
            raise ValueError(f"Expected folds >= 2, or 0 for no stacking, got {self.folds}.")
        if self.blend and not 0 < self.blend < 1:
            raise ValueError(f"Expected 0 < blend < 1, or 0 for no blending, got {self.blend}.")

    def join(self, contest: Contest, home: Path) -> None:
        """Train the parts, and enter the second levels that were fitted to what they had not seen."""
        if self.folds:
            self._stack(contest, home)
        if self.blend:
            self._blend(contest, home)

    def teach(self, contest: Contest, home: Path) -> None:
        """Train a student of the best entry on validation, which has been judged, and enter it."""
        judge = contest.crew.judge
        if (STUDENT, STUDENT) in contest.crew.spoilt:
            contest.unsuited[STUDENT] = "its predictions cannot be used"
            return
        if not isinstance(judge, Retrainable):
            contest.unsuited[STUDENT] = f"a {type(judge).__name__} cannot be trained again (retrain)"
            return
        teacher = max(
            (entry for entry in contest.entries if entry.name not in contest.unstorable),
            key=contest.worth,
        )
        contest.say(f"{teacher.name} predicts what its student is to learn")
        work = self.folder or home
        work.mkdir(parents=True, exist_ok=True)
        lesson = work / "lesson.npy"
        _write_lesson(lesson, judge, contest.ensemble(teacher))
        contest.say(f"training a student of {teacher.name}")
        master = contest.crew.family(BASE)[0].candidate.folder
        learn = partial(_learn, Path(master), contest.crew.data, lesson, contest.seed)
        for _ in self.map(learn, [work / STUDENT]):
            pass
        lesson.unlink()
        contest.crew.seat(Candidate(work / STUDENT, STUDENT, 0, f"student of {teacher.name}"), STUDENT)
        contest.enter_seat(STUDENT, len(contest.crew.seats) - 1)

    def _stack(self, contest: Contest, home: Path) -> None:
        crew = contest.crew
        folds = Folds.by_group(groups_of(crew.judge), self.folds, contest.seed)
        folders = self._trained(contest, folds, home, f"{self.folds}-folds")
        seen = OutOfFold(crew.judge, folds, [[load_predictor(f, crew.data) for f in each] for each in folders])
        for name, method in _SECOND_LEVELS.items():
            self._enter(contest, f"stacked_{name}", method, seen, crew.positions(BASE))

    def _blend(self, contest: Contest, home: Path) -> None:
        crew = contest.crew
        folds = Folds.blend(groups_of(crew.judge), self.blend, contest.seed)
        folders = self._trained(contest, folds, home, BLEND)
        for seat, (folder,) in zip(crew.family(BASE), folders, strict=True):
            made = seat.candidate
            if (BLEND, made.trial_id) not in crew.spoilt:
                crew.seat(Candidate(folder, made.trial_id, made.iteration, f"{made.source}, on a part"), BLEND)
        positions = crew.positions(BLEND)
        if not len(positions):
            contest.unsuited["blended"] = "no model that was trained on a part can be used"
            return
        seen = OutOfFold(crew.judge, folds, [[seat.predictor] for seat in crew.family(BLEND)])
        for name, method in _SECOND_LEVELS.items():
            self._enter(contest, f"blended_{name}", method, seen, positions)

    def _enter(self, contest: Contest, name: str, method: Method, seen: OutOfFold, positions: Positions) -> None:
        if reason := method.unsuited(seen):
            contest.unsuited[name] = reason
            return
        contest.say(f"fitting {name}")
        try:
            rule = method.fit(seen)
        except ValueError as error:  # a part that predicts nothing of use says nothing about its member
            contest.unsuited[name] = str(error)
            return
        contest.enter_rules(name, rule, [rule] * contest.folds, positions)

    def _trained(self, contest: Contest, folds: Folds, home: Path, name: str) -> list[list[Path]]:
        checkpoints = [Path(seat.candidate.folder) for seat in contest.crew.family(BASE)]
        contest.say(f"training {len(checkpoints) * len(folds.folds)} models on parts of the training split")
        train = partial(retrain, data=contest.crew.data)
        return train_parts(
            checkpoints, folds, (self.folder or home) / name, seed=contest.seed, train=train, map=self.map
        )


def _write_lesson(path: Path, judge: Predictor, teacher: Predictor) -> None:
    """What the teacher predicts for the training split, (N, ...), as one file that is mapped, not held."""
    total = sum(len(batch.names) for batch in judge.batches("train"))
    lesson: np.memmap[Any, Any] | None = None
    start = 0
    for batch in judge.batches("train"):
        predicted = np.asarray(teacher(np.asarray(batch.inputs)))
        if lesson is None:
            lesson = np.lib.format.open_memmap(path, "w+", predicted.dtype, (total, *predicted.shape[1:]))
        lesson[start : start + len(predicted)] = predicted
        start += len(predicted)
    if lesson is None:
        raise ValueError("Expected examples in the training split for a student to learn from, got none.")
    lesson.flush()


def _learn(master: Path, data: str | Path | None, lesson: Path, seed: int, folder: Path) -> None:
    predictor = load_predictor(master, data)
    if not isinstance(predictor, Retrainable):
        raise ValueError(f"Expected a model that can be trained again in {master}, got none.")
    targets = np.load(lesson, mmap_mode="r", allow_pickle=False)
    with whole_folder(folder) as fresh:
        predictor.retrain(
            np.arange(len(targets)), fresh, seed=seed, targets=targets, settings=predictor.default_settings
        )
