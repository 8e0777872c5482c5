"""Runs as jobs of a Ray cluster: sent, listed, watched and stopped through Ray's Jobs API."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import ray
import requests
from packaging.version import InvalidVersion, Version
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobSubmissionClient

from search.cluster.travel import LEFT_OUT, Luggage
from search.errors import RunError

# The first with tokens.
OLDEST_RAY = Version("2.52")

_RUN, _ADDRESS, _HELPER = "huetune.run", "huetune.address", "huetune.helper"

# Ray's SIGTERM to a job becomes SIGKILL after this time. A trial may take long to its next report.
_PATIENCE = {"RAY_JOB_STOP_WAIT_TIME_S": str(7 * 24 * 3600)}

# Ray's client prefers these to the address it is given.
_OVERRIDES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")

_PROBE_SECONDS = 15
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Job:
    """One job of a cluster as it stands.

    Attributes:
        id: its submission id; Ray's own for a driver that nobody submitted.
        name: of its run; None where the job is not huetune's.
        address: of its run.
        status: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED.
        message: what Ray says about the status.
        command: what runs.
        pid: of the process that drives the run, once there is one.
    """

    id: str
    name: str | None
    address: str | None
    status: str
    message: str
    command: str
    started: datetime | None
    ended: datetime | None
    pid: int | None

    @classmethod
    def of(cls, details: JobDetails) -> Job:
        """The job that Ray describes."""
        noted = details.metadata or {}
        return cls(
            id=details.submission_id or details.job_id,
            name=noted.get(_RUN),
            address=noted.get(_ADDRESS),
            status=details.status.value,
            message=details.message or "",
            command=details.entrypoint,
            started=_moment(details.start_time),
            ended=_moment(details.end_time),
            pid=int(details.driver_info.pid) if details.driver_info else None,
        )

    @property
    def alive(self) -> bool:
        """Whether it waits or runs."""
        return self.status in ("PENDING", "RUNNING")

    @property
    def seconds(self) -> float | None:
        """How long it has taken so far, None before it began."""
        if self.started is None:
            return None
        return ((self.ended or datetime.now()) - self.started).total_seconds()


class Jobs:
    """The jobs of one cluster. Make it with `connect`.

    Attributes:
        url: of the cluster's dashboard.
        warnings: what a person should know about this connection.
    """

    def __init__(self, client: JobSubmissionClient, url: str, warnings: Sequence[str] = ()) -> None:
        self._client, self.url, self.warnings = client, url, tuple(warnings)

    @classmethod
    def connect(cls, url: str) -> Jobs:
        """Reach the Jobs API of a cluster.

        Args:
            url: of its dashboard, such as http://127.0.0.1:8265.

        Raises:
            RunError: nobody answers, it is not Ray that does, its Ray is too old, or the token is missing or wrong.
        """
        url = url.rstrip("/")
        if not url.startswith(("http://", "https://")):
            raise RunError(
                f"Expected --address to be that of the cluster's dashboard, such as http://127.0.0.1:8265, got {url!r}."
                " `ray dashboard cluster.yaml` opens a tunnel to it at that address."
            )
        told = _probe(url)
        if told is not None:
            _check_version(url, told)
        with _quiet(), _without(_OVERRIDES):
            try:
                client = JobSubmissionClient(url)
            except AuthenticationError as fault:
                raise RunError(_about_tokens(url, fault)) from None
            except (OSError, RuntimeError) as fault:
                raise RunError(_strange(url, str(fault))) from fault
        version = str(client._server_ray_version)
        _check_version(url, version)
        return cls(client, url, list(_warnings(url, version, guarded=told is None)))

    def submit(self, command: Sequence[str], name: str, address: str, luggage: Luggage) -> Job:
        """Send files and have a command of huetune's run among them, on the head.

        Args:
            command: the words of the command.
            name: of the run.
            address: of the run.
            luggage: what travels.

        Raises:
            RunError: the cluster did not take it.
        """
        job_id = f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}-{secrets.token_hex(3)}"
        with self._asked(), _quiet():
            self._client.submit_job(
                entrypoint=shlex.join(command),
                submission_id=job_id,
                runtime_env={
                    "working_dir": str(luggage.folder),
                    "excludes": list(LEFT_OUT),
                    "env_vars": _PATIENCE,
                },
                metadata={_RUN: name, _ADDRESS: address},
            )
        return self.job(job_id)

    def job(self, job_id: str) -> Job:
        """The job of this id, as it stands now.

        Raises:
            RunError: there is none, or the cluster does not answer.
        """
        with self._asked():
            return Job.of(self._client.get_job_info(job_id))

    def list(self, others: bool = False) -> list[Job]:
        """The jobs of huetune, newest first.

        Args:
            others: those of everybody else as well.

        Raises:
            RunError: the cluster does not answer.
        """
        with self._asked():
            found = [d for d in self._client.list_jobs() if _HELPER not in (d.metadata or {})]
        jobs = [Job.of(details) for details in found]
        kept = [job for job in jobs if others or job.name is not None]
        return sorted(kept, key=lambda job: job.started or datetime.max, reverse=True)

    def find(self, name_or_id: str) -> Job:
        """The job of this id, else the latest of the run of this name.

        Raises:
            RunError: there is none, or two runs of the name are under way.
        """
        jobs = self.list(others=True)
        for job in jobs:
            if job.id == name_or_id:
                return job
        named = [job for job in jobs if job.name == name_or_id]
        alive = [job for job in named if job.alive]
        if len(alive) > 1:
            raise RunError(
                f"Expected one job under way of the name {name_or_id!r}, found {len(alive)}. Give the id of the one you"
                f" mean: {', '.join(job.id for job in alive)}."
            )
        if not named:
            known = ", ".join(dict.fromkeys(job.name for job in jobs if job.name)) or "none"
            raise RunError(
                f"Expected the name or the id of a job on {self.url}, got {name_or_id!r}; there are: {known}."
                " A head that was started again has forgotten its jobs, but their runs are in storage:"
                f" huetune resume RUN --address {self.url}"
            )
        return (alive or named)[0]

    def under_way(self, address: str) -> Job | None:
        """A job that waits or runs for the run at this address."""
        alive = (job for job in self.list() if job.alive and job.address)
        return next((job for job in alive if _place(str(job.address)) == _place(address)), None)

    def logs(self, job: Job) -> str:
        """All that a job has said.

        Raises:
            RunError: the cluster does not answer, or no longer has it.
        """
        with self._asked():
            return str(self._client.get_job_logs(job.id))

    def follow(self, job: Job, say: Callable[[str], None]) -> Job:
        """Hand on what a job says while it says it, from its beginning to its end.

        Args:
            job: the job.
            say: takes pieces of the log.

        Returns:
            The job when it has ended.

        Raises:
            RunError: the cluster no longer answers.
        """
        said = 0

        async def tail() -> None:
            nonlocal said
            seen = 0
            async for piece in self._client.tail_job_logs(job.id):
                # A log that is opened again comes from its beginning.
                if new := piece[max(0, said - seen) :]:
                    say(new)
                seen += len(piece)
                said = max(said, seen)

        while True:
            with _quiet(), suppress(aiohttp.ClientError, RuntimeError):
                asyncio.run(tail())
            job = self.job(job.id)  # finds out whether a connection that was cut off is so for good
            if not job.alive:
                return job
            time.sleep(_POLL_SECONDS)

    def stop(self, job: Job) -> Job:
        """Have a job end: its trials come to their next report, everything is saved.

        Returns:
            The job when it has ended.

        Raises:
            RunError: the cluster no longer answers.
        """
        asked = False
        while (job := self.job(job.id)).alive:
            with self._asked():
                # One that is being set up cannot take it yet.
                asked = asked or self._client.stop_job(job.id)
            time.sleep(_POLL_SECONDS)
        return job

    def stop_now(self, job: Job) -> Job:
        """Have a job end at once: what its trials did since their last reports is lost, nothing else.

        Ray has no word for it, so that a second job on the head gives the process of the first what a second Ctrl-C
        would; and kills it if that was not enough.

        Returns:
            The job when it has ended.

        Raises:
            RunError: the cluster no longer answers.
        """
        if job.alive and job.pid is not None:
            with self._asked(), _quiet():
                self._client.stop_job(job.id)
                self._client.submit_job(
                    entrypoint=_second_signal(job.id, job.pid), metadata={_HELPER: job.id}, runtime_env={}
                )
        return self.stop(job)

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Turn what a request can come to into words."""
        try:
            yield
        except AuthenticationError as fault:
            raise RunError(_about_tokens(self.url, fault)) from None
        except requests.RequestException as fault:
            raise RunError(_nobody(self.url)) from fault
        except RuntimeError as fault:
            raise RunError(f"The cluster at {self.url} could not do it: {_last_line(str(fault))}") from fault


