"""What every benchmark shares: its options, the machine it ran on, intervals, the table and the JSON file.

Needs numpy alone, so that benchmarks of the networks run on a machine that has little but torch.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

Row = dict[str, Any]

# Python looks first where a script lies, and there `ensembles.py` would be taken for the package that it measures.
_HERE = str(Path(__file__).parent)
if _HERE in sys.path:
    sys.path.remove(_HERE)
    with suppress(ModuleNotFoundError):
        importlib.import_module("ensembles")
    sys.path.insert(0, _HERE)


def arguments(description: str | None) -> argparse.Namespace:
    """`--quick` for a rough figure in little time, `--json FILE` for the record."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="less of everything, for a rough figure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    return parser.parse_args()


def drawings_arguments(description: str | None, seeds: Sequence[int] = (0,)) -> argparse.Namespace:
    """Those of `arguments`, with folders of real drawings and the seeds of searches on them."""
    return drawings_parser(description, seeds).parse_args()


def drawings_parser(description: str | None, seeds: Sequence[int]) -> argparse.ArgumentParser:
    """What reads the arguments of `drawings_arguments`, for a benchmark that has more."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n", 1)[0])
    parser.add_argument("colors", type=Path, metavar="COLOR_DIR")
    parser.add_argument("lines", type=Path, metavar="LINE_DIR")
    parser.add_argument("--quick", action="store_true", help="less of everything, for a rough figure")
    parser.add_argument("--seeds", type=int, nargs="+", default=[*seeds], help="of what is repeated, one after another")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    return parser


def machine() -> Row:
    """The machine and the versions a figure belongs to."""
    found: Row = {"cpu": _cpu(), "cores": os.cpu_count(), "python": platform.python_version()}
    for package in ("ray", "optuna", "torch", "numpy"):
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def interval(
    values: Sequence[float] | np.ndarray,
    statistic: Callable[..., Any] = np.mean,
    level: float = 0.95,
    repeats: int = 2000,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic that takes `axis` (Efron and Tibshirani 1993)."""
    samples = np.asarray(values)
    drawn = np.random.default_rng(0).integers(0, len(samples), (repeats, len(samples)))
    low, high = np.quantile(statistic(samples[drawn], axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def finish(options: argparse.Namespace, rows: list[Row], summary: Row) -> None:
    """Print the table and, where asked for, write {"machine", "rows", "summary"}."""
    about = machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    table = [[str(name) for name in rows[0]], *([_short(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))
    print(json.dumps(summary, indent=1))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"machine": about, "rows": rows, "summary": summary}, indent=1) + "\n")


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
