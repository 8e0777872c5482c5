"""Checks of a cluster file for machines of one's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from search.cluster.up_finding import Finding, error, one_of, warning

_KEYS = {
    "type",
    "head_ip",
    "worker_ips",
    "external_head_ip",
    "coordinator_address",
    "use_internal_ips",
    "disable_node_updaters",
}


def shape(given: dict[str, Any]) -> Iterator[Finding]:
    """What Ray would stop at with a panic: which keys there have to be, and which there must not."""
    provider = given["provider"]
    for key in ("head_ip", "worker_ips"):
        if key not in provider and "coordinator_address" not in provider:
            yield error(("provider",), f"Expected {key} for machines of one's own, found none. Add it below provider.")
    for index, address in enumerate(provider.get("worker_ips", [])):
        if not isinstance(address, str):
            yield error(("provider", "worker_ips", index), f"Expected an address, got {address!r}. Mend it.")
    for key in ("available_node_types", "head_node_type"):
        if given.get(key):
            yield error((key,), f"Expected no {key}: machines of one's own are all of one type to Ray. Remove it.")


def check(config: dict[str, Any]) -> Iterator[Finding]:
    """What is wrong with the addresses, the user and the way `ray up` would go."""
    provider = config["provider"]
    for key in sorted(provider.keys() - _KEYS):
        yield error(("provider", key), f"Unknown key {key!r}, which Ray would ignore. {one_of(_KEYS, key)}")
    addresses = provider.get("worker_ips", [])
    seen = {provider.get("head_ip")}
    for index, address in enumerate(addresses):
        if address in seen:
            yield error(
                ("provider", "worker_ips", index),
                f"Expected every machine once, got {address!r} again. Remove it: the head is no worker as well.",
            )
        seen.add(address)
    (node_type,) = config["available_node_types"].values()
    wanted, most = node_type["min_workers"], config["max_workers"]
    if most < wanted:
        yield error(
            ("max_workers",),
            f"Expected max_workers of {wanted}, one for each of worker_ips, got {most}."
            " Remove the line, and Ray takes all of them.",
        )
    if "ssh_user" not in config["auth"]:
        yield error(("auth",), "Expected auth.ssh_user, the user of these machines, found none. Add it.")
    if "ssh_private_key" not in config["auth"]:
        yield error(
            ("auth",),
            "Expected auth.ssh_private_key, found none: the head reaches the other machines with it."
            " Add the path of a key.",
        )
    if os.environ.get("RAY_UP_enable_autoscaler_v2") != "0":  # noqa: SIM112, the name is Ray's
        yield warning(
            ("provider", "type"),
            "Expected RAY_UP_enable_autoscaler_v2=0 in the environment: without it Ray starts one worker too few and"
            " waits for ever. Type `export RAY_UP_enable_autoscaler_v2=0` before `ray up`.",
        )
