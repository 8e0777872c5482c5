"""The cluster of `cluster.local.yaml` on hosts of this machine, and the laptop beside it that gives the commands."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.request import Request, urlopen

import yaml
from bucket import ACCESS
from hosts import REPOSITORY, Host, Hosts, until

_BIN = Path(sys.executable).parent
_PORT = 18265  # of the tunnel to the dashboard


class HostedCluster:
    """A head and two workers, with a token, on machines of one's own; as a context. `up` starts it.

    Args:
        folder: for what the laptop keeps. A short path: Ray puts sockets there.
    """

    def __init__(self, folder: Path) -> None:
        self.address = f"http://127.0.0.1:{_PORT}"
        self._folder = folder
        self._token = secrets.token_hex(32)
        self._hosts = Hosts(3, {**ACCESS, "RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"})
        self._file = folder / "cluster.yaml"
        self._tunnel: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> HostedCluster:
        """Boot the machines, and make a token and a cluster file."""
        self._folder.mkdir(parents=True, exist_ok=True)
        token = self._folder / "auth_token"
        token.touch(mode=0o600)
        token.write_text(self._token)
        self._hosts.__enter__()
        self._file.write_text(yaml.safe_dump(self._definition(token)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Switch the machines off, whatever state they are in."""
        self._close_tunnel()
        self._hosts.__exit__(kind, fault, trace)

    @property
    def head(self) -> Host:
        """The machine that drivers run on."""
        return self._hosts.all[0]

    @property
    def workers(self) -> list[Host]:
        """Those that trials run on."""
        return self._hosts.all[1:]

    @property
    def environment(self) -> dict[str, str]:
        """Of the laptop's shell."""
        return {
            **os.environ,
            **ACCESS,
            "PATH": f"{_BIN}:{os.environ['PATH']}",
            "HUETUNE_CACHE": str(self._folder / "cache"),
            "RAY_API_SERVER_ADDRESS": self.address,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self._folder / "auth_token"),
            "RAY_TMPDIR": str(self._folder),
            "RAY_UP_enable_autoscaler_v2": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
        }

    def run(self, *command: str, check: bool = True, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        """A command on the laptop, in the repository.

        Raises:
            AssertionError: it failed, unless `check` is False; with all it said.
        """
        made = subprocess.run(
            command,
            cwd=REPOSITORY,
            env=self.environment,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert not check or made.returncode == 0, f"{' '.join(command)}\n{made.stdout}"
        return made

    def up(self, *options: str) -> None:
        """`ray up`, and a tunnel to the dashboard; returns when all machines have joined."""
        if "--no-restart" not in options:
            # What the laptop remembers of machines that were replaced would keep Ray from setting them up.
            for stale in self._folder.glob("ray/cluster-*"):
                stale.unlink()
        self.run("ray", "up", "--yes", "--no-config-cache", *options, str(self._file))
        self._close_tunnel()
        self._open_tunnel()
        self.wait_for(self.head, *self.workers)

    def down(self) -> None:
        """`ray down`."""
        self.run("ray", "down", "--yes", str(self._file))
        self._close_tunnel()

    def alive(self) -> set[str]:
        """The addresses of the machines that the head counts on; none while it cannot be asked."""
        request = Request(f"{self.address}/api/v0/nodes", headers={"Authorization": f"Bearer {self._token}"})
        with suppress(OSError, ValueError, KeyError):
            with urlopen(request, timeout=5) as answer:
                nodes = json.load(answer)["data"]["result"]["result"]
            return {node["node_ip"] for node in nodes if node["state"] == "ALIVE"}
        return set()

    def wait_for(self, *hosts: Host, seconds: float = 120) -> None:
        """Wait until these and no others are counted on.

        Raises:
            AssertionError: they are not, after so many seconds.
        """
        wanted = {host.address for host in hosts}
        assert until(lambda: self.alive() == wanted, seconds), f"expected {wanted}, found {self.alive()}"

    def _definition(self, token: Path) -> dict[str, Any]:
        """The repository's file, for these machines; they have huetune already."""
        found: dict[str, Any] = yaml.safe_load((REPOSITORY / "cluster.local.yaml").read_text())
        found["provider"] |= {
            "head_ip": self.head.address,
            "worker_ips": [worker.address for worker in self.workers],
        }
        found["auth"] |= {"ssh_user": "root", "ssh_private_key": str(self._hosts.key)}
        found["file_mounts"] |= {"~/.ray/auth_token": str(token)}
        found["setup_commands"] = ["chmod 600 ~/.ray/auth_token"]
        # All of them share this machine's cores: one trial a worker.
        found["worker_start_ray_commands"][-1] = found["worker_start_ray_commands"][-1].replace(
            "ray start ", "ray start --num-cpus=1 "
        )
        return found

    def _open_tunnel(self) -> None:
        forward = f"{_PORT}:127.0.0.1:8265"
        options = [*self.head.ssh_options, "-o", "ExitOnForwardFailure=yes", "-N", "-L", forward]
        self._tunnel = subprocess.Popen(["ssh", *options, f"root@{self.head.address}"], stdin=subprocess.DEVNULL)

    def _close_tunnel(self) -> None:
        if self._tunnel is not None:
            self._tunnel.kill()
            self._tunnel.wait()
            self._tunnel = None
