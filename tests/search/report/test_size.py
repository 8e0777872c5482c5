"""How large a report of many trials is: the page within its budget, no figure that grows with the run."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs

from search.report.page import report_html
from search.results import Results

_SPEC = importlib.util.spec_from_file_location(
    "report_runs", Path(__file__).parents[3] / "benchmarks" / "report_runs.py"
)
runs = importlib.util.module_from_spec(_SPEC)
sys.modules["report_runs"] = runs
_SPEC.loader.exec_module(runs)


def parts(folder, trials):
    """Bytes of the page without Plotly, and of each piece of data on it."""
    page = report_html(Results(runs.write_synthetic(folder, trials, 20))).replace(get_plotlyjs(), "")
    found = re.findall(r'<script type="application/json" (?:data-for|id)="([^"]+)">(.*?)</script>', page, re.DOTALL)
    return len(page.encode()), {name: len(data.encode()) for name, data in found}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return parts(tmp_path_factory.mktemp("small") / "run", 200)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return parts(tmp_path_factory.mktemp("large") / "run", 2000)


def test_a_page_of_two_thousand_trials_is_small(large):
    assert large[0] < 3.5e6


def test_no_figure_grows_with_the_trials_beyond_its_bound(small, large):
    figures = {name: size for name, size in large[1].items() if name.endswith("-plot")}

    assert len(figures) >= 10
    assert {name: size for name, size in figures.items() if size > 300_000} == {}
    assert sum(figures.values()) < 2e6


def test_a_trial_takes_few_bytes_of_the_table(small, large):
    assert (large[1]["trial-data"] - small[1]["trial-data"]) / 1800 < 500


def test_the_same_seed_gives_the_same_run(tmp_path):
    for name in "ab":
        runs.write_synthetic(tmp_path / name, 30, 5, seed=3)

    a, b = (Results(tmp_path / name) for name in "ab")
    assert a.table().equals(b.table())
    assert a.measurements().equals(b.measurements())
    assert json.dumps(a.definition) == json.dumps(b.definition)
    assert len(a.table()) == 30
