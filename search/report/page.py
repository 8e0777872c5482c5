"""Sections -> one self-contained HTML file. Everything is inside: Plotly, styles, pictures; the page asks no
network."""

import os
import shlex
from importlib.resources import files
from pathlib import Path
from typing import overload

from plotly.offline import get_plotlyjs

from search.report.figures.theme import DARK_OF
from search.report.markup import Sheet, embedded_json, esc
from search.report.sections.about import about
from search.report.sections.answer import answer, default_command
from search.report.sections.ensemble import ensemble
from search.report.sections.pictures import pictures
from search.report.sections.search import search
from search.report.sections.trials import trials
from search.report.tables.snapshot import RunReader, snapshot

# The browser itself refuses what the page should never do: load or send anything.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
NAVIGATION = {
    "answer": "Answer",
    "pictures": "Pictures",
    "search": "Search",
    "ensemble": "Ensemble",
    "trials": "Trials",
}


@overload
def write_report(results: RunReader, output: Path, command: str | None = None) -> Path: ...
@overload
def write_report(results: RunReader, output: None = None, command: str | None = None) -> str: ...
def write_report(results: RunReader, output: Path | None = None, command: str | None = None) -> Path | str:
    """Write the report of a run as one HTML file, and return where it lies.

    Args:
        results: the run, such as `search.Results("runs/quick")`; it may still go on.
        output: the file; it appears whole or not at all. By default it is report.html in the run's own folder, which
            may lie on a disk or in a bucket.
        command: what makes an ensemble of this run, told where there is none.

    Raises:
        ValueError: no output is given, and the run is not read from a folder.
    """
    from search.results import Results  # not above: figures and tables must not wait for Ray

    if isinstance(results, Results):
        command = command or f"huetune ensemble {shlex.quote(results.folder.address)}"
    page = report_html(results, command)
    if output is None:
        if not isinstance(results, Results):
            raise ValueError(
                f"Expected an output for the report of a run without a folder, got {type(results).__name__} and none."
                " Name a file to write."
            )
        results.folder.write_text(results.folder.report, page)
        return results.folder.report
    output = Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    half = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        half.write_text(page, encoding="utf-8")
        os.replace(half, output)
    finally:
        half.unlink(missing_ok=True)
    return output


def report_html(results: RunReader, command: str | None = None) -> str:
    """The report as text, for those who keep it elsewhere than on a disk."""
    snap = snapshot(results)
    sheet = Sheet()
    command = command or default_command(snap)
    body = [
        answer(snap, command),
        pictures(snap, command),
        search(snap, sheet),
        ensemble(snap, sheet, command),
        trials(snap),
        about(snap),
    ]
    title = f"{snap.definition.get('name') or 'search'} · huetune report"
    links = "".join(f'<a href="#{anchor}">{name}</a>' for anchor, name in NAVIGATION.items())
    room = files("search.report")
    style, script = (room.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">',
            f"<title>{esc(title)}</title><style>{style}</style></head><body>",
            '<a class="skip" href="#answer">Skip to the answer</a>',
            f'<nav aria-label="Sections"><div>{links}</div></nav><main>',
            *body,
            "</main>",
            f'<script type="application/json" id="dark-colors">{embedded_json(DARK_OF)}</script>',
            f"<script>{get_plotlyjs()}</script>",
            f"<script>{script}</script></body></html>\n",
        ]
    )
