"""The best checkpoints of one run or of several, as candidates for an ensemble."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from ensembles.combining.gram import BadPredictions
from ensembles.combining.selection import diverse_order
from ensembles.members.cache import PredictionCache
from ensembles.members.crew import Candidate, Crew, NoMembers
from ensembles.members.observation import Observation

_POOL = 3  # trials that are looked at for each that is taken, where they are to be diverse


class Kept(Protocol):
    """A checkpoint that a run has kept."""

    @property
    def trial_id(self) -> str: ...

    @property
    def iteration(self) -> int: ...

    @property
    def path(self) -> str: ...  # relative to the run

    @property
    def score(self) -> float: ...


class Place(Protocol):
    """Where a run lies: on a disk or in a bucket."""

    @property
    def address(self) -> str: ...

    @property
    def is_local(self) -> bool: ...

    def inside(self, relative: str, /) -> str:
        """The full path of something in the run."""
        ...

    def exists(self, path: str, /) -> bool: ...

    def local_copy(self, path: str, /) -> AbstractContextManager[Path]:
        """It as a local path, fetched for the time of the context where the run lies elsewhere."""
        ...


class Run(Protocol):
    """The results of a search, such as `search.results.Results`."""

    @property
    def folder(self) -> Place: ...

    @property
    def definition(self) -> Mapping[str, Any]:
        """Holds "name", "metric" and "mode", "min" or "max"."""
        ...

    def checkpoints(self, top: int, per_trial: int = 1) -> Sequence[Kept]:
        """Those of the best trials, best trial first, within a trial the one it counts by first."""
        ...


@dataclass(frozen=True)
class _Trial:
    """What a trial has kept, and its score: higher is better whatever the metric."""

    run: Run
    label: str
    kept: tuple[Kept, ...]
    score: float


def gather(
    results: Run | Sequence[Run],
    top: int = 8,
    per_trial: int = 1,
    diverse: float = 0.0,
    *,
    data: str | Path | None = None,
    cache: PredictionCache | None = None,
    folder: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> list[Candidate]:
    """The best checkpoints of a run, or of several runs with the same metric, best trial first.

    Trials that were made again with fresh seeds count like all others. Whether a checkpoint can be used is for `build`
    to say, which sets the others aside with a reason.

    Args:
        results: a run, such as `search.results.Results`, or several. Of several, trials are named RUN/TRIAL.
        top: how many trials, fewer where there are fewer.
        per_trial: how many checkpoints of each: the one it counts by, then its snapshots, latest first.
        diverse: in [0, 1]. Above 0, the best trial and `top` - 1 more of the best 3 * `top` are taken, each for its
            score less `diverse` times its highest correlation of errors with those already taken, both stretched to
            [0, 1] (`diverse_order`). The first checkpoint of each trial predicts the validation split for that. Those
            that cannot are given back too, after the others, so that `build` can name them.
        data: a dataset to use for that in place of their own.
        cache: where the predictions for that are kept; None keeps none.
        folder: where copies of the checkpoints are put, one folder each; needed where a run does not lie on a disk, see
            `gathered` for doing without.
        say: is told of each step.

    Raises:
        ValueError: there is no run, one is named twice, two differ in metric or mode, none has kept a checkpoint, or an
            argument is out of its range.
        FileExistsError: `folder` holds a copy already.
    """
    runs = _checked(results, top, per_trial, diverse)
    elsewhere = [run.folder.address for run in runs if not run.folder.is_local]
    if folder is None and elsewhere:
        raise ValueError(
            f"Expected a folder for copies of checkpoints: {elsewhere[0]} does not lie on a disk of this machine. "
            "Give gather(..., folder=...), or use `with gathered(...)`, which removes the copies in the end."
        )
    with gathered(results, top, per_trial, diverse, data=data, cache=cache, say=say) as candidates:
        if folder is None:
            return candidates
        return [_copied(candidate, Path(folder) / f"{n:02d}") for n, candidate in enumerate(candidates)]


@contextmanager
def gathered(
    results: Run | Sequence[Run],
    top: int = 8,
    per_trial: int = 1,
    diverse: float = 0.0,
    *,
    data: str | Path | None = None,
    cache: PredictionCache | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Iterator[list[Candidate]]:
    """What `gather` gives, as local folders that are there for the time of the context: for runs in buckets."""
    runs = _checked(results, top, per_trial, diverse)
    trials = _best_trials(runs, top if diverse == 0 else _POOL * top, per_trial)
    with ExitStack() as fetched:

        def candidate(trial: _Trial, kept: Kept) -> Candidate:
            say(f"fetching {trial.label}")
            place = trial.run.folder
            path, source = place.inside(kept.path), f"{place.address}/{kept.path}"
            missing = not place.exists(path)  # it is handed on all the same, and `build` says that it is missing
            folder = Path(path) if missing else fetched.enter_context(place.local_copy(path))
            return Candidate(folder, trial.label, kept.iteration, source)

        first = [candidate(trial, trial.kept[0]) for trial in trials]
        chosen: Sequence[int] = range(len(trials))
        if len(trials) > top:
            chosen = _diverse(first, [trial.score for trial in trials], top, diverse, data, cache, say)
        yield [
            each
            for position in chosen
            for each in (first[position], *(candidate(trials[position], kept) for kept in trials[position].kept[1:]))
        ]


def _checked(results: Run | Sequence[Run], top: int, per_trial: int, diverse: float) -> Sequence[Run]:
    runs = results if isinstance(results, Sequence) else [results]
    for name, value in (("top", top), ("per_trial", per_trial)):
        if value < 1:
            raise ValueError(f"Expected {name} >= 1, got {value}.")
    if not 0 <= diverse <= 1:
        raise ValueError(f"Expected 0 <= diverse <= 1, got {diverse}.")
    if not runs:
        raise ValueError("Expected at least one run to gather checkpoints from, got none.")
    seen: set[str] = set()
    wanted = runs[0].definition
    for run in runs:
        if (root := run.folder.inside("")) in seen:
            raise ValueError(f"Expected each run once, got {run.folder.address} twice.")
        seen.add(root)
        found = run.definition
        for name in ("metric", "mode"):
            if wanted[name] != found[name]:
                raise ValueError(
                    f"Expected runs of one {name}, whose scores compare: {runs[0].folder.address} has "
                    f"{wanted[name]!r}, {run.folder.address} has {found[name]!r}. Build an ensemble of each."
                )
    return runs


def _best_trials(runs: Sequence[Run], top: int, per_trial: int) -> list[_Trial]:
    """The best trials of all the runs, with a name that no other has."""
    names = [str(run.definition["name"]) for run in runs]
    unique = len(set(names)) == len(names)
    sign = -1.0 if runs[0].definition["mode"] == "min" else 1.0
    trials = []
    for run, name in zip(runs, names, strict=True):
        prefix = "" if len(runs) == 1 else f"{name if unique else run.folder.address}/"
        for trial_id, group in groupby(run.checkpoints(top, per_trial), lambda kept: kept.trial_id):
            kept = tuple(group)
            trials.append(_Trial(run, prefix + trial_id, kept, sign * kept[0].score))
    if not trials:
        where = ", ".join(run.folder.address for run in runs)
        raise ValueError(
            f"Expected checkpoints in {where}, found none: no trial has a score yet, or the trainable saves none. "
            "Wait for the first, or give it save_checkpoint."
        )
    if len(runs) > 1:  # the order of a single run is its own
        trials.sort(key=lambda trial: -trial.score)
    return trials[:top]


def _diverse(
    candidates: Sequence[Candidate],
    scores: Sequence[float],
    top: int,
    diverse: float,
    data: str | Path | None,
    cache: PredictionCache | None,
    say: Callable[[str], None],
) -> Sequence[int]:
    """The positions of those taken, in their old order, then of those that cannot predict."""
    try:
        crew = Crew(candidates, data, cache, say)
        while True:
            try:
                seen = Observation.of_split(crew, "val", say)
                break
            except BadPredictions as error:
                crew.exclude(error, "val")
    except NoMembers:  # `build` finds the same, and says why
        return range(len(candidates))
    usable = [position for position, each in enumerate(candidates) if any(each is kept for kept in crew.candidates)]
    order = diverse_order(seen.gram.mean(axis=0), [scores[position] for position in usable], diverse)
    taken = sorted(usable[position] for position in order[:top])
    return [*taken, *(position for position in range(len(candidates)) if position not in usable)]


def _copied(candidate: Candidate, target: Path) -> Candidate:
    if candidate.folder.is_dir():
        shutil.copytree(candidate.folder, target)
    return replace(candidate, folder=target)
