"""Checks of the commands that set machines up and start Ray on them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from search.cluster.up_finding import Finding, error, warning

_HEAD, _WORKER = "head_start_ray_commands", "worker_start_ray_commands"
_HERE = {"127.0.0.1", "localhost", "::1"}


def check(given: dict[str, Any], config: dict[str, Any]) -> Iterator[Finding]:
    """What is wrong with the commands: `given` has those of the file, `config` with Ray's own where it has none."""
    yield from _set_up(given, config)
    head = _start(config, _HEAD, "--head")
    worker = _start(config, _WORKER, "--address")
    for name, found, option in ((_HEAD, head, "--head"), (_WORKER, worker, "--address=$RAY_HEAD_IP:6379")):
        if found is None:
            yield error((name,), f"Expected a command `ray start {option}` in {name}, found none. Add it.")
        else:
            yield from _token(given, name, *found)
    if head:
        yield from _head(*head)
    if head and worker:
        yield from _same_port(head[1], *worker)


def _start(config: dict[str, Any], name: str, option: str) -> tuple[int, str] | None:
    for index, command in enumerate(config[name]):
        if "ray start" in command and option in command:
            return index, command
    return None


def _token(given: dict[str, Any], name: str, index: int, command: str) -> Iterator[Finding]:
    before = [*given.get("setup_commands", []), *given.get(name, [])[:index]]
    if not any("RAY_AUTH_MODE=token" in text for text in (command, *before)):
        yield error(
            (name, index),
            "Expected RAY_AUTH_MODE=token before `ray start`, found none: whoever reaches a port of this cluster could"
            " run code on it. Put `export RAY_AUTH_MODE=token;` before it.",
        )


def _head(index: int, command: str) -> Iterator[Finding]:
    path = (_HEAD, index)
    host = re.search(r"--dashboard-host[= ](\S+)", command)
    if host and host[1] not in _HERE:
        yield error(
            path,
            f"Expected the dashboard on 127.0.0.1, got --dashboard-host={host[1]}, open to the network."
            " Change it; `ray dashboard` makes a tunnel to it.",
        )
    if "--autoscaling-config=~/ray_bootstrap_config.yaml" not in command:
        yield error(
            path,
            "Expected --autoscaling-config=~/ray_bootstrap_config.yaml, found none: no worker would ever be started."
            " Add it to `ray start --head`.",
        )
    if "RAY_health_check_period_ms" not in command:
        yield warning(
            path,
            "Expected health checks by the second, found Ray's own: a machine that is gone is noticed after 15 to 63"
            " seconds. Copy the RAY_health_check_ settings from huetune's cluster.yaml.",
        )


def _same_port(head_command: str, index: int, command: str) -> Iterator[Finding]:
    port = re.search(r"--port[= ](\d+)", head_command)
    expected = f"--address=$RAY_HEAD_IP:{port[1] if port else 6379}"
    found = re.search(r"--address[= ]\S+", command)
    if found and found[0].replace(" ", "=") != expected:
        yield error(
            (_WORKER, index),
            f"Expected {expected}, where the head listens, got {found[0]}. Change it, or the head's --port.",
        )


def _set_up(given: dict[str, Any], config: dict[str, Any]) -> Iterator[Finding]:
    lists = {name: given.get(name, []) for name in ("setup_commands", "head_setup_commands", "worker_setup_commands")}
    for name, commands in lists.items():
        for index, command in enumerate(commands):
            if "pip install" in command and not re.search(r"==|(^| )(-c|-r|--constraint|--requirement)[= ]", command):
                yield warning(
                    (name, index),
                    "Expected pinned versions, got a pip install without any: machines that start next week would have"
                    " others. Add `--constraint ~/huetune/constraints.txt`.",
                )
    if not any(lists.values()) and config["setup_commands"]:
        yield error(
            ("setup_commands",),
            "Expected setup_commands that install huetune, found none: Ray's own install a nightly build of Ray."
            " Copy those of huetune's cluster.yaml.",
        )
