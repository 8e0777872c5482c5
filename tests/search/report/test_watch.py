"""A report that is written again while its run goes on, and the open page that follows it without losing its place;
the command `huetune report` in all its forms."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import pandas as pd
import pytest
import report_run as runs
from typer.testing import CliRunner

from search.cli import app
from search.errors import RunError
from search.report.page import report_html, write_report
from search.report.watch import under_way, watch
from search.results import Results
from search.run_folder import RunFolder
from search.running.lease import Lock

WHOLE = runs.synthetic_run(60, iterations=6, ensemble=False)


def grown(trials, status="running"):
    """The same run at a moment when it had so many trials."""
    definition = {**WHOLE.definition, "status": status, "ended": None if status == "running" else "2026-03-06T00:00Z"}
    return replace(WHOLE, definition=definition, trials=WHOLE.trials.head(trials))


def huetune(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write(folder, trials, status="running"):
    # The definition last, as a run itself ends.
    made = runs.write_run(grown(trials, status), folder.with_name("other"))
    shutil.copytree(made, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("search.json"))
    shutil.copy(made / "search.json", folder / ".search.json")
    (folder / ".search.json").rename(folder / "search.json")
    shutil.rmtree(made)
    return folder


class Clock:
    """Sleeps that take no time; each of them lets the next thing happen."""

    def __init__(self, *events):
        self.events, self.slept = list(events), []

    def __call__(self, seconds):
        self.slept.append(seconds)
        self.events.pop(0)()


def test_a_report_is_written_until_the_run_has_ended_and_once_after_that(tmp_path):
    folder = write(tmp_path / "run", 5)
    results, built = Results(folder), []
    clock = Clock(lambda: write(folder, 9), lambda: write(folder, 12, "finished"))
    watch(lambda going: built.append((going, len(results.table()))), [results], 7.0, pytest.fail, clock)

    assert built == [(True, 5), (True, 9), (False, 12)]
    assert clock.slept == [7.0, 7.0]


def test_a_run_whose_driver_was_killed_is_not_watched_for_ever(tmp_path):
    folder = write(tmp_path / "run", 5)
    lock = Lock(RunFolder.open(folder))
    built = []
    watch(built.append, [Results(folder)], 1.0, pytest.fail, Clock(lock.release))  # as the system does for the dead
    assert built == [True, False]

    told = huetune("report", folder, "--watch", "1")
    assert told.exit_code == 0
    assert f"the driver of {folder} is gone; to go on: huetune resume {folder}" in told.stderr
    page = (folder / "report.html").read_text()
    assert "This search was interrupted" in page
    assert "Its driver is gone" in page
    assert "still running" not in page
    assert "interrupted (its driver is gone)" in huetune("results", folder).stdout


def test_a_run_that_has_ended_is_written_once(tmp_path):
    built = []
    watch(built.append, [Results(write(tmp_path / "run", 5, "finished"))], 1.0, pytest.fail, Clock())

    assert built == [False]


def test_a_page_of_several_runs_follows_until_the_last_has_ended(tmp_path):
    ended, going = (write(tmp_path / name, 5, status) for name, status in (("a", "finished"), ("b", "running")))

    assert under_way([Results(ended), Results(going)])
    assert not under_way([Results(ended)])


def test_a_build_that_meets_a_file_being_written_is_tried_again(tmp_path):
    folder = write(tmp_path / "run", 5)
    results, told, built = Results(folder), [], []
    cut = folder / "trials.parquet"
    whole = cut.read_bytes()

    def build(going):
        built.append(len(results.table()))

    clock = Clock(lambda: cut.write_bytes(whole[:100]), cut.unlink, lambda: write(folder, 8, "finished"))
    watch(build, [results], 1.0, lambda fault: told.append(str(fault)), clock)

    assert built == [5, 0, 8]
    assert len(told) == 1
    assert "trials.parquet" in told[0]


def test_what_fails_five_times_in_a_row_is_raised(tmp_path):
    told = []

    def build(going):
        raise RunError("damaged")

    with pytest.raises(RunError, match="damaged"):
        watch(build, [Results(write(tmp_path / "run", 5))], 1.0, told.append, Clock(*[lambda: None] * 4))
    assert len(told) == 4


def test_only_a_page_of_a_run_under_way_reloads_itself():
    assert '<body data-watch="7.5">' in report_html(grown(5), watch=7.5)
    assert "<body>" in report_html(grown(5))


def test_the_command_follows_a_run_to_its_end(tmp_path):
    folder = write(tmp_path / "run", 5)
    end = threading.Timer(2.5, lambda: write(folder, 9, "finished"))
    end.start()
    ran = huetune("report", folder, "--watch", 1, "--data", tmp_path / "data")
    end.join()

    assert ran.exit_code == 0, ran.output
    assert ": 5 trials" in ran.output
    assert f"report: {folder / 'report.html'}" in ran.output
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "<body>" in text
    assert len(pd.read_csv(tmp_path / "data" / "history.csv")) == 9


def test_ctrl_c_leaves_the_report_as_it_is(tmp_path):
    folder = write(tmp_path / "run", 5)
    command = [sys.executable, "-c", "from search.cli import main; main()", "report", str(folder), "--watch", "60"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        line = next(line for line in process.stderr if "5 trials" in line)
        assert "report.html" in line
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "the report stays as it was written last" in said
    assert (folder / "report.html").read_text(encoding="utf-8").rstrip().endswith("</html>")


def test_the_command_compares_several_runs(tmp_path):
    folders = [write(tmp_path / name, 20, "finished") for name in ("a", "b")]
    ran = huetune(
        "report", *folders, "-o", tmp_path / "both.html", "--data", tmp_path / "d", "--figures", tmp_path / "f"
    )

    assert ran.exit_code == 0, ran.output
    assert f"report: {tmp_path / 'both.html'}" in ran.output
    assert f"data: {tmp_path / 'd'}, 9 tables as CSV and Parquet" in ran.output
    assert f"figures: {tmp_path / 'f'}, 4 figures as HTML and JSON" in ran.output
    assert "huetune comparison" in (tmp_path / "both.html").read_text(encoding="utf-8")


def test_the_command_says_what_has_nothing_to_show(tmp_path):
    folder = write(tmp_path / "run", 1, "finished")
    ran = huetune("report", folder, "--data", tmp_path / "data")

    assert ran.exit_code == 0, ran.output
    assert "left out: gains: No ensemble has been made from this run yet." in ran.output


def test_runs_that_cannot_be_compared_are_refused(tmp_path):
    first, second = (write(tmp_path / name, 5, "finished") for name in ("a", "b"))
    definition = json.loads((second / "search.json").read_text())
    (second / "search.json").write_text(json.dumps({**definition, "metric": "mse", "mode": "min"}))
    ran = huetune("report", first, second, "-o", tmp_path / "both.html")

    assert ran.exit_code == 1
    assert "psnr (higher is better)" in ran.output
    assert "mse (lower is better)" in ran.output
    assert not (tmp_path / "both.html").exists()


@pytest.mark.parametrize("arguments", [("--watch", 0), ("--price", -1)])
def test_numbers_that_make_no_sense_are_refused(arguments, tmp_path):
    ran = huetune("report", write(tmp_path / "run", 2), *arguments)
    assert ran.exit_code == 2
    assert arguments[0] in ran.output


# In the browser.


@pytest.fixture
def opened(browser, tmp_path):
    """A page of a run under way that looks for a newer one every second; what went wrong is an error at the end."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page, troubles = context.new_page(), []
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    file = write_report(grown(30), tmp_path / "report.html", watch=1)
    page.goto(file.as_uri())
    yield page, file
    context.close()
    assert troubles == []


