"""Tables and figures of a report as files: all of them, whole, and readable by other programs."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import report_run as runs

from search.report import export_figures, export_tables
from search.report.catalogue import charts, comparisons
from search.report.tables.compare import comparison
from search.report.tables.snapshot import NothingToShow, snapshot


@pytest.fixture(scope="module")
def moment():
    return snapshot(runs.synthetic_run(24, iterations=6))


def _stems(folder, kind):
    return {path.stem for path in folder.glob(f"*.{kind}")}


def _shown(every, moment):
    shown = set()
    for chart in every:
        try:
            chart.table(moment)
        except NothingToShow:
            continue
        shown.add(re.sub(r"[^\w.-]+", "_", chart.name))
    return shown


def test_every_table_of_the_catalogue_is_written_as_csv_and_parquet(moment, tmp_path):
    made = export_tables(moment, tmp_path / "new" / "data")

    expected = _shown(charts(moment), moment) | {"trials", "measurements"}
    assert _stems(tmp_path / "new" / "data", "csv") == _stems(tmp_path / "new" / "data", "parquet") == expected
    assert set(made.written) == expected
    assert len(list((tmp_path / "new" / "data").iterdir())) == 2 * len(expected)  # and nothing half-written


def test_a_table_comes_back_with_its_numbers(moment, tmp_path):
    export_tables(moment, tmp_path)
    for read in (pd.read_csv(tmp_path / "trials.csv"), pd.read_parquet(tmp_path / "trials.parquet")):
        assert read["number"].tolist() == moment.trials["number"].tolist()
        assert np.allclose(read["score"], moment.trials["score"], equal_nan=True)
        assert read["status"].tolist() == moment.trials["status"].tolist()
    measured = pd.read_parquet(tmp_path / "measurements.parquet")
    assert len(measured) == len(moment.measurements)
    assert np.isinf(measured["mse"]).sum() == np.isinf(moment.measurements["mse"]).sum()


def test_lists_and_dicts_are_json_and_mixtures_are_text(moment, tmp_path):
    cells = [[1, 2.5], {"a": None}, np.array([1, 2]), "text", None, 3]
    trials = moment.trials.head(6).assign(odd=pd.Series(cells, dtype=object), none=None)
    export_tables(replace(moment, trials=trials), tmp_path)

    for read in (pd.read_csv(tmp_path / "trials.csv"), pd.read_parquet(tmp_path / "trials.parquet")):
        odd = read["odd"].tolist()
        assert [json.loads(odd[i]) for i in (0, 1, 2, 5)] == [[1, 2.5], {"a": None}, [1, 2], 3]
        assert odd[3] == "text"
        assert pd.isna(odd[4])
        assert read["none"].isna().all()


def test_a_table_keeps_the_names_of_its_rows(moment, tmp_path):
    export_tables(moment, tmp_path)
    square = pd.read_csv(tmp_path / "error_correlation.csv")

    assert square.iloc[:, 0].tolist() == square.columns[1:].tolist()


def test_what_has_nothing_to_show_is_left_out_and_said_so(tmp_path):
    bare = snapshot(runs.synthetic_run(1, ensemble=False))
    for made in (export_tables(bare, tmp_path / "data"), export_figures(bare, tmp_path / "figures")):
        assert made.left_out["gains"] == "No ensemble has been made from this run yet."
        assert not set(made.left_out) & set(made.written)
    assert not (tmp_path / "data" / "gains.csv").exists()
    assert not (tmp_path / "figures" / "gains.html").exists()


def test_every_figure_is_written_as_html_and_json(moment, tmp_path):
    export_figures(moment, tmp_path)

    assert _stems(tmp_path, "html") == _stems(tmp_path, "json") == _shown(charts(moment), moment)
    read = json.loads((tmp_path / "history.json").read_text())
    assert {"data", "layout"} <= set(read)
    page = (tmp_path / "history.html").read_text(encoding="utf-8")
    assert re.findall(r'src="([^"]*)"', page) == ["plotly.min.js"]
    assert (tmp_path / "plotly.min.js").stat().st_size > 1e6
    assert "<h1>How the best score was found</h1>" in page


def test_names_of_parameters_become_names_of_files(tmp_path):
    made = runs.synthetic_run(12, ensemble=False)
    names = {"lr_g": "../up", "dropout": "a/b", "channels": "A B", "warmup": "a b"}
    space = {names.get(name, name): spec for name, spec in runs.SPACE.items()}
    trials = made.trials.rename(columns={f"config.{old}": f"config.{new}" for old, new in names.items()})
    run = replace(made, definition={**made.definition, "space": space}, trials=trials)
    export_tables(snapshot(run), tmp_path / "data")

    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert all(path.is_file() for path in (tmp_path / "data").iterdir())
    assert {"slice_a_b", "slice_A_B_2", "slice_a_b_3"} <= _stems(tmp_path / "data", "csv")


def test_several_runs_are_exported_with_the_name_of_each(tmp_path):
    made = runs.synthetic_run(10, ensemble=False)
    several = comparison([made, replace(made, definition={**made.definition, "name": "b", "method": "Random()"})])
    export_tables(several, tmp_path / "data")
    export_figures(several, tmp_path / "figures")

    names = {chart.name for chart in comparisons(several)}
    assert _stems(tmp_path / "data", "csv") == names | {"trials", "measurements", "runs", "winners", "choices"}
    assert _stems(tmp_path / "figures", "html") == names
    trials = pd.read_parquet(tmp_path / "data" / "trials.parquet")
    assert trials.groupby("run")["number"].count().to_dict() == {"spring-colours": 10, "b": 10}
