"""A figure of the report and what stands around it, made from one moment of a run: the one form that pages, exports
and notebooks share."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from search.report.tables.snapshot import Snapshot


@dataclass(frozen=True)
class Drawn:
    """A figure, its caption (HTML), and what it shows, for who does not see it."""

    figure: go.Figure
    caption: str
    description: str


@dataclass(frozen=True)
class Chart:
    """One figure of a report.

    Attributes:
        name: of the figure wherever it goes: its id on the page, its file, its function in notebooks.
        title: its heading.
        table: what it shows, as a small table. Raises `NothingToShow` where there is nothing to see.
        draw: the figure of that table.
        css: classes of its card; "wide" for one that is swiped sideways on a narrow screen.
        level: of its heading.
    """

    name: str
    title: str
    table: Callable[[Snapshot], pd.DataFrame]
    draw: Callable[[pd.DataFrame, Snapshot], Drawn]
    css: str = "card"
    level: int = 3

    def drawn(self, snap: Snapshot) -> Drawn:
        """The figure of a moment. Raises `NothingToShow`."""
        return self.draw(self.table(snap), snap)
