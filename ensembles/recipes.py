"""The ways to combine by name, and which of them a build tries."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ensembles.combining.method import Method
from ensembles.members.averages import SWA
from ensembles.members.crew import BASE, FLIPS

BEST_SINGLE = "best_single"
SOUPS = "soups"

# Named, not imported: some bring PyTorch with them.
METHODS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    BEST_SINGLE: ("weighting:BestSingle", {}),
    "mean": ("weighting:Mean", {}),
    "median": ("medoid:Median", {}),
    "inverse_variance": ("weighting:InverseVariance", {}),
    "simplex": ("weighting:Simplex", {}),
    "simplex_log": ("weighting:SimplexLog", {}),
    "greedy": ("weighting:Greedy", {}),
    "bagged_greedy": ("weighting:BaggedGreedy", {}),
    "confidence": ("confidence:ConfidenceWeighted", {}),
    "votes": ("votes:Votes", {}),
    "majority": ("votes:Majority", {}),
    "medoid": ("medoid:Medoid", {"by": "pixel"}),
    "medoid_region": ("medoid:Medoid", {"by": "region"}),
    "hard_votes": ("classes:HardVotes", {}),
    "ridge": ("stacking:Ridge", {}),
    "nonnegative": ("stacking:Ridge", {"positive": True}),
    "convolution": ("convolution:Convolution", {}),
    "vivid": ("vivid:Vivid", {}),
}
SUFFIXES = {"flips": FLIPS, "swa": SWA}
USUAL = (
    *(BEST_SINGLE, "mean", "inverse_variance", "simplex", "simplex_log", "greedy", "bagged_greedy"),
    *("confidence", "votes", "hard_votes", "ridge", "vivid"),
    *("best_single_flips", "mean_flips", "simplex_log_flips", "ridge_flips", "vivid_flips"),
    *("best_single_swa", "mean_swa", "simplex_log_swa"),
)

_WITHOUT_RECIPE = ("soup", "greedy_soup", "stacked_", "blended_", "student")


@dataclass(frozen=True)
class Recipe:
    """A method, and the family of members that it combines."""

    name: str
    method: Method
    family: str


def recipes(names: Sequence[str] | str = "usual") -> list[Recipe]:
    """The recipes of these names, the best single model first and always.

    A name is that of a method, alone or with what it combines in place of the checkpoints: "mean_flips" is the mean of
    members whose flips are averaged, "mean_swa" that of averages of weights along each trial. "soups", averages of
    weights over trials, have no recipe: see `with_soups`.

    Args:
        names: "usual", "all", or names.

    Raises:
        ValueError: a name that is unknown.
    """
    if names == "all":
        names = [*METHODS, *(f"{method}_{suffix}" for suffix in SUFFIXES for method in METHODS)]
    elif names == "usual":
        names = USUAL
    elif isinstance(names, str):
        names = [names]
    return [_recipe(name) for name in dict.fromkeys((BEST_SINGLE, *names)) if name != SOUPS]


def with_shipped(wanted: Sequence[Recipe], ship: str | None) -> list[Recipe]:
    """The recipes, and that of what is to ship if it has one. Raises `ValueError` for a name that is unknown."""
    known = {recipe.name for recipe in wanted}
    if ship is None or ship in known or ship.startswith(_WITHOUT_RECIPE):
        return [*wanted]
    return [*wanted, _recipe(ship)]


def with_soups(names: Sequence[str] | str) -> bool:
    """Whether averages of weights over trials are asked for."""
    return names == "all" or SOUPS in ([names] if isinstance(names, str) else names)


def _recipe(name: str) -> Recipe:
    if name in METHODS:
        return Recipe(name, _method(name), BASE)
    method, _, suffix = name.rpartition("_")
    if method in METHODS and suffix in SUFFIXES:
        return Recipe(name, _method(method), SUFFIXES[suffix])
    known = [SOUPS, *METHODS, *(f"{method}_{suffix}" for method in METHODS for suffix in SUFFIXES)]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    raise ValueError(
        f"Expected the name of a method, got {name!r}. Did you mean {near!r}? Methods: {', '.join(METHODS)}, each also"
        f" with {' or '.join('_' + suffix for suffix in SUFFIXES)}; and {SOUPS}."
    )


def _method(name: str) -> Method:
    place, settings = METHODS[name]
    module, method = place.split(":")
    made: Method = getattr(importlib.import_module(f"ensembles.combining.{module}"), method)(**settings)
    return made
