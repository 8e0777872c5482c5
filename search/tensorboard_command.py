"""The command `huetune tensorboard`: a run as event files, for those who look at their trainings in TensorBoard."""

from __future__ import annotations

import shlex
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from search.console import err, explained, interruptible, out
from search.errors import RunError


@explained(RunError, OSError)
@interruptible("what was written stays; the same command goes on with it")
def tensorboard(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run: its folder, or its address in a bucket.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for the event files. [dim]default: tensorboard in the run; needed for one in a bucket[/]",
            show_default=False,
        ),
    ] = None,
    watch: Annotated[
        float | None,
        typer.Option(min=1, metavar="SECONDS", help="Add what is new so often while a run goes on."),
    ] = None,
) -> None:
    """Write a run as event files for TensorBoard, then look: tensorboard --logdir RUN/tensorboard

    Every trial is a run of TensorBoard: what it reported, step by step, with its verdicts and how it ended as text.
    Quantiles of the same (X_q05, X_q50, X_q95) are one histogram.
    The page HParams has all configurations with their scores.
    The same command adds what is new, also while the run goes on.
    """
    from search.report.watch import under_way
    from search.report.watch import watch as watching
    from search.results import Results
    from search.tensorboard import EventFiles

    found = Results(run)
    if output is None and not found.folder.is_local:
        raise RunError(
            f"Expected a folder on a disk for the event files, but {run!r} lies in a bucket, where files cannot be"
            " continued. Name one with -o."
        )
    folder = output or Path(found.folder.inside("tensorboard"))
    files = EventFiles(found, folder)

    def build(going: bool) -> None:
        written = files.write()
        if going and watch is not None:
            told = f"{datetime.now():%H:%M:%S}  {folder}: {written.trials:,} trials, {written.changed:,} files changed"
            err.print(Text(told, style="dim"))
        else:
            out.print(Text(f"{written.trials:,} trials in {folder}, {written.changed:,} files changed"))

    def failed(fault: Exception) -> None:
        err.print(Text(f"{datetime.now():%H:%M:%S}  not written, trying again: {fault}", style="dim"))

    if watch is None:
        build(False)
    else:
        if under_way([found]):
            err.print(Text(f"every {watch:g} s until the end of the run; Ctrl-C to leave it before", style="dim"))
        watching(build, [found], watch, failed)
    out.print(Text(f"next: tensorboard --logdir {shlex.quote(str(folder))}"))