def _ended(page, file):
    """The run ends, its last page is written, and the open one has become that."""
    write_report(grown(60, "finished"), file)
    page.wait_for_selector("body:not([data-watch]) #trial-table", timeout=20_000)
    page.wait_for_load_state()


def _top(page, selector):
    return page.evaluate("selector => document.querySelector(selector).getBoundingClientRect().top", selector)


def test_the_open_page_follows_and_keeps_its_place(opened):
    page, file = opened
    page.locator("#trial-table thead th").nth(2).locator("button").click()
    page.fill("#filter", "finished")
    page.locator("#trial-table .opener").nth(9).click()
    row = page.locator("#trial-table tr.open").get_attribute("id")
    page.evaluate("row => scrollBy(0, document.getElementById(row).getBoundingClientRect().top - 300)", row)
    before = _top(page, f"#{row}")
    _ended(page, file)

    assert page.locator("#shown").inner_text().endswith("of 60 trials")
    assert page.input_value("#filter") == "finished"
    assert page.locator("#trial-table tr.open").get_attribute("id") == row
    assert page.locator(f"#{row} + tr.detail").count() == 1
    assert page.locator("#trial-table thead th").nth(2).get_attribute("aria-sort") == "descending"
    assert abs(_top(page, f"#{row}") - before) < 3
    assert page.evaluate("document.activeElement.closest('tr').id") == row


def test_a_figure_stays_in_view_and_keeps_its_zoom(opened):
    page, file = opened
    page.evaluate("document.getElementById('learning-curves').scrollIntoView({block: 'start'})")
    page.wait_for_selector("#learning-curves-plot[data-drawn]")
    page.evaluate("Plotly.relayout('learning-curves-plot', {'xaxis.range[0]': 2, 'xaxis.range[1]': 4})")
    before = _top(page, "#learning-curves")
    _ended(page, file)

    assert abs(_top(page, "#learning-curves") - before) < 3
    page.wait_for_selector("#learning-curves-plot[data-drawn]")
    ends = page.evaluate("document.getElementById('learning-curves-plot').layout.xaxis.range")
    assert ends == [2, 4]


def test_the_last_page_stays(opened):
    page, file = opened
    _ended(page, file)
    page.evaluate("window.first = true")
    page.wait_for_timeout(2500)

    assert page.evaluate("window.first") is True


@pytest.mark.parametrize(
    "hold",
    [
        "getSelection().selectAllChildren(document.querySelector('h1'))",
        "setInterval(() => document.getElementById('filter').dispatchEvent(new Event('input', {bubbles: true})), 300)",
        "dispatchEvent(new Event('pointerdown'))",
    ],
    ids=["text selected", "typing", "dragging"],
)
def test_the_page_waits_for_a_reader_who_is_at_something(opened, hold):
    page, _ = opened
    page.evaluate(f"window.first = true; {hold}")
    page.wait_for_timeout(2500)

    assert page.evaluate("window.first") is True


def test_a_page_at_its_top_stays_there_however_it_grows(opened):
    page, file = opened
    _ended(page, file)

    assert page.evaluate("scrollY") == 0
