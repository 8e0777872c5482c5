"""The command `huetune inspect`: why a model is as good, or as bad, as it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.console import explained, interruptible, out, steps
from search.errors import RunError

if TYPE_CHECKING:
    from colorizer.inspecting.inspection import Inspection

_SPLITS = ("val", "train")
_NAMED = 5  # of the worst drawings, in the terminal


@explained(RunError, ValueError, OSError)
@interruptible("nothing was written")
def inspect(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A checkpoint, an ensemble, or a run: its ensemble, else its best.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="[dim]default: inspect.html in MODEL[/]"),
    ] = None,
    data: Annotated[str | None, typer.Option(help="A dataset to look at, in place of the one of the training.")] = None,
    split: Annotated[str, typer.Option(help="[cyan]val[/] or [cyan]train[/].")] = "val",
) -> None:
    """Say what a model is worth beside baselines, where it errs, and what the drawings share where it does.

    Writes one HTML file: scores, the worst drawings with a picture of where they are wrong, the best and typical ones,
    what large errors go with, and of a single checkpoint its first filters and features. The test split is not looked
    at: whoever chooses by it has none left.
    """
    from colorizer.cli import colorizer_of
    from colorizer.inspecting.inspection import look
    from colorizer.inspecting.page import page
    from ensembles import CheckpointError, load
    from search.report.files import whole

    if split not in _SPLITS:
        kept = " The test split is read for the scores of an ensemble alone." if split == "test" else ""
        raise ValueError(f"Expected a split out of {', '.join(_SPLITS)}, got {split!r}.{kept} Take --split val.")
    target = _target(model, output)
    with explained(CheckpointError), _folder(model) as folder, steps("loading") as progress:
        predictor = load(folder, data)
        first = colorizer_of(predictor, model)
        bar = progress.task_ids[0]
        told = look(predictor, first, _name(model), split, lambda what: progress.update(bar, description=what))
    try:
        with whole(target) as unfinished:
            unfinished.write_text(page(told), encoding="utf-8")
    except OSError as fault:
        raise RunError(f"Expected to write {target}, got: {fault.strerror}. Name another file with -o.") from fault
    _print(told)
    out.print(f"page: {target}")


@contextmanager
def _folder(model: str) -> Iterator[Path]:
    """The folder of a checkpoint or an ensemble; a run stands for its ensemble, else for its best checkpoint."""
    from colorizer.cli import model_folder
    from search.results import Results

    if not _is_run(model):
        yield model_folder(Path(model))
        return
    run = Results(model)
    if run.ensemble() is not None:
        path = run.folder.ensemble
    elif kept := run.checkpoints(1):
        path = run.folder.inside(kept[0].path)
    else:
        raise RunError(f"Expected checkpoints in {model!r}, found none yet. Wait for the first trial that is kept.")
    with run.folder.local_copy(path) as folder:
        yield folder


def _is_run(model: str) -> bool:
    return "://" in model or (Path(model) / "search.json").is_file()


def _name(model: str) -> str:
    return model.rstrip("/").rsplit("/", 1)[-1]


def _target(model: str, output: Path | None) -> Path:
    if output is None and "://" in model:
        raise ValueError(f"Expected a file for the page of {model}, got none. Name one with -o FILE.")
    return output or Path(model) / "inspect.html"


def _print(told: Inspection) -> None:
    """The page in short."""
    from rich.table import Table

    from colorizer.inspecting.page import MEASURES, score_rows

    table = Table(f"{len(told.seen.names)} drawings of the {told.split_name}", *MEASURES, box=None)
    for name, values in score_rows(told):
        table.add_row(name, *(f"{value:.4g}" for value in values))
    out.print(table)
    for said in told.verdicts or ["nothing looks wrong"]:
        out.print(f"verdict: {said}", markup=False)
    for one in told.findings:
        if one.sure:
            out.print(one.said, markup=False)
    psnr, names = told.seen.scores["psnr"], told.seen.names
    worst = [f"{names[one.position]} ({psnr[one.position]:.1f} dB)" for one in told.drawings["worst"][:_NAMED]]
    out.print(f"worst: {', '.join(worst)}", markup=False)
