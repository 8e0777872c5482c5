"""A run's parameters: what each may be, where a value lies on its axis, and how it is written. No figures here."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import pandas as pd

from search.report.wording import label, literal, native, plain

PREFIX = "config."


SEED = "seed"


@dataclass(frozen=True)
class Parameter:
    """One dimension of a search.

    `kind` is "log" or "linear" for numbers in [low, high], "choice" for one of `choices`. `integer` numbers are
    whole. `varies` is False for a constant, or where every trial had the same value.
    """

    name: str
    kind: Literal["log", "linear", "choice"]
    low: float = 0.0
    high: float = 1.0
    integer: bool = False
    choices: tuple[Any, ...] = ()
    varies: bool = True

    def read(self, cell: Any) -> Any:
        """The Python value a cell of the trials table stands for; None where the trial did not have it.

        Parquet turns whole numbers with gaps into floats, lists into arrays, and mixed choices into text: each
        choice is found again by what it says.
        """
        value = native(cell)
        if isinstance(value, float) and math.isnan(value):
            value = None
        if self.kind != "choice":
            if not _is_number(value):
                return None
            return int(value) if self.integer and float(value).is_integer() else float(value)
        index = self._index(value)
        return value if index is None else self.choices[index]

    def has(self, value: Any) -> bool:
        """Whether a value read from a trial is one, not a gap: None only counts where it is a choice."""
        return value is not None or (self.kind == "choice" and self._index(None) is not None)

    def position(self, value: Any) -> float:
        """Where a value lies between the ends of the axis, 0 to 1; NaN for a gap. A log axis is one here too."""
        if not self.has(value):
            return math.nan
        if self.kind == "choice":
            index = self._index(value)
            steps = len(self.choices) - 1
            return math.nan if index is None else index / steps if steps else 0.5
        low, high, at = self.low, self.high, float(value)
        if self.kind == "log":
            if at <= 0:
                return math.nan
            low, high, at = math.log(low), math.log(high), math.log(at)
        return (at - low) / (high - low) if high > low else 0.5

    def label(self, value: Any) -> str:
        """The value as a reader wants it, "not set" for a gap."""
        return label(value) if self.has(value) else "not set"

    def ticks(self) -> list[tuple[float, str]]:
        """Places on the axis, 0 to 1, that deserve a label."""
        if self.kind == "choice":
            every = max(1, math.ceil(len(self.choices) / 12))
            return [(self.position(c), label(c, 18)) for c in self.choices[::every]]
        inner = [value for value in self._round_values() if 0.12 < self.position(value) < 0.88]
        return [(self.position(v), plain(v, 3)) for v in [self.low, *inner, self.high]]

    def _round_values(self) -> list[float]:
        """Values a reader would put on the axis: powers of ten, or 1-2-5 on a short log axis; the middle of a
        linear one."""
        if self.kind == "log":
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1,) if self.high / self.low > 90 else (1, 2, 5) if self.high / self.low >= 5 else ()
            return [step * 10.0**power for power in powers for step in steps]
        if self.integer and self.high - self.low <= 6:
            return [float(value) for value in range(int(self.low), int(self.high) + 1)]
        middle = (self.low + self.high) / 2
        return [float(round(middle)) if self.integer else middle]

    def _index(self, value: Any) -> int | None:
        index = self._by_key.get(_key(value))
        return self._by_text.get(value) if index is None and isinstance(value, str) else index

    @cached_property
    def _by_key(self) -> dict[str, int]:
        return {_key(choice): index for index, choice in reversed(list(enumerate(self.choices)))}

    @cached_property
    def _by_text(self) -> dict[str, int]:
        return {text: i for i, choice in reversed(list(enumerate(self.choices))) for text in _spellings(choice)}


def read_parameters(space: Mapping[str, Any], trials: pd.DataFrame) -> list[Parameter]:
    """The parameters of a run, in the order of its space; those only its trials know (define by run) come after."""
    specs = dict(_flatten(space))
    columns = [str(c).removeprefix(PREFIX) for c in trials.columns if str(c).startswith(PREFIX)]
    names = list(dict.fromkeys([*specs, *columns]))
    found = []
    for name in names:
        cells = [native(c) for c in trials[PREFIX + name]] if name in columns else []
        found.append(_parameter(name, specs.get(name, {}), cells))
        if name == SEED and name not in specs:  # every trial is given one; it says nothing about the space
            found[-1] = replace(found[-1], varies=False)
    return found


def with_dict_choices(space: Mapping[str, Any], trials: pd.DataFrame) -> pd.DataFrame:
    """The trials with one column for every choice among dicts, in place of the columns of those dicts' own entries.

    The whole configuration of a trial, JSON in the column `config`, says which of the dicts it was.
    """
    if "config" not in trials:
        return trials
    for name, spec in _flatten(space):
        values = spec.get("values")
        if not (isinstance(values, list) and any(isinstance(value, Mapping) for value in values)):
            continue
        parts = [column for column in trials.columns if str(column).startswith(f"{PREFIX}{name}/")]
        cells = pd.Series([_entry(config, name) for config in trials["config"]], trials.index, dtype=object)
        trials = trials.drop(columns=parts).assign(**{PREFIX + name: cells})
    return trials


def config_of(parameters: Sequence[Parameter], row: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of one trial, gaps left out."""
    values = {p.name: p.read(row.get(PREFIX + p.name)) for p in parameters if PREFIX + p.name in row}
    return {p.name: values[p.name] for p in parameters if p.name in values and p.has(values[p.name])}


