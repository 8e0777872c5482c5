"""The command `huetune up-check`: what is wrong with a cluster file, before anything is started."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from search.console import explained, out
from search.errors import RunError


@explained(RunError)
def up_check(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The cluster file that `ray up` gets.", show_default=False)
    ],
) -> None:
    """Check a cluster file before `ray up`, line by line, without asking anybody.

    Ray's own schema, and what Ray leaves to be found out later: keys that it ignores, machines that EC2 does not have,
    doors that stand open, a missing token. Errors end with the exit code 1, warnings do not.
    """
    from search.cluster.up_check import up_check as check

    remarks = check(file)
    for remark in remarks:
        out.print(Text(remark.text, style="red" if remark.severity == "error" else "yellow"))
    errors = sum(remark.severity == "error" for remark in remarks)
    warnings = len(remarks) - errors
    counted = f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"
    out.print(Text(f"{file}: {counted}." + ("" if errors else f" Next: ray up {file}")))
    if errors:
        raise typer.Exit(1)
