"""How commands speak: results on standard output, everything else on the error stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def explained(*expected: type[Exception]) -> Iterator[None]:
    """Turn errors that a user can mend into their message and the exit code 1. Also a decorator for commands."""
    try:
        yield
    except expected as fault:
        err.print(Text("huetune: ", style="bold red").append(str(fault), style="not bold default"))
        raise typer.Exit(1) from None


@contextmanager
def steps(what: str) -> Iterator[Progress]:
    """A bar for work of known length, gone when it is done; nothing where nobody watches."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        progress.add_task(what, total=None)
        yield progress
