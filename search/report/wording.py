"""How numbers, durations, names and configurations are written in a report. Knows nothing of runs or figures."""

import json
import math
from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any

import numpy as np

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"
UNITS = {"psnr": "dB", "snr": "dB", "ciede2000": "ΔE"}
NAMES = {"ciede2000": "CIEDE2000", "ms_per_example": "ms an example"}
ACRONYMS = {"psnr", "snr", "ssim", "mse", "rmse", "mae", "auc", "fid", "iou", "map", "lpips", "nll", "bleu"}


def metric_name(metric: str) -> str:
    """The name a reader expects: "psnr" becomes "PSNR", "val_accuracy" becomes "val accuracy"."""
    if metric in NAMES:
        return NAMES[metric]
    words = metric.replace("_", " ").split(" ")
    return " ".join(word.upper() if word.lower() in ACRONYMS else word for word in words)


def metric_unit(metric: str) -> str:
    """The unit of a metric whose name says it ("psnr" is in dB), or an empty string."""
    return UNITS.get(metric.lower().removeprefix("val_").removeprefix("test_"), "")


def method_name(method: object) -> str:
    """ "best_single" -> "best single"."""
    return str(method).replace("_", " ")


def number(value: float | None, digits: int = 4, sign: bool = False) -> str:
    """A number with `digits` significant digits, thousands separated, and a true minus; a dash where there is none.

    >>> number(19.41873), number(0.0000321), number(12345678), number(None)
    ('19.42', '3.21e-5', '12,345,678', '–')
    """
    if value is None or not math.isfinite(value):
        return DASH
    size = abs(value)
    if size and (size < 1e-3 or size >= 1e7) and not (float(value).is_integer() and size < 1e9):
        mantissa, exponent = f"{size:.{digits - 1}e}".split("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    elif isinstance(value, Integral) or (float(value).is_integer() and size >= 10**digits):
        text = f"{int(size):,}"
    else:
        magnitude = math.floor(math.log10(size)) if size else 0
        text = f"{size:,.{max(0, digits - 1 - magnitude)}f}"
    prefix = MINUS if value < 0 else "+" if sign and value > 0 else ""
    return prefix + text


def plain(value: float | None, digits: int = 4) -> str:
    """Like `number`, without trailing zeros: for parameter values and the ends of ranges."""
    text = number(value, digits)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def decimals(values: Iterable[float]) -> int:
    """How many decimals a column of such values deserves: 3 significant digits of its largest, 4 from 10 on."""
    largest = max((abs(v) for v in values if math.isfinite(v)), default=0.0)
    magnitude = math.floor(math.log10(largest)) if largest else 0
    return min(9, max(0, (3 if largest >= 10 else 2) - magnitude))


def fixed(value: float, places: int, sign: bool = False) -> str:
    """A number with so many decimals, for columns whose decimal points stand under each other."""
    if not math.isfinite(value):
        return DASH
    rounded = round(value, places)
    return (MINUS if rounded < 0 else "+" if sign and rounded > 0 else "") + f"{abs(rounded):,.{places}f}"


def capital(text: str) -> str:
    """The text with a capital at its start, as a heading wants it."""
    return text[:1].upper() + text[1:]


def with_unit(text: str, unit: str) -> str:
    """The text and its unit, kept on one line."""
    return f"{text}\N{NO-BREAK SPACE}{unit}" if unit and text != DASH else text


def count(n: int, one: str, many: str | None = None) -> str:
    """A number of things: "1 trial", "1,200 trials"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def duration(seconds: float | None) -> str:
    """A time span in the units that matter: "8.4 s", "2 min 11 s", "47 min", "1 h 12 min", "2 d 3 h"."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return DASH
    if seconds < 99.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < 600:
        return _two(whole, 60, "min", "s")
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return _two(minutes, 60, "h", "min") if minutes < 48 * 60 else _two(round(minutes / 60), 24, "d", "h")


def time_unit(seconds: float) -> tuple[str, float]:
    """The unit in which a span of time is read, and how many seconds it has."""
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return unit, size
    return "seconds", 1.0


def _two(amount: int, base: int, large: str, small: str) -> str:
    high, low = divmod(amount, base)
    return f"{high} {large} {low} {small}" if low else f"{high} {large}"


def native(value: Any) -> Any:
    """A NumPy, Arrow or pandas value as the plain Python value that means the same; missing values become None."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, np.ndarray | list | tuple):
        return [native(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): native(item) for key, item in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    return value


def literal(value: Any) -> str:
    """The value as Python source, so that it can be copied: exact floats, quoted strings."""
    value = native(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    return repr(value)


def label(value: Any, longest: int = 28) -> str:
    """The value for a tick or a cell: strings without quotes, floats rounded, long ones shortened."""
    value = native(value)
    if isinstance(value, str):
        text = value
    elif isinstance(value, float):
        text = plain(value, 3 if abs(value) < 100 else 5)
    elif isinstance(value, int) and not isinstance(value, bool):
        text = f"{MINUS if value < 0 else ''}{abs(value):,}"
    else:
        text = literal(value)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def python_config(config: Mapping[str, Any]) -> str:
    """A configuration as Python source; names joined by "/" become nested dicts again."""
    return "config = " + _block(nested(config), indent=0)


def nested(config: Mapping[str, Any]) -> dict[str, Any]:
    """{"a/b": 1, "c": 2} -> {"a": {"b": 1}, "c": 2}; a name that is also a group stays flat."""
    tree: dict[str, Any] = {}
    for name, value in config.items():
        *groups, leaf = name.split("/")
        level = tree
        for group in groups:
            below = level.setdefault(group, _Group())
            if not isinstance(below, _Group):
                level, leaf = tree, name
                break
            level = below
        level[leaf if leaf not in level else name] = value
    return tree


class _Group(dict[str, Any]):
    """A dict made from a joined name, told apart from a dict that is a parameter's value."""


def _block(tree: Mapping[str, Any], indent: int) -> str:
    if not tree:
        return "{}"
    pad = " " * (indent + 4)
    lines = [
        f"{pad}{literal(name)}: {_block(value, indent + 4) if isinstance(value, _Group) else literal(value)},"
        for name, value in tree.items()
    ]
    return "\n".join(["{", *lines, " " * indent + "}"])
