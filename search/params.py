"""Configurations as data: nested and flat, and as JSON holds them. Without Ray: whoever reads a run starts here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Params = dict[str, Any]


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a/b": 1}; a grid_search mark is a value, not a level."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping) and value and set(value) != {"grid_search"}:
            flat |= flatten(value, f"{prefix}{name}/")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def nest(flat: Mapping[str, Any]) -> Params:
    """{"a/b": 1} -> {"a": {"b": 1}}; the inverse of `flatten`."""
    nested: Params = {}
    for name, value in flat.items():
        *parents, leaf = name.split("/")
        level = nested
        for parent in parents:
            level = level.setdefault(parent, {})
        level[leaf] = value
    return nested


def as_data(value: Any) -> Any:
    """The value if JSON can hold it, else the text that names it."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        return repr(value)
