"""The command that makes a dataset of folders of drawings: prepare."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from colorizer.preparing import PrepareError
from colorizer.preparing.limits import BITS, MOST_BITS, Limits
from search.console import explained, interruptible, out, steps

_PANEL = "What is left out (0: no limit)"
_DEFAULT = Limits()


def prepare(
    colors: Annotated[Path, typer.Argument(metavar="COLOR_DIR", help="Coloured drawings, in any depth of folders.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DATASET", help="Folder to make.")],
    lines: Annotated[
        Path | None,
        typer.Option(
            metavar="LINE_DIR",
            help="Their line art, under the same names. [dim]default: drawn from the colours[/]",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the shuffle that makes the splits.")] = 0,
    table: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Labels of the drawings: a row a drawing, named in the column `file`."),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Column of the table. Every split gets its share of each label."),
    ] = None,
    pen: Annotated[
        str, typer.Option(help="Style of lines drawn from the colours: dilation, xdog, threshold, or mixed.")
    ] = "dilation",
    max_aspect: Annotated[
        float,
        typer.Option(min=0, help="Longer over shorter side, 1 at least. Beyond it: sliver.", rich_help_panel=_PANEL),
    ] = _DEFAULT.aspect,
    min_ink: Annotated[
        float,
        typer.Option(min=0, max=1, help="Mean darkness of the line drawing. Below: blank.", rich_help_panel=_PANEL),
    ] = _DEFAULT.ink,
    min_contrast: Annotated[
        int, typer.Option(min=0, max=255, help="Range of the colours' values. Below: blank.", rich_help_panel=_PANEL)
    ] = _DEFAULT.contrast,
    min_colour: Annotated[
        float,
        typer.Option(
            min=0,
            help="Colourfulness: 0 grey, 15 slightly colourful. Below: without colour; 1 leaves out what is grey.",
            rich_help_panel=_PANEL,
        ),
    ] = _DEFAULT.colourfulness,
    max_density: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Share of the line drawing that is dark. Beyond it: too intricate.",
            rich_help_panel=_PANEL,
        ),
    ] = _DEFAULT.density,
    min_subject: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Share of the picture that the subject takes. Below: too small.",
            rich_help_panel=_PANEL,
        ),
    ] = _DEFAULT.subject,
    near: Annotated[
        int,
        typer.Option(
            min=0,
            max=MOST_BITS,
            help=f"Bits of {BITS} in which hashes of near duplicates may differ. They come into one split.",
            rich_help_panel=_PANEL,
        ),
    ] = _DEFAULT.likeness,
    drop_near: Annotated[
        bool,
        typer.Option("--drop-near", help="Leave near duplicates out, all but the first.", rich_help_panel=_PANEL),
    ] = _DEFAULT.drop_near,
) -> None:
    """Make a dataset of a folder of coloured drawings.

    It is one Parquet file with the drawings as PNG and a column that splits them 70/20/10 into train, val and test.
    Drawings that look alike stay in one split. Files that cannot be used are counted by reason; report.html beside the
    data shows them, samples of each split and what networks will be given. Look at it before anything is trained.

    With labels:  huetune prepare color --lines line --table drawings.csv --label group -o dataset
    """
    from colorizer.prepare import prepare as make

    with (
        explained(PrepareError, ValueError),
        interruptible("nothing was written"),
        steps("reading drawings") as progress,
    ):
        limits = Limits(
            aspect=max_aspect,
            ink=min_ink,
            contrast=min_contrast,
            colourfulness=min_colour,
            density=max_density,
            subject=min_subject,
            likeness=near,
            drop_near=drop_near,
        )
        prepared = make(
            colors,
            output,
            lines=lines,
            seed=seed,
            limits=limits,
            table=table,
            label=label,
            pen=pen,
            progress=lambda done, total: progress.update(progress.task_ids[0], completed=done, total=total),
        )
    counts = ", ".join(f"{count} {split}" for split, count in prepared.counts.items())
    out.print(f"{sum(prepared.counts.values())} drawings in {output}: {counts}")
    for reason, tally in prepared.rejected.items():
        out.print(f"passed over, {reason}: {tally}")
    for kind, tally in prepared.unpaired.items():
        if tally.count:
            out.print(f"passed over, {kind} without a partner of its name: {tally}")
    for what, other in (("drawings", "row of the table"), ("rows", "drawing")):
        if prepared.unlabelled and prepared.unlabelled[what].count:
            out.print(f"{what} without a {other}: {prepared.unlabelled[what]}")
    if prepared.alike:
        out.print(f"{prepared.alike} drawings look like another one and share its split")
    out.print(f"look at it: {output}/report.html")
    out.print(f"next: huetune run searches/quick.py --data {shlex.quote(str(output))} --name quick")
