"""The tables and figures of a report as files of their own, for those who want to compute with them or place them
elsewhere. Every file appears whole."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from plotly.offline import get_plotlyjs

from search.records import column
from search.report.catalogue import charts, comparisons
from search.report.chart import Chart, Drawn
from search.report.files import whole
from search.report.markup import esc
from search.report.plots.theme import FONT, LIGHT
from search.report.tables.compare import Comparison
from search.report.tables.side_by_side import choices, outcomes, winners
from search.report.tables.snapshot import NothingToShow, Snapshot
from search.report.wording import native

_LONGEST = 80
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title><style>
body {{ font: 16px/1.5 {font}; color: {ink}; max-width: 1100px; margin: 32px auto; padding: 0 16px; }}
h1 {{ font-size: 22px; margin: 0; }} p {{ color: {muted}; max-width: 46em; }} .swipe {{ display: none; }}
</style></head><body><h1>{title}</h1><p>{caption}</p>
{figure}
</body></html>
"""


@dataclass(frozen=True)
class Exported:
    """What was written, by name, and what was left out, with the reason."""

    written: tuple[str, ...]
    left_out: dict[str, str]


def export_tables(moment: Snapshot | Comparison, folder: Path) -> Exported:
    """Write the table behind every figure as NAME.csv and NAME.parquet.

    Beside them the trials and the measurements, of several runs with a column `run` and with what stands side by side
    on their page. A list or a dict in a cell is written as JSON. A figure with nothing to show has no file.
    """
    tables, left_out = _tables(moment)
    for name, table in tables.items():
        arrow = _arrow(table)
        with whole(folder / f"{name}.parquet") as unfinished:
            pq.write_table(arrow, unfinished, compression="zstd")
        with whole(folder / f"{name}.csv") as unfinished:
            pyarrow.csv.write_csv(arrow, unfinished)
    return Exported(tuple(tables), left_out)


def export_figures(moment: Snapshot | Comparison, folder: Path) -> Exported:
    """Write every figure as NAME.html, which shows it, and NAME.json, which Plotly reads.

    The HTML files share one plotly.min.js beside them and load nothing else. A figure with nothing to show has no file.
    """
    with whole(folder / "plotly.min.js") as unfinished:
        unfinished.write_text(get_plotlyjs(), encoding="utf-8")
    written: list[str] = []
    left_out = {}
    for chart, snap in _charts(moment):
        try:
            drawn = chart.drawn(snap)
        except NothingToShow as nothing:
            left_out[chart.name] = str(nothing)
            continue
        name = _file_name(chart.name, written)
        for kind, text in (("html", _page(chart, drawn, name)), ("json", drawn.figure.to_json())):
            with whole(folder / f"{name}.{kind}") as unfinished:
                unfinished.write_text(text, encoding="utf-8")
        written.append(name)
    return Exported(tuple(written), left_out)


def _charts(moment: Snapshot | Comparison) -> Iterable[tuple[Chart, Snapshot]]:
    if isinstance(moment, Snapshot):
        return [(chart, moment) for chart in charts(moment)]
    return [(chart, moment.runs[0]) for chart in comparisons(moment)]


def _tables(moment: Snapshot | Comparison) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    tables: dict[str, pd.DataFrame] = {}
    left_out: dict[str, str] = {}
    if isinstance(moment, Snapshot):
        tables |= {"trials": moment.trials, "measurements": moment.measurements}
        if moment.baselines:
            tables["baselines"] = _baselines(moment)
    else:
        tables["trials"] = _of_runs(moment, [run.trials for run in moment.runs])
        tables["measurements"] = _of_runs(moment, [run.measurements for run in moment.runs])
        if any(run.baselines for run in moment.runs):
            tables["baselines"] = _of_runs(moment, map(_baselines, moment.runs))
        tables |= {"runs": outcomes(moment), "choices": choices(moment)}
        try:
            tables["winners"] = winners(moment)
        except NothingToShow as nothing:
            left_out["winners"] = str(nothing)
    for chart, snap in _charts(moment):
        try:
            tables[_file_name(chart.name, tables)] = chart.table(snap)
        except NothingToShow as nothing:
            left_out[chart.name] = str(nothing)
    return tables, left_out


def _baselines(snap: Snapshot) -> pd.DataFrame:
    return pd.DataFrame({"baseline": list(snap.baselines), snap.goal.metric: list(snap.baselines.values())})


def _of_runs(several: Comparison, tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    parts = []
    for label, part in zip(several.labels, tables, strict=True):
        told = part.copy()
        told.insert(0, "run", label)
        parts.append(told.astype(object))
    return pd.concat(parts, ignore_index=True)


def _file_name(name: str, taken: Iterable[str]) -> str:
    """The name as every file system takes it: parameters, and so charts, are called anything."""
    return _free(re.sub(r"[^\w.-]+", "_", name)[:_LONGEST].strip("._") or "figure", taken)


def _free(name: str, taken: Iterable[str]) -> str:
    known = {other.lower() for other in taken}
    return next(
        free for free in (name, *(f"{name}_{n}" for n in range(2, len(known) + 3))) if free.lower() not in known
    )


def _arrow(table: pd.DataFrame) -> pa.Table:
    if not isinstance(table.index, pd.RangeIndex):
        table = table.reset_index(names=table.index.name or "name")
    names: list[str] = []
    for told in table.columns:
        names.append(_free(" ".join(map(str, told)) if isinstance(told, tuple) else str(told), names))
    return pa.table({name: _column(table.iloc[:, index]) for index, name in enumerate(names)})


def _column(cells: pd.Series) -> pa.Array:
    if isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(object)
    if cells.dtype != object:
        return pa.array(cells, from_pandas=False) if cells.dtype.kind == "f" else pa.array(cells)
    values = [_plain(cell) for cell in cells]
    made = column(values)
    return pa.array([None] * len(values), pa.string()) if pa.types.is_null(made.type) else made


def _plain(cell: Any) -> Any:
    if isinstance(cell, bytes):
        return None
    value = native(cell)
    if isinstance(value, float) and np.isnan(value):
        return None
    return json.dumps(value, default=str) if isinstance(value, list | dict) else value


def _page(chart: Chart, drawn: Drawn, name: str) -> str:
    figure = drawn.figure.to_html(
        full_html=False, include_plotlyjs="directory", div_id=name, config={"displaylogo": False, "responsive": True}
    )
    return _PAGE.format(
        title=esc(chart.title), caption=drawn.caption, figure=figure, font=FONT, ink=LIGHT.ink, muted=LIGHT.muted
    )
