"""A run, or several, as one HTML file that people read: sections in their order, and where the file goes."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import overload

from search.report.document import document
from search.report.files import whole
from search.report.markup import Sheet
from search.report.sections import compare
from search.report.sections.about import about
from search.report.sections.answer import answer, default_command
from search.report.sections.ensemble import ensemble
from search.report.sections.health import health
from search.report.sections.machine import machine
from search.report.sections.method import method
from search.report.sections.parameters import parameters
from search.report.sections.pictures import pictures
from search.report.sections.search import search
from search.report.sections.trials import trials
from search.report.tables.compare import comparison
from search.report.tables.snapshot import RunReader, snapshot
from search.results import Results

NAVIGATION = {
    "answer": "Answer",
    "pictures": "Pictures",
    "search": "Search",
    "parameters": "Parameters",
    "method": "Method",
    "machine": "Machine",
    "health": "Health",
    "ensemble": "Ensemble",
    "trials": "Trials",
}
COMPARISON_NAVIGATION = {
    "answer": "Answer",
    "progress": "Progress",
    "cost": "Cost",
    "parameters": "Parameters",
    "runs": "Runs",
}


@overload
def write_report(
    results: RunReader,
    output: Path,
    command: str | None = None,
    *,
    price: float | None = None,
    watch: float | None = None,
) -> Path: ...
@overload
def write_report(
    results: RunReader,
    output: None = None,
    command: str | None = None,
    *,
    price: float | None = None,
    watch: float | None = None,
) -> str: ...
def write_report(
    results: RunReader,
    output: Path | None = None,
    command: str | None = None,
    *,
    price: float | None = None,
    watch: float | None = None,
) -> Path | str:
    """Write the report of a run as one HTML file, and return where it lies.

    Args:
        results: the run, such as `search.Results("runs/quick")`; it may still go on.
        output: the file; it appears whole or not at all. By default it is report.html in the run's own folder, which
            may lie on a disk or in a bucket.
        command: what makes an ensemble of this run, told where there is none.
        price: dollars for an hour of a GPU; of a processor, where no trial held a GPU.
        watch: after how many seconds the open page reloads itself, in its place; None for a page that stays.

    Raises:
        ValueError: no output is given, and the run is not read from a folder.
    """
    if isinstance(results, Results):
        command = command or f"huetune ensemble {shlex.quote(results.folder.address)}"
    page = report_html(results, command, price=price, watch=watch)
    if output is None:
        if not isinstance(results, Results):
            raise ValueError(
                f"Expected an output for the report of a run without a folder, got {type(results).__name__} and none."
                " Name a file to write."
            )
        results.folder.write_text(results.folder.report, page)
        return results.folder.report
    return _written(page, Path(output))


def write_comparison(
    results: Sequence[RunReader], output: Path, *, price: float | None = None, watch: float | None = None
) -> Path:
    """Write a page that compares runs of one metric as one HTML file, and return where it lies.

    Args:
        results: the runs; they may still go on. Those that differ in nothing but their seed are drawn as one, with
            a band.
        output: the file; it appears whole or not at all.
        price: dollars for an hour of a GPU; of a processor, where no trial held a GPU.
        watch: after how many seconds the open page reloads itself, in its place; None for a page that stays.

    Raises:
        RunError: the runs are scored by different metrics, or in different directions.
    """
    return _written(comparison_html(results, price=price, watch=watch), Path(output))


def report_html(
    results: RunReader, command: str | None = None, *, price: float | None = None, watch: float | None = None
) -> str:
    """The report as text, for those who keep it elsewhere than on a disk. Arguments as in `write_report`."""
    snap = snapshot(results)
    sheet = Sheet()
    command = command or default_command(snap)
    body = [
        answer(snap, command, price),
        pictures(snap, command),
        search(snap, sheet),
        parameters(snap, sheet),
        method(snap, sheet),
        machine(snap, sheet),
        health(snap, sheet),
        ensemble(snap, sheet, command),
        trials(snap),
        about(snap),
    ]
    return document(
        f"{snap.definition.get('name') or 'search'} · huetune report", _there(NAVIGATION, body), body, watch
    )


def comparison_html(results: Sequence[RunReader], *, price: float | None = None, watch: float | None = None) -> str:
    """The comparison as text. Arguments and errors as in `write_comparison`."""
    several, sheet = comparison(results), Sheet()
    body = [
        compare.header(several, price),
        compare.progress(several, sheet),
        compare.cost(several, sheet),
        compare.parameters(several),
        compare.runs(several, price),
    ]
    title = f"{', '.join(several.labels)} · huetune comparison"
    return document(title, COMPARISON_NAVIGATION, body, watch)


def _there(navigation: dict[str, str], body: Sequence[str]) -> dict[str, str]:
    """The links to sections that the page has: a workload may report nothing of its health."""
    whole_page = "".join(body)
    return {anchor: name for anchor, name in navigation.items() if f'<section id="{anchor}"' in whole_page}


def _written(page: str, output: Path) -> Path:
    with whole(output) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
    return output
