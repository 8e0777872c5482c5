"""Plotly figures from small tables; and, for notebooks, every figure of a report from a run.

    from search.report import figures

    figures.learning_curves("runs/quick")

Each figure of the report is a function of its name here. It takes a run, as `Results` or as a path, and raises
`NothingToShow` where the figure would say nothing. `names` lists the figures of a run, `figure` draws one by name.
"""

from importlib.util import find_spec
from typing import Any


def __getattr__(name: str) -> Any:
    # Modules of this package are none of our figures, and what imports them must not wait for all of them.
    if name.startswith("_") or find_spec(f"{__name__}.{name}") is not None:
        raise AttributeError(name)
    from search.report import notebook

    return getattr(notebook, name) if name in ("figure", "names") else notebook.function(name)


def __dir__() -> list[str]:
    from search.report.catalogue import COMPARED, FIXED

    charts = {chart.name for chart in FIXED} | {chart.name for chart in COMPARED}
    return sorted({*globals(), *charts, "figure", "names"})
