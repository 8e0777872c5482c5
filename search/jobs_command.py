"""The commands for runs on a cluster: `huetune submit`, `list`, `status`, `logs`, `stop`; resuming and extending."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from search.console import err, explained, interruptible, out
from search.errors import NoFinishedTrialError, RunError, SearchError, UnreachableError

if TYPE_CHECKING:
    from search.cluster.jobs import Job, Jobs
    from search.cluster.travel import Luggage
    from search.definition_file import DefinitionFile
    from search.results import Results

_HERE = "http://127.0.0.1:8265"
_LAST_LINES = 15

AddressOption = Annotated[
    str,
    typer.Option("--address", metavar="URL", envvar="RAY_API_SERVER_ADDRESS", help="The dashboard of the cluster."),
]
WorkingDirOption = Annotated[
    Path,
    typer.Option("--working-dir", metavar="DIR", help="The folder with the code, which travels to the cluster."),
]
SharedOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--shared", metavar="DIR", help="A folder that all machines mount at this same path.", show_default=False
    ),
]
FollowOption = Annotated[bool, typer.Option("--follow", help="Stay and show what the job says, until it ends.")]
JobArgument = Annotated[
    str, typer.Argument(metavar="NAME_OR_ID", help="The name of the run, or the id of the job.", show_default=False)
]

# Options of `submit` that a definition cannot have too; those of `run` are looked for elsewhere.
_TAKEN = {"address", "working_dir", "shared", "follow"}


@explained(SearchError, RunError, OSError)
def submit(
    context: typer.Context,
    definition: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A Python file in the working dir that defines `search`."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run. [dim]default: a time stamp[/]")] = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Where runs lie, such as s3://bucket/runs.", show_default=False),
    ] = None,
    address: AddressOption = _HERE,
    working_dir: WorkingDirOption = Path(),
    shared: SharedOption = None,
    follow: FollowOption = False,
    show_help: Annotated[
        bool, typer.Option("--help", help="Show this message, with the options that FILE defines.")
    ] = False,
) -> None:
    """Run the search that FILE defines on a cluster, as a job.

    The files of the working dir travel there; runs and data lie in storage that all machines reach. The job
    goes on whatever happens to this machine.
    """
    if show_help or definition is None:
        out.print(context.get_help(), end="")
        if definition is None:
            raise typer.Exit(0 if show_help else 2)
    from search.cluster.travel import check_options, check_place, check_shared

    folder, shared = Path(os.path.abspath(working_dir)), shared or []
    file = _inside(definition, folder)
    if show_help:
        _options(file, folder, ["--help"])
        return
    if storage is None:
        raise RunError("Expected --storage, got none. Say where runs shall lie, such as --storage s3://bucket/runs.")
    check_shared(shared)
    check_place("--storage", storage, shared)
    check_options(_options(file, folder, context.args), folder, storage, shared)
    luggage = _pack(folder, file)

    name = name or datetime.now().strftime("%Y-%m-%d-%H%M%S")
    run = _run_address(storage, name)
    jobs = _connect(address)
    _check_free(jobs, run)
    command = ["huetune", "run", file, "--name", name, "--storage", storage, *context.args]
    _send(jobs, command, name, run, luggage, follow)


@explained(RunError)
def list_jobs(
    address: AddressOption = _HERE,
    every: Annotated[bool, typer.Option("--all", help="Those of others on the cluster as well.")] = False,
) -> None:
    """List the runs that were sent to a cluster, newest first."""
    from search.report.wording import duration

    jobs = _connect(address)
    found = jobs.list(others=every)
    if not found:
        err.print(Text(f"no run has been sent to {jobs.url} since its head was started", style="dim"))
        return
    table = Table("name", "job", "status", "started", "took", "run", box=None)
    for job in found:
        started = f"{job.started:%Y-%m-%d %H:%M:%S}" if job.started else ""
        cells = (job.name or "", job.id, job.status, started, duration(job.seconds), job.address or job.command)
        table.add_row(*map(Text, cells))
    out.print(table)


@explained(RunError)
def status(job: JobArgument, address: AddressOption = _HERE) -> None:
    """Say how a run on a cluster stands."""
    from search.report.wording import duration

    jobs = _connect(address)
    found = jobs.find(job)
    out.print(Text(f"{found.name or found.command}: {found.status}, {duration(found.seconds)}, job {found.id}"))
    if found.address is not None:
        out.print(Text(_standing(found.address)))
    if found.status == "FAILED":
        with contextlib.suppress(RunError):
            _tell_log(jobs.logs(found).splitlines()[-_LAST_LINES:] or found.message.splitlines())
    _tell_next(jobs, found)


@explained(RunError)
@interruptible("the job goes on")
def logs(
    job: JobArgument,
    follow: Annotated[bool, typer.Option("--follow", help="Until the job ends; exit code 0 if all went well.")] = False,
    address: AddressOption = _HERE,
) -> None:
    """Show what a run on a cluster says."""
    jobs = _connect(address)
    found = jobs.find(job)
    if follow:
        _follow(jobs, found)
    else:
        typer.echo(jobs.logs(found), nl=False)


@explained(RunError)
@interruptible("the job goes on ending")
def stop(
    job: JobArgument,
    now: Annotated[bool, typer.Option("--now", help="Do not wait for the next reports of the trials.")] = False,
    address: AddressOption = _HERE,
) -> None:
    """End a run on a cluster, with everything saved, and wait until it has ended."""
    jobs = _connect(address)
    found = jobs.find(job)
    if not found.alive:
        err.print(Text(f"job {found.id} has ended before: {found.status}", style="yellow"))
        return
    if now:
        err.print(Text(f"ending job {found.id}: what its trials did since their last reports is lost", style="dim"))
        ended = jobs.stop_now(found)
    else:
        err.print(
            Text(
                f"waiting for job {found.id}: its trials go on to their next reports and are saved. At once:"
                f" huetune stop {found.id} --now{_at(jobs)}",
                style="dim",
            )
        )
        ended = jobs.stop(found)
    out.print(Text(f"job {ended.id}: {ended.status}"))
    if ended.address is not None:
        out.print(Text(_standing(ended.address)))
    _tell_next(jobs, ended)


def go_on_there(
    run: str,
    definition: Path | None,
    address: str,
    working_dir: Path,
    shared: Sequence[Path] | None,
    follow: bool,
    more: int = 0,
) -> None:
    """Go on with a run as a job of a cluster.

    Args:
        run: its address.
        definition: the definition in the working dir, if it is not where it was when the run began.
        address: of the dashboard of the cluster.
        working_dir: the folder with the code, which travels.
        shared: folders that all machines mount at the same path.
        follow: whether to stay and show what the job says.
        more: trials beyond those asked for so far.

    Raises:
        RunError: the run, its definition or its data cannot be reached there, it is under way, or the cluster cannot.
        SearchError: the definition has a fault.
    """
    from search.cluster.travel import check_options, check_place, check_shared

    folder, shared = Path(os.path.abspath(working_dir)), shared or []
    check_shared(shared)
    check_place("RUN", run, shared)
    found = _results(run)
    recorded = found.definition if found else {}
    given = definition or (Path(recorded["file"]) if recorded.get("file") else None)
    if given is None:
        raise RunError(f"Expected the file that defines the run {run!r}. Give it with --definition.")
    file = _inside(given, folder)
    check_options(_options(file, folder, recorded.get("arguments") or []), folder, run, shared)
    luggage = _pack(folder, file)

    jobs = _connect(address)
    if job := jobs.under_way(run):
        raise RunError(
            f"Expected a run that has ended, but {run!r} is under way: job {job.id}. Wait for its end, or end it:"
            f" huetune stop {job.id}{_at(jobs)}"
        )
    command = ["huetune", *(["extend", run, "--trials", str(more)] if more else ["resume", run])]
    if file != recorded.get("file"):
        command += ["--definition", file]
    name = recorded.get("name") or run.partition("?")[0].rstrip("/").rpartition("/")[2]
    _send(jobs, command, name, run, luggage, follow)


def _connect(address: str) -> Jobs:
    from search.cluster.jobs import Jobs

    jobs = Jobs.connect(address)
    for warning in jobs.warnings:
        err.print(Text(warning, style="yellow"))
    return jobs


def _inside(definition: Path, folder: Path) -> str:
    """The path of a definition relative to the working dir."""
    path = Path(os.path.abspath(folder / definition))
    if not path.is_relative_to(folder):
        raise RunError(
            f"Expected FILE to lie in the folder that travels, {folder}, got {path}. Give --working-dir a folder that"
            " holds it."
        )
    return path.relative_to(folder).as_posix()


def _options(file: str, folder: Path, arguments: list[str]) -> dict[str, Any]:
    """The options of a definition, which is loaded as the job will: in the working dir, with its modules at hand."""
    from search.definition_file import DefinitionFile
    from search.definition_options import parse_options

    with contextlib.chdir(folder), _importable(folder):
        loaded = DefinitionFile.load(folder / file)
    _check_names(loaded)
    return parse_options(loaded, arguments)


def _check_names(loaded: DefinitionFile) -> None:
    taken = sorted(_TAKEN & {parameter.name for parameter in loaded.parameters})
    if taken:
        raise SearchError(
            f"Expected other names for the parameters {taken} of search() in {loaded.path}:"
            " `huetune submit` has options of these names."
        )


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _pack(folder: Path, file: str) -> Luggage:
    from search.cluster.travel import pack

    luggage = pack(folder)
    if file not in luggage.files:
        raise RunError(
            f"Expected {file} to travel to the cluster, but a .gitignore or .rayignore in {folder} leaves it out."
            " Correct that, or move the file."
        )
    return luggage


def _run_address(storage: str, name: str) -> str:
    place, mark, query = storage.partition("?") if "://" in storage else (storage, "", "")
    return f"{place.rstrip('/')}/{name}{mark}{query}"


def _check_free(jobs: Jobs, run: str) -> None:
    """Refuse a run that exists, or is about to, and a bucket that does not."""
    from search.run_folder import RunFolder

    if job := jobs.under_way(run):
        raise RunError(f"Expected a new run name, but job {job.id} is at work on {run!r}. Choose another with --name.")
    try:
        folder = RunFolder.open(run)
        taken = folder.exists(folder.root)
        missing = not folder.is_local and not folder.exists(folder.root.partition("/")[0])
    except (UnreachableError, OSError) as fault:
        _warn_unreadable(run, fault)
        return
    if missing:
        raise RunError(f"Expected a bucket at {run!r}, found none of that name. Make it first, or correct --storage.")
    if taken:
        raise RunError(
            f"Expected a new run name, but {run!r} exists, and no run is ever overwritten. Choose another with --name,"
            f" or go on with it: huetune resume {shlex.quote(run)}{_at(jobs)}"
        )


def _results(run: str) -> Results | None:
    """The run, None where this machine cannot read it; the cluster may well."""
    from search.results import Results

    try:
        return Results(run)
    except UnreachableError as fault:
        _warn_unreadable(run, fault)
        return None


def _warn_unreadable(run: str, fault: Exception) -> None:
    err.print(Text(f"{run} cannot be looked at from here, which the cluster may well do: {fault}", style="yellow"))


def _send(jobs: Jobs, command: list[str], name: str, run: str, luggage: Luggage, follow: bool) -> None:
    err.print(Text(f"sending {luggage}, from {luggage.folder}", style="dim"))
    job = jobs.submit(command, name, run, luggage)
    out.print(Text(f"job {job.id} on {jobs.url}, to lie in {run}"))
    out.print(Text(f"next: huetune logs {job.id} --follow{_at(jobs)}, huetune report {shlex.quote(run)}"))
    if follow:
        with interruptible(f"the job goes on; huetune logs {job.id} --follow{_at(jobs)} shows it again"):
            _follow(jobs, job)


def _follow(jobs: Jobs, job: Job) -> None:
    """Show what a job says until it ends; leave with 1 where that is no success."""
    ended = jobs.follow(job, lambda text: typer.echo(text, nl=False))
    err.print(Text(f"job {ended.id}: {ended.status}", style="dim"))
    if ended.status != "SUCCEEDED":
        _tell_next(jobs, ended)
        raise typer.Exit(1)


def _standing(address: str) -> str:
    """How far a run has come, from its own files."""
    from search.results import Results, standing
    from search.running.ledger import ENDED

    try:
        found = Results(address)
        definition, trials = found.definition, found.table()
        statuses = trials["status"]
        asked = "" if definition["trials"] is None else f" of {definition['trials']}"
        told = (
            f"{address}: {standing(found)}, {statuses.isin(ENDED).sum()}{asked} trials ended,"
            f" {(statuses == 'running').sum()} under way"
        )
        with contextlib.suppress(NoFinishedTrialError):
            best = found.best
            told += f", best {definition['metric']} {best.score:.5g} (trial {best.number})"
    except UnreachableError as fault:
        return f"{address} cannot be read from here: {fault}"
    except RunError:
        return f"{address}: nothing yet"
    return told


def _tell_log(lines: list[str]) -> None:
    out.print(Text("its last words:"))
    for line in lines:
        out.print(Text(f"  {line}", style="dim"))


def _tell_next(jobs: Jobs, job: Job) -> None:
    """What can be done about a job as it stands."""
    if job.alive:
        out.print(Text(f"next: huetune logs {job.id} --follow{_at(jobs)}"))
    elif job.address is not None and job.status == "SUCCEEDED":
        out.print(Text(f"next: huetune report {shlex.quote(job.address)}"))
    elif job.address is not None and _has_begun(job.address):
        out.print(Text(f"to go on: huetune resume {shlex.quote(job.address)} --address {jobs.url}"))
    elif job.address is not None:
        out.print("next: correct it, and submit it again")


def _has_begun(address: str) -> bool:
    """Whether there is a run to go on with; so it is said to be where nobody can look."""
    from search.results import Results

    try:
        Results(address)
    except UnreachableError:
        return True
    except RunError:
        return False
    return True


def _at(jobs: Jobs) -> str:
    """The option that names the cluster, where it is not the usual one."""
    return "" if jobs.url == _HERE else f" --address {jobs.url}"
