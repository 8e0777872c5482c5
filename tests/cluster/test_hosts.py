"""The hosts that tests of the cluster run on are machines of their own, and leave nothing behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import GATEWAY, Host, Hosts, missing, until

pytestmark = [pytest.mark.live, pytest.mark.skipif(missing() is not None, reason=str(missing()))]


@pytest.fixture
def hosts() -> Iterator[list[Host]]:
    with Hosts(2, {"COLOUR": "blue"}) as both:
        yield both.all


def test_hosts_share_a_network_and_nothing_else(hosts: list[Host]) -> None:
    one, other = hosts
    one.ssh("touch /tmp/here ~/here /dev/shm/here; setsid --fork sleep 1234 >/dev/null 2>&1")
    assert other.ssh("ls /tmp ~ /dev/shm").stdout.count("here") == 0
    assert len(one.processes("sleep 1234")) == 1
    assert "sleep" not in other.ssh("ps ax").stdout
    assert not other.processes("sleep 1234")
    assert not Path("/tmp/here").exists()
    reachable = f"timeout 3 bash -c '</dev/tcp/{one.address}/22'"
    assert other.ssh(reachable, check=False).returncode == 0
    assert other.ssh("hostname; echo $COLOUR").stdout.split() == [other.name, "blue"]


def test_a_host_without_power_loses_all_but_its_disk(hosts: list[Host]) -> None:
    host, _ = hosts
    host.ssh("echo mine > ~/kept; touch /tmp/lost; setsid --fork sleep 1234 >/dev/null 2>&1")
    host.power_off()
    assert not host.processes()
    assert host.ssh("true", check=False).returncode != 0
    host.power_on()
    assert host.ssh("cat ~/kept; ls /tmp").stdout == "mine\n"
    assert not host.processes("sleep")
    host.power_on(wiped=True)
    assert host.ssh("cat ~/kept", check=False).returncode != 0


def test_a_host_whose_cable_is_pulled_goes_on_alone(hosts: list[Host]) -> None:
    host, other = hosts
    host.ssh("setsid --fork sleep 1234 >/dev/null 2>&1")
    host.cut()
    assert host.ssh("true", check=False).returncode != 0
    assert host.processes("sleep 1234")
    assert other.ssh("true").returncode == 0
    host.mend()
    assert until(lambda: host.ssh("true", check=False).returncode == 0, 20)


def test_hosts_leave_nothing_and_clear_what_a_killed_session_left() -> None:
    def left() -> str:
        namespaces = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
        links = subprocess.run(["ip", "addr"], capture_output=True, text=True, check=True).stdout
        return "\n".join(line for line in (namespaces + links).splitlines() if "huetune" in line or GATEWAY in line)

    killed = "import os; from hosts import Hosts; Hosts(1).__enter__(); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", killed], cwd=Path(__file__).parent, check=False).returncode == -9
    assert "huetune" in left()
    with Hosts(1) as again:
        assert again.all[0].ssh("true").returncode == 0
    assert left() == ""


def test_two_sessions_are_not_at_work_at_once(hosts: list[Host]) -> None:
    with pytest.raises(RuntimeError, match="only session with hosts"), Hosts(1):
        pass
    assert hosts[0].ssh("true").returncode == 0
