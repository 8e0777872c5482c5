"""The command `huetune report`: a page on a run or on several, and its tables and figures as files."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from search.console import err, explained, interruptible, out
from search.errors import RunError

if TYPE_CHECKING:
    from search.report.export import Exported
    from search.results import Results


@explained(RunError, OSError)
@interruptible("the report stays as it was written last")
def report(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...", help="Runs: folders, or addresses in a bucket. Several are compared.", show_default=False
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to write it. [dim]default: report.html in the run; comparison.html here for several[/]",
        ),
    ] = None,
    watch: Annotated[
        float | None,
        typer.Option(
            min=1,
            metavar="SECONDS",
            help="Write it again so often while a run goes on; the open page follows and keeps its place.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the table behind each figure too, as CSV and as Parquet."),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write each figure too, as HTML to look at and as JSON for Plotly."),
    ] = None,
    price: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="DOLLARS",
            help="What an hour of a GPU costs; of a processor, where the trials held no GPU.",
        ),
    ] = None,
) -> None:
    """Write the report of a run: one HTML file that needs no network.

    Several runs of one metric are compared on one page. Those that differ in nothing but their seed are drawn as one
    line within a band.
    """
    from search.report.watch import under_way
    from search.report.watch import watch as watching
    from search.results import Results

    found = [Results(run) for run in runs]
    if watch is None:
        _tell(_page(found, output, price, None), _files(found, data, figures))
        _tell_abandoned(found)
        return
    pause = watch

    def build(going: bool) -> None:
        page = _page(found, output, price, pause if going else None)
        told = _files(found, data, figures)
        if going:
            trials = ", ".join(f"{len(run.table()):,}" for run in found)
            err.print(Text(f"{datetime.now():%H:%M:%S}  {page}: {trials} trials", style="dim"))
        else:
            _tell(page, told)

    def failed(fault: Exception) -> None:
        err.print(Text(f"{datetime.now():%H:%M:%S}  not written, trying again: {fault}", style="dim"))

    if under_way(found):
        err.print(Text(f"every {pause:g} s until the end of the run; Ctrl-C to leave it before", style="dim"))
    watching(build, found, pause, failed)
    _tell_abandoned(found)


def _page(runs: list[Results], output: Path | None, price: float | None, watch: float | None) -> Path | str:
    from search.report import write_comparison, write_report

    if len(runs) > 1:
        return write_comparison(runs, output or Path("comparison.html"), price=price, watch=watch)
    if output is None:
        return write_report(runs[0], price=price, watch=watch)
    return write_report(runs[0], output, price=price, watch=watch)


def _files(runs: list[Results], data: Path | None, figures: Path | None) -> list[str]:
    """Write what was asked for beside the page; what there is to say of it."""
    if data is None and figures is None:
        return []
    from search.report import export_figures, export_tables
    from search.report.tables.compare import comparison
    from search.report.tables.snapshot import snapshot

    moment = snapshot(runs[0]) if len(runs) == 1 else comparison(runs)
    told = []
    if data is not None:
        told += _lines(f"data: {data}", "tables as CSV and Parquet", export_tables(moment, data))
    if figures is not None:
        told += _lines(f"figures: {figures}", "figures as HTML and JSON", export_figures(moment, figures))
    return told


def _lines(where: str, what: str, made: Exported) -> list[str]:
    return [
        f"{where}, {len(made.written)} {what}",
        *(f"left out: {name}: {reason}" for name, reason in made.left_out.items()),
    ]


def _tell_abandoned(runs: list[Results]) -> None:
    for run in runs:
        if run.abandoned:
            where = run.folder.address
            err.print(Text(f"the driver of {where} is gone; to go on: huetune resume {where}", style="yellow"))


def _tell(page: Path | str, told: list[str]) -> None:
    for line in (f"report: {page}", *told):
        out.print(Text(line))
