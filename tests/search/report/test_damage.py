"""A run whose files are damaged or of another version: the report says which and stays as it was."""

import json

import pytest
import report_run as runs
from typer.testing import CliRunner

from search.cli import app


@pytest.fixture
def run(tmp_path):
    folder = runs.write_run(runs.synthetic_run(20, iterations=6), tmp_path / "run")
    (folder / "report.html").write_text("the one before")
    return folder


@pytest.mark.parametrize(
    "name", ["trials.parquet", "measurements/0.parquet", "ensemble/scores.parquet", "ensemble/pictures.parquet"]
)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_file_that_is_cut_short_is_named(run, name, share):
    whole = (run / name).read_bytes()
    (run / name).write_bytes(whole[: int(share * len(whole))])
    ended = CliRunner().invoke(app, ["report", str(run)])
    assert ended.exit_code == 1
    assert name in ended.output
    assert "damaged" in ended.output
    assert (run / "report.html").read_text() == "the one before"


def test_a_run_of_another_version_is_left_to_the_huetune_that_wrote_it(run):
    described = json.loads((run / "search.json").read_text())
    (run / "search.json").write_text(json.dumps({**described, "version": 99}))
    ended = CliRunner().invoke(app, ["report", str(run)])
    assert ended.exit_code == 1
    assert "version 99" in ended.output
    assert "the version of huetune that wrote it" in ended.output


def test_what_is_no_run_is_refused_with_the_next_step(tmp_path):
    ended = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert ended.exit_code == 1
    assert "Give the folder that `huetune run` printed" in ended.output


@pytest.mark.parametrize("option", ["--figures", "--data"])
def test_a_file_where_a_folder_should_be_is_told_and_left_alone(run, option):
    file = run / "report.html"
    ended = CliRunner().invoke(app, ["report", str(run), "-o", str(run / "new.html"), option, str(file)])
    assert ended.exit_code == 1
    assert "a file is there. Name another folder." in " ".join(ended.output.split())
    assert file.read_text() == "the one before"


def test_a_folder_where_the_page_should_be_is_told(run, tmp_path):
    ended = CliRunner().invoke(app, ["report", str(run), "-o", str(tmp_path)])
    assert ended.exit_code == 1
    assert "a folder is there. Name a file." in " ".join(ended.output.split())
