"""What EC2 takes when it is asked for a machine, by the model that botocore ships. No network."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from search.cluster.up_finding import Finding, error, one_of
from search.cluster.yaml_lines import KeyPath

# Ray adds these two when it asks.
_ADDED_BY_RAY = {"MinCount", "MaxCount"}
_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
}
_WORDS = {
    "structure": "keys with values",
    "map": "keys with values",
    "list": "a list",
    "string": "text",
    "integer": "a whole number",
    "long": "a whole number",
    "float": "a number",
    "double": "a number",
    "boolean": "true or false",
}


def available() -> bool:
    """Whether botocore is installed; it comes with the extra huetune[aws]."""
    return find_spec("botocore") is not None


def regions() -> frozenset[str]:
    """Every region that has EC2, in all partitions of AWS; none without botocore."""
    return _regions() if available() else frozenset()


def faults(node_config: dict[str, Any], path: KeyPath) -> Iterator[Finding]:
    """What EC2's RunInstances would refuse: unknown or missing keys, wrong types, values that are none of its own.

    botocore's own validator has no eye for the last; it would pass a market of the name "spott". Nothing is found where
    botocore is missing.
    """
    if available():
        yield from _faults(node_config, _run_instances(), path, missing_is_fine=_ADDED_BY_RAY)


def _session() -> Any:
    from botocore.session import Session

    return Session()


@cache
def _regions() -> frozenset[str]:
    session = _session()
    partitions = session.get_available_partitions()
    return frozenset(name for p in partitions for name in session.get_available_regions("ec2", p))


@cache
def _run_instances() -> Any:
    return _session().get_service_model("ec2").operation_model("RunInstances").input_shape


def _faults(
    value: Any, shape: Any, path: KeyPath, missing_is_fine: frozenset[str] | set[str] = frozenset()
) -> Iterator[Finding]:
    kind, name = shape.type_name, path[-1]
    expected = _TYPES.get(kind)
    if expected and (not isinstance(value, expected) or (isinstance(value, bool) and kind != "boolean")):
        yield error(path, f"Expected {_WORDS[kind]} for {name}, got {value!r}. Change the value.")
    elif kind == "structure":
        for key in sorted(value.keys() - shape.members.keys(), key=str):
            yield error((*path, key), f"Unknown key {key!r}, which EC2 would refuse. {one_of(shape.members, key)}")
        for key in sorted(set(shape.required_members) - value.keys() - missing_is_fine):
            yield error(path, f"Expected {key} in {name}, found none. Add it.")
        for key in value.keys() & shape.members.keys():
            yield from _faults(value[key], shape.members[key], (*path, key))
    elif kind == "list":
        for index, item in enumerate(value):
            yield from _faults(item, shape.member, (*path, index))
    elif kind == "string" and shape.enum and value not in shape.enum:
        yield error(path, f"Expected {_what(shape, name)}, got {value!r}. {_which(shape, value)}")


def _what(shape: Any, name: str | int) -> str:
    return "a type of machine that EC2 has" if shape.name == "InstanceType" else f"a {name} that EC2 knows"


def _which(shape: Any, value: str) -> str:
    known = one_of(shape.enum, value)
    if shape.name != "InstanceType":
        return known
    guess = f"{known} " if known.startswith("Did") else ""
    return f"{guess}If it is newer than botocore {version('botocore')}: pip install --upgrade boto3."