def _entry(config: Any, name: str) -> Any:
    value = json.loads(config) if isinstance(config, str) else config
    for part in name.split("/"):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _parameter(name: str, spec: Mapping[str, Any], cells: list[Any]) -> Parameter:
    kind = str(spec.get("type", "")).lower()
    present = [c for c in cells if c is not None and not (isinstance(c, float) and math.isnan(c))]
    if "values" in spec or kind in ("choice", "grid_search", "constant") or not _all_numbers(present, spec):
        told = spec.get("values", [spec["value"]] if "value" in spec else [])
        choices = _distinct([*map(native, told), *present])
        return Parameter(name, "choice", choices=choices, varies=len(choices) > 1)
    whole = "int" in kind or (not kind and all(float(c).is_integer() for c in present))
    seen = [float(c) for c in present if math.isfinite(c)]
    ends = [float(spec[end]) for end in ("low", "lower", "high", "upper") if _is_number(spec.get(end))]
    low, high = min([*ends, *seen], default=0.0), max([*ends, *seen], default=1.0)
    log = low > 0 and ("log" in kind or (not kind and high / low >= 100))
    return Parameter(name, "log" if log else "linear", low, high, whole, varies=len(ends) == 2 or low < high)


def _flatten(space: Mapping[str, Any], above: str = "") -> Iterable[tuple[str, Mapping[str, Any]]]:
    for name, spec in space.items():
        if isinstance(spec, Mapping) and isinstance(spec.get("type"), str):
            yield above + str(name), spec
        elif isinstance(spec, Mapping):
            yield from _flatten(spec, f"{above}{name}/")
        else:
            yield above + str(name), {"type": "constant", "value": spec}


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    """The different values, in order. Text that says what a choice before it is (JSON of a list) is that choice."""
    known: dict[str, Any] = {}
    spelled: set[str] = set()
    for value in values:
        key = _key(value)
        if key not in known and not (isinstance(value, str) and value in spelled):
            known[key] = value
            spelled.update(_spellings(value))
    return tuple(known.values())


def _spellings(value: Any) -> set[str]:
    """What a value looks like where a mixed column had to be written as text."""
    return {json.dumps(value, default=str), repr(value), str(value), literal(value)}


def _key(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True, default=str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _all_numbers(present: list[Any], spec: Mapping[str, Any]) -> bool:
    if not present:
        return bool(spec)
    return all(_is_number(value) for value in present)
