"""Checks of the machines that a cluster file promises: how many of which type, and what they offer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from search.cluster.up_finding import Finding, error, warning

_LONG_IDLE = 60


def check(config: dict[str, Any]) -> Iterator[Finding]:
    """What is wrong with the counts, with the head, and with how long a machine may idle."""
    types: dict[str, dict[str, Any]] = config["available_node_types"]
    head, most = config["head_node_type"], config["max_workers"]
    workers = {name: node_type for name, node_type in types.items() if name != head}
    for name, node_type in workers.items():
        path = ("available_node_types", name)
        low, high = node_type["min_workers"], node_type["max_workers"]
        if low > high:
            yield error(
                (*path, "min_workers"),
                f"Expected min_workers <= max_workers of {name!r}, got {low} and {high}."
                " Raise max_workers, or lower this.",
            )
        elif high > most:
            yield warning(
                (*path, "max_workers"),
                f"Expected at most {most}, the max_workers of the whole cluster, got {high}: Ray stops at {most}."
                " Raise the cluster's, or lower this.",
            )
    promised = sum(node_type["min_workers"] for node_type in types.values())
    if promised > most:
        yield error(
            ("max_workers",),
            f"Expected max_workers of at least {promised}, the sum of every min_workers, got {most}. Raise it.",
        )
    if types[head]["max_workers"]:
        yield warning(
            ("available_node_types", head, "max_workers"),
            f"Expected no further machine of the head's type {head!r}, got up to {types[head]['max_workers']}. Set 0.",
        )
    yield from _work(types[head], workers, head, most)
    yield from _idling(config["idle_timeout_minutes"])


def _work(head_type: dict[str, Any], workers: dict[str, dict[str, Any]], head: str, most: int) -> Iterator[Finding]:
    on_head = head_type["resources"].get("CPU")
    if on_head != 0:
        yield warning(
            ("available_node_types", head, "resources"),
            f"Expected a head that runs no trial beside the driver, got CPU"
            f" {'as many as it has' if on_head is None else on_head}."
            " Set `resources: {CPU: 0}`.",
        )
    elif not most or not any(node_type["max_workers"] for node_type in workers.values()):
        yield error(
            ("max_workers",),
            "Expected some machine to run trials, but the head has no CPU for them and no worker may start."
            " Raise max_workers.",
        )


def _idling(minutes: float) -> Iterator[Finding]:
    if minutes > _LONG_IDLE:
        yield warning(
            ("idle_timeout_minutes",),
            f"Expected machines without work to go within an hour, got {minutes} minutes, all of them paid."
            " Set 10, or mean it.",
        )
    elif minutes == 0:
        yield warning(
            ("idle_timeout_minutes",),
            "Expected some minutes between trials, got 0: machines would go and come for every one. Set 10.",
        )
