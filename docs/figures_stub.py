"""Writes what editors know of `search.report.figures`: a function for every figure of the catalogue.

python docs/figures_stub.py
"""

from pathlib import Path

from search.report import figures
from search.report.catalogue import COMPARED, FIXED

STUB = Path(figures.__file__).with_suffix(".pyi")
HEAD = '''"""Written by docs/figures_stub.py from the catalogue of figures."""

import os
from collections.abc import Sequence

import plotly.graph_objects as go

from search.report.tables.snapshot import RunReader

Run = RunReader | str | os.PathLike[str]

def names(run: Run) -> list[str]:
    """The names of all figures of a run, those of its own parameters with them, in the order of the report."""

def figure(run: Run, name: str) -> go.Figure:
    """The figure of that name, such as "slice_lr_g"; `names` lists them."""
'''


def stub() -> str:
    """The text of the stub."""
    parts = [HEAD]
    for argument, charts in (("run: Run", FIXED), ("runs: Sequence[Run]", COMPARED)):
        parts += [f'def {chart.name}({argument}) -> go.Figure:\n    """{chart.title}."""\n' for chart in charts]
    return "\n".join(parts)


if __name__ == "__main__":
    STUB.write_text(stub(), encoding="utf-8")
