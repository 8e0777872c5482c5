"""search.json: the definition of a run as data, the sessions it took, and how it stands."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from search.definition import Search
from search.errors import RunError
from search.results import FORMAT, VERSION
from search.run_folder import RunFolder

# What has to be the same for the trials of two sessions to be one run's.
_FIXED = ("metric", "mode", "score", "seed", "iterations", "method", "space")


@dataclass(frozen=True)
class Source:
    """The file that defines a search, and the options it was given on the command line."""

    file: str
    arguments: tuple[str, ...]


class Record:
    """The file search.json of one run. Make it with `begin` or `go_on`."""

    def __init__(self, folder: RunFolder, data: dict[str, Any]) -> None:
        self._folder, self._data = folder, data
        data["sessions"].append({"started": _now(), "ended": None, "command": _command()})
        data["status"] = "running"
        folder.write_json(folder.definition, data)

    @classmethod
    def begin(cls, folder: RunFolder, search: Search, name: str, source: Source | None) -> Record:
        """Of a new run."""
        return cls(
            folder,
            {
                "format": FORMAT,
                "version": VERSION,
                "name": name,
                **search.describe(),
                "versions": {p: metadata.version(p) for p in ("huetune", "ray", "optuna", "torch", "numpy")}
                | {"python": sys.version.split()[0]},
                "git_commit": _git_commit(),
                "command": _command(),
                "file": source.file if source else None,
                "arguments": list(source.arguments) if source else None,
                "started": _now(),
                "ended": None,
                "ended_by": None,
                "sessions": [],
            },
        )

    @classmethod
    def go_on(cls, folder: RunFolder, search: Search, more: int, last_seen: float | None) -> Record:
        """Of a run that goes on.

        Args:
            folder: the run.
            search: the definition, the same as before in all that makes trials comparable.
            more: trials beyond those that were asked for.
            last_seen: the last sign of life of the run, in seconds since 1970: when a session that was killed ended.

        Raises:
            RunError: there is no run, the definition has changed, or more is asked of a method that ends by itself.
        """
        data = folder.read_json(folder.definition)
        if "sessions" not in data:
            raise RunError(
                f"Expected a run with a journal, but {folder.address!r} was made by a huetune that kept none."
                f" Start a new run that learns from it: Bayesian(warm_start=[{folder.address!r}])."
            )
        check_same(data, search.describe(), folder.address)
        if more and data["trials"] is None:
            raise RunError(
                f"Expected a run of so many trials to be extended, but {folder.address!r} has as many as its method,"
                f" {data['method']}. Start a new run that learns from it: Bayesian(warm_start=[{folder.address!r}])."
            )
        if data["trials"] is not None:
            data["trials"] += more
        session = data["sessions"][-1]
        if session["ended"] is None:
            session["ended"] = session["started"] if last_seen is None else _iso(datetime.fromtimestamp(last_seen, UTC))
        return cls(folder, data | {"ended": None, "ended_by": None})

    @property
    def trials(self) -> int | None:
        """How many trials are asked for; None for as many as the method has."""
        trials = self._data["trials"]
        return None if trials is None else int(trials)

    @property
    def name(self) -> str:
        """The name of the run."""
        return str(self._data["name"])

    @property
    def seconds(self) -> float:
        """How long the sessions before this one took."""
        ends = [(session["started"], session["ended"]) for session in self._data["sessions"][:-1]]
        spans = [datetime.fromisoformat(ended) - datetime.fromisoformat(began) for began, ended in ends]
        return sum(span.total_seconds() for span in spans)

    def close(self, status: str, ended_by: str | None = None) -> None:
        """Note how the run ended, and what ended it if it was not its own end."""
        self._data["sessions"][-1]["ended"] = _now()
        self._data |= {"status": status, "ended": _now(), "ended_by": ended_by}
        self._folder.write_json(self._folder.definition, self._data)


def check_same(recorded: Mapping[str, Any], described: Mapping[str, Any], run: str) -> None:
    """Raise where a definition is not the one that a run was made with.

    Raises:
        RunError: with the first difference.
    """
    for name in _FIXED:
        if recorded[name] != described[name]:
            raise RunError(
                f"Expected the definition that {run!r} was made with: its {name} was {recorded[name]}, and now is"
                f" {described[name]}. Go back to that, or start a new run (its method can learn from this one:"
                f" Bayesian(warm_start=[{run!r}]))."
            )


def _now() -> str:
    return _iso(datetime.now(UTC))


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _command() -> str:
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def _git_commit() -> str | None:
    command = ["git", "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