def _probe(url: str) -> str | None:
    """Ask without a token who is there: its version of Ray, or None where it wants a token before it tells."""
    try:
        answer = requests.get(f"{url}/api/version", timeout=_PROBE_SECONDS)
    except requests.RequestException as fault:
        raise RunError(_nobody(url)) from fault
    if answer.status_code == requests.codes.unauthorized:
        return None
    try:
        return str(answer.json()["ray_version"])
    except (ValueError, TypeError, KeyError):
        raise RunError(_strange(url, f"{answer.status_code} {answer.reason}")) from None


def _nobody(url: str) -> str:
    return (
        f"Nobody answers at {url}. Is the cluster up, and the tunnel to it open? `ray up cluster.yaml` starts the one,"
        " `ray dashboard cluster.yaml` opens the other, at http://127.0.0.1:8265."
    )


def _strange(url: str, answer: str) -> str:
    return (
        f"Expected the dashboard of a Ray cluster at {url}, got another answer: {_last_line(answer)}."
        " Give the address that `ray dashboard cluster.yaml` opens, http://127.0.0.1:8265."
    )


def _about_tokens(url: str, fault: AuthenticationError) -> str:
    where = "RAY_AUTH_TOKEN, else the file that RAY_AUTH_TOKEN_PATH names, else ~/.ray/auth_token"
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        return (
            f"The cluster at {url} wants a token, and none was sent. Do: export RAY_AUTH_MODE=token. The token is read"
            f" from {where}."
        )
    if fault.message.startswith("Authentication failed"):
        return (
            f"The cluster at {url} has another token than this machine. It is read from {where}; the cluster's is in"
            " ~/.ray/auth_token on its head: ray exec cluster.yaml 'cat ~/.ray/auth_token'."
        )
    return f"The cluster at {url} wants a token, and there is none here: {fault.message}"


