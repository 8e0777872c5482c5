"""How commands speak: results on standard output, everything else on the error stream."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd

# A pipe or a file has no edge to wrap at; tables get room there.
_ROOM = None if sys.stdout.isatty() else 160
# What stands in brackets or between colons is part of a name, never a style or an emoji.
out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=_ROOM)
err = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


@contextmanager
def explained(*expected: type[Exception]) -> Iterator[None]:
    """Turn errors that a user can mend into their message and the exit code 1. Also a decorator for commands."""
    try:
        yield
    except expected as fault:
        err.print(Text("huetune: ", style="bold red").append(str(fault), style="not bold default"))
        raise typer.Exit(1) from None


@contextmanager
def interruptible(kept: str) -> Iterator[None]:
    """Turn Ctrl-C into words about what was kept, and the exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        err.print(Text("interrupted: ", style="bold red").append(kept, style="not bold default"))
        raise typer.Exit(130) from None


def setting(name: str, value: object) -> str:
    """One hyperparameter, short enough to stand beside others."""
    return f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"


def score_table(scores: pd.DataFrame) -> Table:
    """Scores of the methods of an ensemble on the test split; the gain with its interval in one column."""
    names = [str(name) for name in scores]
    gain = next(name for name in names if name.startswith("gain_") and name not in {"gain_low", "gain_high"})
    measures = names[names.index("members") + 1 : names.index(gain)]
    table = Table("method", "members", *measures, "ms", f"gain in {gain.removeprefix('gain_')} [95 %]", box=None)
    for row in scores.to_dict("records"):
        values = [f"{row[name]:.4g}" for name in measures]
        interval = f"{row[gain]:+.2f} [{row['gain_low']:.2f}, {row['gain_high']:.2f}]"
        # What a baseline costs is not measured.
        cost = "" if math.isnan(row["ms_per_example"]) else f"{row['ms_per_example']:.3g}"
        told = [row["method"], str(row["members"]), *values, cost, interval]
        table.add_row(*told, style="bold" if row["ships"] else None)
    return table


@contextmanager
def steps(what: str) -> Iterator[Progress]:
    """A bar for work of known length, gone when it is done; nothing where nobody watches."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        progress.add_task(what, total=None)
        yield progress
