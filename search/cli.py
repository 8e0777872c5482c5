"""The console script `huetune`: commands of the search, and those that installed workloads add."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from search.console import err, explained, out, setting
from search.ensemble_command import ensemble, export
from search.errors import RunError, SearchError
from search.jobs_command import FollowOption, SharedOption, WorkingDirOption, go_on_there, list_jobs, logs, stop, submit
from search.jobs_command import status as job_status
from search.report_command import report
from search.tensorboard_command import tensorboard
from search.up_check_command import up_check

if TYPE_CHECKING:
    from search.results import Results

app = typer.Typer(
    name="huetune",
    help="Searches the hyperparameters of a PyTorch model on Ray, and turns the best checkpoints into an ensemble.",
    epilog="The usual way: prepare a dataset, run a search, build the ensemble, write the report, colorize.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run: its folder, or its address in a bucket.")]


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
    options_metavar="[OPTIONS] [OPTIONS OF THE DEFINITION]",
)
@explained(SearchError, RunError)
def run(
    context: typer.Context,
    definition: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A Python file that defines `search`.", show_default=False),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run. [dim]default: a time stamp[/]")] = None,
    storage: Annotated[
        str, typer.Option(help="Where runs lie: a folder, or an address such as s3://bucket/runs.")
    ] = "runs",
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be tried, and run nothing.")] = False,
    show_help: Annotated[
        bool, typer.Option("--help", help="Show this message, with the options that FILE defines.")
    ] = False,
) -> None:
    """Run the search that FILE defines.

    Trials run on the Ray cluster this machine belongs to, else on this machine alone. Everything is
    recorded while it goes on; Ctrl-C ends the run and loses nothing that was reported.
    """
    if show_help or definition is None:
        out.print(context.get_help(), end="")
        if definition is None:
            raise typer.Exit(0 if show_help else 2)
    from search.definition_file import DefinitionFile
    from search.definition_options import parse_options

    loaded = DefinitionFile.load(definition)
    options = parse_options(loaded, ["--help"] if show_help else context.args)
    if show_help:
        return
    from search.runner import run as run_search
    from search.running.record import Source

    search = loaded.build(**options)
    if plan:
        from search.outlook import outlook

        out.print(outlook(search))
        return
    source = Source(str(definition), tuple(context.args))
    _tell(lambda: run_search(search, name=name, storage=storage, console=err, source=source))


DefinitionOption = Annotated[
    Path | None,
    typer.Option("--definition", metavar="FILE", help="The definition, if it has moved since the run began."),
]


ClusterOption = Annotated[
    str | None,
    typer.Option("--address", metavar="URL", help="The dashboard of a cluster: go on there, as a job."),
]


@app.command()
@explained(SearchError, RunError)
def resume(
    run: RunArgument,
    definition: DefinitionOption = None,
    address: ClusterOption = None,
    working_dir: WorkingDirOption = Path(),
    shared: SharedOption = None,
    follow: FollowOption = False,
) -> None:
    """Go on with a run that ended before its time, in whatever way.

    Trials that ended stay as they are, those under way go on from their checkpoints, and the search method goes on
    as if nothing had happened. The definition is read again from its file.
    """
    if address is None:
        _go_on(run, definition)
    else:
        go_on_there(run, definition, address, working_dir, shared, follow)


@app.command()
@explained(SearchError, RunError)
def extend(
    run: RunArgument,
    trials: Annotated[int, typer.Option(min=1, help="How many more trials.", show_default=False)],
    definition: DefinitionOption = None,
    address: ClusterOption = None,
    working_dir: WorkingDirOption = Path(),
    shared: SharedOption = None,
    follow: FollowOption = False,
) -> None:
    """Add trials to a run; the search method knows all that the run has found."""
    if address is None:
        _go_on(run, definition, more=trials)
    else:
        go_on_there(run, definition, address, working_dir, shared, follow, more=trials)


@app.command()
@explained(RunError)
def results(
    run: RunArgument,
    top: Annotated[int, typer.Option(min=1, help="How many trials to show.")] = 10,
) -> None:
    """Show the best trials of a run, finished or still going on."""
    from search.results import Results, standing

    found = Results(run)
    definition, trials = found.definition, found.table()
    counts = ", ".join(f"{n} {status}" for status, n in trials["status"].value_counts().items())
    asked = f" of {definition['trials']}" if definition["trials"] is not None else ""
    out.print(f"{definition['name']}: {standing(found)}; {counts or 'no trial yet'}{asked}")
    varied = [n for n, axis in definition["space"].items() if axis["type"] != "constant"]
    best = trials[trials["score"].notna()].sort_values("score", ascending=definition["mode"] == "min").head(top)
    table = Table("trial", definition["metric"], "status", "iterations", "configuration", box=None)
    for row in best.to_dict("records"):
        config = "  ".join(setting(name, row.get(f"config.{name}")) for name in varied)
        table.add_row(str(row["number"]), f"{row['score']:.5g}", row["status"], str(row["iterations"]), config)
    out.print(table)
    _tell_winner(found)


app.command()(ensemble)
app.command()(export)
app.command()(report)
app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
    options_metavar="[OPTIONS] [OPTIONS OF THE DEFINITION]",
)(submit)
app.command("list")(list_jobs)
app.command("status")(job_status)
app.command()(logs)
app.command()(stop)
app.command()(tensorboard)
app.command("up-check")(up_check)


def _go_on(run: str, definition: Path | None, more: int = 0) -> None:
    from search.definition_file import DefinitionFile
    from search.definition_options import parse_options
    from search.results import Results
    from search.runner import resume as resume_search

    recorded = Results(run).definition
    file = definition or (Path(recorded["file"]) if recorded.get("file") else None)
    if file is None:
        raise RunError(
            f"Expected the run {run!r} to name the file that defines it, but it was started from Python."
            " Use Search.resume there, or give the file with --definition."
        )
    if not file.is_file():
        raise RunError(
            f"Expected the definition of {run!r} at {file}, found none. Go to the folder where the run was started, or"
            " give the file with --definition."
        )
    loaded = DefinitionFile.load(file)
    search = loaded.build(**parse_options(loaded, recorded.get("arguments") or []))
    _tell(lambda: resume_search(search, run, more=more, console=err))


def _tell(session: Callable[[], Results]) -> None:
    """Run a session, and say how it ended and what comes next."""
    from search.running.session import Interrupted

    try:
        results = session()
    except Interrupted as interruption:
        err.print(str(interruption), style="yellow")
        raise typer.Exit(130) from None
    definition, best, address = results.definition, results.best, shlex.quote(results.folder.address)
    if definition["ended_by"]:
        out.print(f"ended early: {definition['ended_by']} To go on with a larger one: huetune resume {address}")
    _tell_winner(results)
    out.print(f"best {definition['metric']} {best.score:.5g}: trial {best.number} of {address}")
    out.print(f"next: huetune ensemble {address}, huetune report {address}")


def _tell_winner(results: Results) -> None:
    """Where finalists were trained again, which of them won and how sure that is."""
    if finalists := results.finalists():
        winner = finalists[0]
        out.print(
            f"winner: configuration {winner.configuration}, {results.definition['metric']} {winner.mean:.5g}"
            f" ± {winner.spread:.2g} over {len(winner.scores)} fresh seeds"
        )


def add_workload_commands() -> None:
    """Add what installed workloads offer, under the entry points `huetune.commands`."""
    for entry_point in sorted(metadata.entry_points(group="huetune.commands"), key=lambda entry: entry.name):
        try:
            command = entry_point.load()
            app.command(entry_point.name, context_settings=getattr(command, "context_settings", None))(command)
        except Exception as fault:  # a broken plug-in must not take the other commands with it
            err.print(f"huetune: the command {entry_point.name!r} could not be loaded: {fault}", style="yellow")


def main() -> None:
    """Run the console script."""
    add_workload_commands()
    app(args=sys.argv[1:])