def _check_version(url: str, version: str) -> None:
    try:
        old = Version(version) < OLDEST_RAY
    except InvalidVersion:
        raise RunError(_strange(url, f"Ray {version!r}")) from None
    if old:
        raise RunError(
            f"Expected Ray {OLDEST_RAY} or later on the cluster at {url}, found {version}. Install the same there as"
            f" here, {ray.__version__}: constraints.txt pins it, and the set-up commands of cluster.yaml use that."
        )


def _warnings(url: str, version: str, guarded: bool) -> Iterator[str]:
    if Version(version).release[:2] != Version(ray.__version__).release[:2]:
        yield f"The cluster has Ray {version}, this machine {ray.__version__}: best have the same on both."
    if _is_loopback(urlsplit(url).hostname or ""):
        return
    if not guarded:
        yield (
            f"The cluster at {url} asks for no token: whoever reaches that address can run anything on it. Start it"
            " with RAY_AUTH_MODE=token, as cluster.yaml does."
        )
    elif url.startswith("http://"):
        yield (
            f"The token goes to {url} unencrypted. Go through a tunnel: `ray dashboard cluster.yaml`, then"
            " --address http://127.0.0.1:8265."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _second_signal(job_id: str, pid: int) -> str:
    """A shell command that ends the process of a job, if it still is that: numbers of processes are used again."""
    return (
        f"end() {{ grep -qas {shlex.quote(job_id)} /proc/{pid}/environ && kill -$1 {pid}; }};"
        " end TERM && sleep 15 && end KILL; true"
    )


def _place(address: str) -> str:
    """An address without the settings of its connection."""
    return address.partition("?")[0].rstrip("/")


def _moment(milliseconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000) if milliseconds else None


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1].rstrip(".")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray's notes on uploads and connections from the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _without(names: Sequence[str]) -> Iterator[None]:
    """Without some of the environment's variables."""
    before: dict[str, Any] = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)
