"""The machines of a cluster: joining it, waiting for those it was promised, and trials that fit on none of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import yaml  # type: ignore[import-untyped]
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from rich.console import Console

from search.errors import RunError
from search.run_folder import RunFolder

# What `ray up` leaves on the head: the cluster file, completed.
_CLUSTER_FILE = Path("~/ray_bootstrap_config.yaml")
_PATIENCE_SECONDS, _WORD_SECONDS = 300.0, 15.0
# Names by which machines are told apart, not what trials ask for.
_MARKS = ("node:", "accelerator_type:", "object_store_memory", "memory")

Resources = Mapping[str, float]


@dataclass(frozen=True)
class NodeType:
    """A kind of machine that a cluster may have.

    Attributes:
        name: in the cluster file.
        resources: of one: "CPU", "GPU" and others by name.
        least: how many there always are.
        most: how many there can be.
    """

    name: str
    resources: Resources
    least: int
    most: int


def connect() -> None:
    """Join the Ray cluster this process belongs to, or start a local one; nothing if that was done before."""
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)


def wait_for_nodes(
    asked: Sequence[Resources],
    console: Console,
    *,
    cluster_file: Path = _CLUSTER_FILE,
    patience: float = _PATIENCE_SECONDS,
) -> None:
    """Wait until the machines are there that the cluster always has, and say what is waited for.

    A cluster that grows by need is not waited for: its machines come when trials ask for them.

    Args:
        asked: what a trial takes, a mapping for each part of it that has to be on one machine.
        console: where to say it.
        cluster_file: what `ray up` made this cluster from; none where it was made otherwise.
        patience: in seconds; then the search begins on the machines that are there.

    Raises:
        RunError: no machine that is there or can come holds a trial.
    """
    types = _types(cluster_file.expanduser())
    _check_fit(asked, types)
    promised = sum(kind.least for kind in types)
    began, said = time.monotonic(), -_WORD_SECONDS
    while (here := len(_machines()) - 1) < promised:  # the head is none of the promised
        now = time.monotonic()
        if now - began > patience:
            console.print(
                f"{here} of {promised} machines have come in {patience:.0f} s; the search begins on these."
                " Others join when they come. Why they do not: ray status",
                style="yellow",
            )
            return
        if now - began - said >= _WORD_SECONDS:
            console.print(f"Waiting for machines: {here} of {promised} are here, {now - began:.0f} s.", style="dim")
            said = now - began
        time.sleep(1)
    if not any(_holds(machine, asked) for machine in _machines()):
        able = [f"{kind.name} ({_told(kind.resources)}), up to {kind.most}" for kind in _able(types, asked)]
        console.print(
            f"No machine here holds a trial yet; one comes as trials ask for it: {'; '.join(able)}.", style="dim"
        )


def check_seen_everywhere(folder: RunFolder) -> None:
    """Look from every machine that trials may run on whether the folder of a run is there.

    Raises:
        RunError: it is not: a run on the disk of one machine cannot have trials on others.
    """
    here = ray.get_runtime_context().get_node_id()
    others = [n for n in ray.nodes() if n["Alive"] and n["NodeID"] != here and _useful(n["Resources"])]
    if not folder.is_local or not others:
        return

    def seen(path: str) -> bool:
        return Path(path).exists()

    look = ray.remote(seen)
    for node in others:
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        if not ray.get(look.options(num_cpus=0, scheduling_strategy=there).remote(folder.definition)):
            raise RunError(
                f"Expected storage that every machine of the cluster sees, but {folder.address!r} lies on the disk of"
                f" this one, and {node['NodeManagerAddress']} does not see it. Give --storage an address such as"
                " s3://bucket/runs, or a folder that all machines mount."
            )


def _check_fit(asked: Sequence[Resources], types: Sequence[NodeType]) -> None:
    machines = _machines()
    if any(_holds(machine, asked) for machine in machines) or _able(types, asked):
        return
    known = [_told(machine) for machine in machines if _useful(machine)]
    known += [f"{_told(kind.resources)} ({kind.name})" for kind in types if kind.most]
    raise RunError(
        f"Expected trials that fit on a machine, but one asks for {' + '.join(map(_told, asked))}, and the machines"
        f" have: {'; '.join(dict.fromkeys(known)) or 'nothing for trials'}. Lower Search(resources=...), or add such a"
        " machine to the cluster."
    )


def _types(cluster_file: Path) -> list[NodeType]:
    """The kinds of workers in the cluster file; none where there is no such file."""
    try:
        cluster = yaml.safe_load(cluster_file.read_text())
        kinds, head = cluster["available_node_types"], cluster["head_node_type"]
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return []
    return [
        NodeType(name, kind.get("resources") or {}, int(kind.get("min_workers") or 0), _most(kind, cluster))
        for name, kind in kinds.items()
        if name != head or kind.get("max_workers")
    ]


def _most(kind: Mapping[str, Any], cluster: Mapping[str, Any]) -> int:
    most = kind.get("max_workers")
    return int(most if most is not None else cluster.get("max_workers") or 0)


def _machines() -> list[Resources]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _holds(machine: Resources, asked: Sequence[Resources]) -> bool:
    """Whether each part fits; parts may be on different machines, so that they do not add up."""
    return all(machine.get(name, 0) >= amount for part in asked for name, amount in part.items())


def _able(types: Sequence[NodeType], asked: Sequence[Resources]) -> list[NodeType]:
    # A kind that does not say what it has is found out about when one has come.
    return [kind for kind in types if kind.most and (not kind.resources or _holds(kind.resources, asked))]


def _useful(machine: Resources) -> bool:
    return bool(machine.get("CPU") or machine.get("GPU"))


def _told(resources: Resources) -> str:
    shown = {name: amount for name, amount in resources.items() if not name.startswith(_MARKS)}
    return ", ".join(f"{name} {amount:g}" for name, amount in sorted(shown.items())) or "nothing"
