"""Every figure of a report by name, for notebooks, from a run or from several.

    from search.report import figures

    figures.learning_curves("runs/quick")

Each figure of the report is a function of its name here. It takes a run, as `Results` or as a path, and raises
`NothingToShow` where the figure would say nothing. `names` lists the figures of a run, `figure` draws one by name.
Editors know of them from figures.pyi.
"""

from typing import Any

from search.report import notebook
from search.report.catalogue import COMPARED, FIXED

figure, names = notebook.figure, notebook.names


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    return notebook.function(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *(chart.name for chart in (*FIXED, *COMPARED))})
