"""Runs a Search on Ray Tune, and goes on with runs that ended before their time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console

from search.definition import Search
from search.results import Results
from search.run_folder import RunFolder
from search.running.journal import Journal
from search.running.lease import Lease
from search.running.record import Record, Source
from search.running.session import Session
from search.running.storage import in_words


def run(
    search: Search,
    *,
    name: str | None = None,
    storage: str = "runs",
    console: Console | None = None,
    source: Source | None = None,
) -> Results:
    """Run a search to its end.

    Args:
        search: what to run; it is not changed and can be run again.
        name: of the run, by default a time stamp.
        storage: the folder of runs, on a disk or in a bucket.
        console: where progress is shown; by default the terminal's error stream.
        source: the file that the search comes from, for `huetune resume`.

    Raises:
        SearchError: the method cannot search this space.
        RunError: the name is taken, the trials never report the metric, or Ray cannot run them.
        Interrupted: Ctrl-C.
    """
    method = search.fresh_method()
    name = name or datetime.now().strftime("%Y-%m-%d-%H%M%S")
    console = console or Console(stderr=True)
    folder = RunFolder.create(storage, name)
    with _journal(folder, console) as journal:
        record = Record.begin(folder.patient(), search, name, source)
        session = Session(search, method, folder.patient(), journal, record, console)
    return session.run()


def resume(search: Search, run: str, *, more: int = 0, console: Console | None = None) -> Results:
    """Go on with a run, however it ended: trials that ended stay, those under way go on, new ones follow.

    Args:
        search: the definition it was made with. Scheduler, resources and concurrency may be others now.
        run: its folder or address.
        more: trials beyond those asked for so far.
        console: where progress is shown; by default the terminal's error stream.

    Raises:
        RunError: there is no such run, it still goes on, or the definition is another; and as for `run`.
        Interrupted: Ctrl-C.
    """
    method = search.fresh_method()
    console = console or Console(stderr=True)
    folder = Results(run).folder
    with _journal(folder, console) as journal:
        last_seen = max((event["time"] for event in journal.read() if "time" in event), default=None)
        record = Record.go_on(folder.patient(), search, more, last_seen)
        session = Session(search, method, folder.patient(), journal, record, console)
    return session.run()


@contextmanager
def _journal(folder: RunFolder, console: Console) -> Iterator[Journal]:
    """The journal of a run, which no other driver can have; let go of again where the session does not come about."""

    def say(text: str) -> None:
        console.print(text, style="yellow")

    with in_words(folder):
        journal = Journal(folder.patient(), None if folder.is_local else Lease(folder, say))
        try:
            yield journal
        except BaseException:
            journal.close()
            raise
