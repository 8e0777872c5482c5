"""What a check of a cluster file finds."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from search.cluster.yaml_lines import KeyPath


@dataclass(frozen=True)
class Finding:
    """One thing to change, and the part of the file where it is."""

    severity: Literal["error", "warning"]
    path: KeyPath
    message: str


def error(path: KeyPath, message: str) -> Finding:
    """What keeps the cluster from working, or opens it to strangers."""
    return Finding("error", path, message)


def warning(path: KeyPath, message: str) -> Finding:
    """What works, and costs or risks more than it has to."""
    return Finding("warning", path, message)


def one_of(known: Iterable[str], given: object) -> str:
    """The known names in words, or the one that was probably meant."""
    names = sorted(known)
    if close := difflib.get_close_matches(str(given), names, n=1):
        return f"Did you mean {close[0]!r}?"
    return f"It is one of {', '.join(names)}." if len(names) <= 20 else "See Ray's documentation for what there is."
