"""The command `huetune ensemble`: from runs to one better predictor."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from search.console import explained, interruptible, out, score_table, steps
from search.errors import RunError, SearchError

if TYPE_CHECKING:
    from ensembles import Exhibit
    from search.results import Results

_Item = TypeVar("_Item")
_ALL = 1_000_000  # more than any run keeps


@explained(RunError, SearchError, ValueError, OSError)
@interruptible("predictions and models that were finished are kept; the same command goes on with them")
def ensemble(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Runs: folders, or addresses in a bucket.", show_default=False)
    ],
    top: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many of the best trials. [dim]default: all that the runs kept, 8 with --diverse[/]"
        ),
    ] = None,
    per_trial: Annotated[
        int, typer.Option(min=1, help="Checkpoints of each trial, where the search kept snapshots.")
    ] = 1,
    diverse: Annotated[
        float, typer.Option(min=0, max=1, help="How much members should err unlike each other, against their scores.")
    ] = 0.0,
    methods: Annotated[
        str, typer.Option(help="[cyan]usual[/], [cyan]all[/], or names with commas between, such as mean,greedy_flips.")
    ] = "usual",
    ship: Annotated[
        str | None, typer.Option(help="The method to ship, such as vivid. [dim]default: validation chooses[/]")
    ] = None,
    max_members: Annotated[int | None, typer.Option(min=1, help="Ship no more members than these.")] = None,
    max_ms: Annotated[float | None, typer.Option(help="Ship nothing slower, in milliseconds for an example.")] = None,
    folds: Annotated[
        int,
        typer.Option(help="Train every member again on this many folds of the training split, for stacking."),
    ] = 0,
    blend: Annotated[
        float,
        typer.Option(
            min=0, max=0.9, help="Train every member again on all but this share of it, and fit on the share."
        ),
    ] = 0.0,
    student: Annotated[
        bool, typer.Option("--student", help="Train one model of the default size on the ensemble's colours.")
    ] = False,
    gpu: Annotated[float, typer.Option(min=0, help="GPUs for each model that is trained.")] = 0.0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write. [dim]default: ensemble in the first run[/]")
    ] = None,
    by_reference: Annotated[
        bool, typer.Option("--by-reference", help="Leave the members where they are instead of copying them.")
    ] = False,
    data: Annotated[
        str | None, typer.Option(help="A dataset to use in place of the one the trials were trained on.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the folds and of the intervals.")] = 0,
) -> None:
    """Turn the best checkpoints of runs into one better predictor, in RUN/ensemble.

    Methods are fitted on the validation split, and what ships is chosen there, on examples it was not fitted to; the
    test split is read for the scores alone. Predictions are kept, so that a second build is quick.
    """
    from ensembles import Limits, PredictionCache, Trained, build
    from ensembles.members.gather import gathered
    from search.results import Results
    from search.tasks import ray_map

    found = [Results(run) for run in runs]
    for run, one in zip(runs, found, strict=True):
        if not one.checkpoints(1):
            one.best  # noqa: B018 - says what is wrong where no trial has a score
            raise RunError(
                f"Expected checkpoints in {run!r}, found none: its trainable saves none. Give it save_checkpoint."
            )
    if by_reference and not all(one.folder.is_local for one in found):
        raise RunError("Expected runs on a disk with --by-reference, got one in a bucket. Leave the option out.")
    home = found[0].folder
    if (folds or blend) and not home.is_local:
        raise RunError(
            f"Expected a run on a disk that all machines share for --folds and --blend, got {home.address}:"
            " models that are trained for the ensemble are kept in the folder of the run."
        )
    if top is None:
        top = 8 if diverse else max(int(one.definition["keep_checkpoints"]) for one in found)
    cache = PredictionCache()
    with ExitStack() as open_until_done, steps("") as progress:
        candidates = open_until_done.enter_context(gathered(found, top, per_trial, diverse, data=data, cache=cache))
        folder = output or open_until_done.enter_context(home.workplace(home.ensemble))
        built = build(
            candidates,
            folder,
            methods=methods if methods in ("usual", "all") else methods.split(","),
            ship=ship,
            limits=Limits(max_members, max_ms),
            trained=Trained(
                folds=folds,
                blend=blend,
                student=student,
                folder=Path(home.inside("parts")) if home.is_local else None,
                map=lambda work, items: ray_map(work, items, {"cpu": 1, "gpu": gpu}),
            ),
            data=data,
            by_reference=by_reference,
            gallery=exhibits(found[0]),
            cache=cache,
            seed=seed,
            progress=lambda done, total, what: progress.update(
                progress.task_ids[0], completed=done, total=total, description=what
            ),
        )
    out.print(score_table(built.scores))
    for item in built.set_aside:
        out.print(f"set aside: {item.candidate.source}: {item.reason}")
    if methods != "usual":
        for name, reason in built.unsuited.items():
            out.print(f"left out: {name}: {reason}")
    out.print(f"ships: {built.method} ({built.reason})")
    if output is None:
        run = shlex.quote(runs[0])
        out.print(f"next: huetune report {run}, huetune colorize {run} IMAGE... -o DIR")


def exhibits(run: Results, most: int = 8) -> list[Exhibit]:
    """The checkpoints whose colours the report shows side by side: of `most` trials, best to worst, evenly by rank
    among those that kept one; and of as many iterations of the best trial, earliest first."""
    from ensembles import Exhibit

    trials = [list(kept) for _, kept in groupby(run.checkpoints(_ALL, _ALL), lambda kept: kept.trial_id)]
    best = run.best.trial_id
    passed = sorted(next((kept for kept in trials if kept[0].trial_id == best), []), key=lambda kept: kept.iteration)
    strips = {"trials": _evenly([kept[0] for kept in trials], most), "iterations": _evenly(passed, most)}
    return [
        Exhibit(strip, one.trial_id, one.iteration, partial(run.folder.local_copy, run.folder.inside(one.path)))
        for strip, shown in strips.items()
        if len(shown) > 1
        for one in shown
    ]


def _evenly(items: Sequence[_Item], most: int) -> list[_Item]:
    """At most so many of them, first and last among them, the same distance apart."""
    if len(items) <= most:
        return list(items)
    return [items[round(index * (len(items) - 1) / (most - 1))] for index in range(most)]


@explained(RunError, ValueError, OSError)
def export(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A checkpoint, an ensemble, or a run that has one.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write: NAME.onnx.")],
    data: Annotated[
        Path | None, typer.Option(help="A dataset with a drawing to try, in place of the one of the training.")
    ] = None,
) -> None:
    """Write a model as one ONNX file, and check that it predicts the same as the original.

    A weighted mean can be exported, with or without flips; votes and second-level models cannot. To have one:
    huetune ensemble RUN --methods mean,simplex_log. It needs the packages of huetune\\[onnx].
    """
    import numpy as np

    from ensembles import Combiner, Ensemble, Weighted, load
    from ensembles.export import networks_of, to_onnx

    folder = model / "ensemble" if (model / "search.json").is_file() else model
    predictor = load(folder, data)
    members = [predictor]
    rule: Combiner = Weighted(np.ones(1))
    if isinstance(predictor, Ensemble):
        members, rule = [member.predictor for member in predictor.members], predictor.rule
    networks, weights = networks_of(members, rule)
    batch = next(iter(predictor.batches("val")))
    with steps("exporting"):
        written = to_onnx(networks, weights, output, np.asarray(batch.inputs)[:2])
    size = output.stat().st_size / 2**20
    free = ", ".join({0: "batch", 2: "height", 3: "width"}.get(axis, f"axis {axis}") for axis in written.dynamic_axes)
    out.print(
        f"{output}: {size:.1f} MiB, any {free}; differs from the original by {written.max_difference:.1e} at most"
    )
