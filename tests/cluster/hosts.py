"""Machines to make a cluster of, on this one: each has processes, a network, shared memory and folders of its own.

A host is a process tree in Linux namespaces of its own, with an SSH server as its first process. All hosts are on one
bridge with this machine, which they know as the gateway. They see its file system, but for the temporary and the home
folder: so the repository and its Python are there, and nothing that Ray leaves of one host is seen by another.

Needs root, iproute2, util-linux and an SSH server; `missing()` says what is not there.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

GATEWAY = "10.77.0.1"
SERVICES = "10.77.0.2"  # this machine again, for servers that are to be out of reach while the gateway is not
REPOSITORY = Path(__file__).resolve().parents[2]

_BRIDGE = "huetune"
_HOST = "huetune-host"
_PLACE = Path("/var/tmp/huetune-hosts")
_TOOLS = ("ip", "unshare", "mount", "ssh", "ssh-keygen", "sshd", "rsync")

# The first process of a host. $1: its folder; $2, $3: folders to be its own; then those still to be seen in them.
_BOOT = """
set -e
folder=$1 home=$2 temporary=$3; shift 3
hostname "$(cat "$folder/name")"
mount -t proc proc /proc
mount -t tmpfs tmpfs /dev/shm
mount --bind "$folder/hosts" /etc/hosts
for own in "$home" "$temporary"; do
  inside=$folder/$([ "$own" = "$home" ] && echo home || echo tmp)
  for seen in "$@"; do
    case $seen in "$own"/*) mkdir -p "$inside${seen#"$own"}"; mount --bind "$seen" "$inside${seen#"$own"}";; esac
  done
  mount --rbind "$inside" "$own"
done
mount -t tmpfs tmpfs /run
mkdir -p /run/sshd
cd /
exec "$(command -v sshd)" -D -e -f "$folder/sshd_config"
"""

_SSHD = """
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {authorized}
PermitRootLogin prohibit-password
PasswordAuthentication no
StrictModes no
UsePAM no
UseDNS no
PidFile none
MaxStartups 100
MaxSessions 100
"""


def missing() -> str | None:
    """Why there can be no hosts on this machine; None where there can."""
    if sys.platform != "linux":
        return f"hosts are made of Linux namespaces, and this is {sys.platform}"
    if os.geteuid() != 0:
        return "hosts need root, for namespaces and a network of their own"
    if absent := [tool for tool in _TOOLS if shutil.which(tool, path=_path()) is None]:
        return f"hosts need {', '.join(absent)} (Debian: iproute2, util-linux, openssh-server, openssh-client, rsync)"
    probe = f"{_HOST}-probe"
    made = _ip("netns", "add", probe, check=False)
    _ip("netns", "del", probe, check=False)
    return f"hosts need network namespaces: {made.stderr.strip()}" if made.returncode else None


@dataclass(frozen=True)
class Process:
    """A process of a host, under the number that it has on this machine."""

    pid: int
    command: str

    def kill(self) -> None:
        """End it with SIGKILL; nothing if it has ended by itself."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class Host:
    """One machine; made by `Hosts`, off at first.

    Args:
        number: from 1; decides its address.
        key: of the user who may log in.
        profile: lines of its .bashrc.
    """

    def __init__(self, number: int, key: Path, profile: str) -> None:
        self.name = f"{_HOST}-{number}"
        self.address = f"10.77.0.{10 + number}"
        self._link = f"huetune{number}"
        self._hardware = f"02:00:0a:4d:00:{10 + number:02x}"
        self._key, self._profile = key, profile
        self._folder = _PLACE / self.name
        self._boot: subprocess.Popen[bytes] | None = None

    @property
    def ssh_options(self) -> list[str]:
        """What `ssh` has to be told to come in."""
        options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=3")
        return ["-i", str(self._key), *(part for option in (*options, "LogLevel=ERROR") for part in ("-o", option))]

    def power_on(self, *, wiped: bool = False) -> None:
        """Boot; returns when one can log in. What was in its temporary folder is gone.

        Args:
            wiped: whether its home is gone too, as on a new machine under the old address.

        Raises:
            RuntimeError: it does not come up; with what its SSH server said.
        """
        self.power_off()
        self._write_files(wiped)
        _ip("netns", "add", self.name)
        # Always the same hardware address: neighbours remember it while the host is off.
        wire = f"type veth peer name eth0 address {self._hardware} netns {self.name}"
        _ip("link", "add", self._link, *wire.split())
        _ip("link", "set", self._link, "master", _BRIDGE, "up")
        for line in ("link set lo up", f"addr add {self.address}/24 dev eth0", "link set eth0 up"):
            _ip("-n", self.name, *line.split())
        _ip("-n", self.name, "route", "add", "default", "via", GATEWAY)
        namespaces = ("--pid", "--fork", "--mount", "--propagation", "private", "--uts", "--ipc", "--kill-child")
        boot = ("sh", "-c", _BOOT, "boot", self._folder, Path.home(), "/tmp", *_seen())
        with (self._folder / "sshd.log").open("wb") as log:
            self._boot = subprocess.Popen(
                list(map(str, ("ip", "netns", "exec", self.name, "unshare", *namespaces, *boot))),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": _path(), "HOME": str(Path.home()), "LANG": "C.UTF-8"},
                start_new_session=True,
            )
        if not until(lambda: self.ssh("true", check=False).returncode == 0 or self._is_off(), 20) or self._is_off():
            raise RuntimeError(f"{self.name} did not boot: {(self._folder / 'sshd.log').read_text().strip()}")

    def power_off(self) -> None:
        """Pull the plug: every process ends at once, and the network hears nothing of it. Nothing if it is off."""
        _ip("link", "del", self._link, check=False)
        for pid in self._pids():
            Process(pid, "").kill()  # the first process too, and with it all that came after
        if self._boot is not None:
            self._boot.wait()
            self._boot = None
        if not until(lambda: not self._pids(), 10):
            raise RuntimeError(f"{self.name} does not go off: {self.processes()}")
        _ip("netns", "del", self.name, check=False)

    def cut(self) -> None:
        """Pull the network cable."""
        _ip("link", "set", self._link, "down")

    def mend(self) -> None:
        """Plug the network cable in again."""
        _ip("link", "set", self._link, "up")

    def ssh(self, command: str, *, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command there, in a shell.

        Raises:
            subprocess.CalledProcessError: it failed, unless `check` is False; with its output.
            subprocess.TimeoutExpired: it is still going on after so many seconds.
        """
        return subprocess.run(
            ["ssh", *self.ssh_options, f"root@{self.address}", command],
            check=check,
            timeout=timeout,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    def processes(self, pattern: str = "") -> list[Process]:
        """Its processes whose command line matches a regular expression. Works while its network is cut."""
        found, here = [], os.readlink("/proc/self/ns/pid")
        for pid in self._pids():
            with suppress(FileNotFoundError, ProcessLookupError):
                command = (
                    Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                )
                inside = os.readlink(f"/proc/{pid}/ns/pid") != here  # and not one that holds the host up from here
                if inside and command and re.search(pattern, command):  # the dead have no command line
                    found.append(Process(pid, command))
        return found

    def _pids(self) -> list[int]:
        return list(map(int, _ip("netns", "pids", self.name, check=False).stdout.split()))

    def _is_off(self) -> bool:
        return self._boot is None or self._boot.poll() is not None

    def _write_files(self, wiped: bool) -> None:
        for lost in ("tmp", *(["home"] if wiped else [])):
            _remove(self._folder / lost)
        (self._folder / "home").mkdir(parents=True, exist_ok=True)
        (self._folder / "tmp").mkdir(mode=0o1777)
        (self._folder / "name").write_text(self.name)
        (self._folder / "hosts").write_text(f"127.0.0.1 localhost\n{self.address} {self.name}\n")
        if not (self._folder / "home/.bashrc").exists():
            (self._folder / "home/.bashrc").write_text(self._profile)
            (self._folder / "home/.bash_profile").write_text(". ~/.bashrc\n")
        settings = {"address": self.address, "folder": self._folder, "authorized": f"{self._key}.pub"}
        (self._folder / "sshd_config").write_text(_SSHD.format(**settings))
        make_key(self._folder / "host_key")


class Hosts:
    """Hosts on one bridge, switched on; as a context. Leaves nothing behind, and clears what a killed session left.

    Args:
        count: how many.
        environment: variables that every shell of theirs has.

    Raises:
        RuntimeError: another session has them, or one does not boot.
    """

    def __init__(self, count: int, environment: Mapping[str, str] | None = None) -> None:
        given = {"PATH": f"{Path(sys.executable).parent}:{_path()}", **(environment or {})}
        profile = "".join(f"export {name}='{value}'\n" for name, value in given.items())
        self.key = _PLACE / "key"
        self.all = [Host(number, self.key, profile) for number in range(1, count + 1)]
        self._undo = ExitStack()

    def __enter__(self) -> Hosts:
        """Boot all."""
        with ExitStack() as undo:
            _PLACE.mkdir(parents=True, exist_ok=True)
            lock = undo.enter_context((_PLACE / "lock").open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RuntimeError(
                    f"Expected to be the only session with hosts on this machine, but another holds {_PLACE}/lock."
                ) from None
            _clear()
            undo.callback(_clear)
            make_key(self.key)
            _ip("link", "add", _BRIDGE, "type", "bridge")
            for address in (GATEWAY, SERVICES):
                _ip("addr", "add", f"{address}/24", "dev", _BRIDGE)
            _ip("link", "set", _BRIDGE, "up")
            for host in self.all:
                undo.callback(host.power_off)
                host.power_on()
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Switch off and remove everything."""
        self._undo.close()


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Wait for something to hold, so long at most; whether it does."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def make_key(file: Path) -> None:
    """A key pair for SSH without a passphrase, new if there was one."""
    file.unlink(missing_ok=True)
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "huetune-hosts", "-f", str(file)]
    subprocess.run(made, check=True, stdin=subprocess.DEVNULL)


def _clear() -> None:
    """Remove hosts, bridge and files, of this session or of one that was killed."""
    for line in _ip("netns", "list").stdout.splitlines():
        name = line.split()[0]
        if name.startswith(_HOST):
            number = int(name.removeprefix(f"{_HOST}-"))
            Host(number, _PLACE / "key", "").power_off()
    _ip("link", "del", _BRIDGE, check=False)
    for found in _PLACE.iterdir():
        if found.is_dir():
            _remove(found)
        elif found.name != "lock":  # held by this session; without it two could clear at once
            found.unlink()


def _remove(folder: Path) -> None:
    """Remove a folder of a host, with all that is in it; never what a host has mounted there."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    if inside := [place for place in mounted if Path(place).is_relative_to(folder)]:
        raise RuntimeError(f"Expected nothing to be mounted in {folder}, found {inside}. Unmount it first.")
    shutil.rmtree(folder, ignore_errors=True)


def _seen() -> set[Path]:
    """What every host has to see, wherever it lies."""
    return {REPOSITORY, Path(sys.prefix), Path(sys.base_prefix)}


def _ip(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    made = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if check and made.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)} failed: {made.stderr.strip()}")
    return made


def _path() -> str:
    """Administrators' tools are not on everybody's PATH."""
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
