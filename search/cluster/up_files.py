"""Checks of the files that a cluster file names on this machine: what is mounted, the token, the key."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from search.cluster.up_finding import Finding, error

_TOKEN = ".ray/auth_token"
_HOW_TO_TOKEN = "`ray get-auth-token --generate`, then `chmod 600 ~/.ray/auth_token`"


def check(config: dict[str, Any]) -> Iterator[Finding]:
    """What is missing here, or open to other users of this machine."""
    mounts = config["file_mounts"]
    for remote, local in mounts.items():
        path = ("file_mounts", remote)
        if remote.endswith(_TOKEN):
            yield from _private(path, local, f"Make it with {_HOW_TO_TOKEN}.")
        elif not Path(local).expanduser().exists():
            yield error(
                path,
                f"Expected {local} here, to be copied to {remote}, found none in {Path.cwd()}."
                " Run `ray up` in the folder that has it, or mend the path.",
            )
    if not any(remote.endswith(_TOKEN) for remote in mounts):
        yield error(
            ("file_mounts",),
            "Expected the token to be mounted, found none: machines could not join."
            f" Add `~/{_TOKEN}: ~/{_TOKEN}`, a file made with {_HOW_TO_TOKEN}.",
        )
    if key := config["auth"].get("ssh_private_key"):
        yield from _private(("auth", "ssh_private_key"), key, "Mend the path, or make one with ssh-keygen.")


def _private(path: tuple[str, ...], local: str, remedy: str) -> Iterator[Finding]:
    file = Path(local).expanduser()
    if not file.is_file():
        yield error(path, f"Expected a file {local}, found none. {remedy}")
    elif (mode := stat.S_IMODE(file.stat().st_mode)) & 0o077:
        yield error(
            path,
            f"Expected {local} to be for you alone (mode 600), got mode {mode:o}. Type `chmod 600 {local}`.",
        )
