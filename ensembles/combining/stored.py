"""Rules that combine, as JSON and arrays, and back. A kind is looked up here and nowhere else."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from ensembles.combining.combiner import Array, Combiner, State

# Named, not imported: some bring PyTorch with them.
_KINDS = {
    "weights": "combiner:Weighted",
    "confidence": "confidence:ByConfidence",
    "colour votes": "votes:ColourVotes",
    "colour majority": "votes:ColourMajority",
    "class votes": "classes:ClassVotes",
    "medoid": "medoid:NearestMember",
    "median": "medoid:MedianValue",
    "linear": "stacking:Linear",
    "convolution": "convolution:Convolved",
    "vivid": "vivid:VividBlend",
}


def describe(rule: Combiner) -> State:
    """What `restored` makes an equal rule of. Raises `ValueError` for a rule that cannot be stored."""
    narrowed = rule.narrowed()
    settings, arrays = narrowed.state()
    if narrowed.kind not in _KINDS:
        raise ValueError(f"Expected a rule of a kind that can be stored ({', '.join(_KINDS)}), got {narrowed.kind!r}.")
    return {"kind": narrowed.kind, "settings": settings}, arrays


def restored(described: Any, arrays: Mapping[str, Array]) -> Combiner:
    """The rule that was described. Raises `ValueError` where the description is not that of a rule."""
    kind = described.get("kind") if isinstance(described, dict) else None
    if kind not in _KINDS:
        raise ValueError(f"expected a rule of one of the kinds {', '.join(_KINDS)}, got {kind!r}")
    module, name = _KINDS[kind].split(":")
    rule_class: type[Combiner] = getattr(importlib.import_module(f"ensembles.combining.{module}"), name)
    try:
        return rule_class.restore(described["settings"], arrays)
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"expected the rule {kind!r} to be whole; {type(error).__name__}: {error}") from error
