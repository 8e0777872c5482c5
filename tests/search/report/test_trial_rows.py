"""The table of trials: what the page holds of each, in how little room, and what a row opens in a browser."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import report_run as runs
from hypothesis import given
from hypothesis import strategies as st

from search.report.page import write_report
from search.report.tables.snapshot import snapshot
from search.report.tables.thinning import thin
from search.report.tables.trials import packed, trial_curves, trial_table
from search.report.wording import duration, literal, number


@pytest.fixture(scope="module")
def run():
    return runs.synthetic_run(60, ensemble=False)


@pytest.fixture(scope="module")
def snap(run):
    return snapshot(run)


def unpacked(column, rows):
    """What the page's script reads of a column."""
    if isinstance(column, list):
        return column
    if "all" in column:
        return [column["all"]] * rows
    if "some" in column:
        return [column["some"].get(str(row)) for row in range(rows)]
    return [None if at < 0 else column["of"][at] for at in column["at"]]


@given(st.lists(st.none() | st.sampled_from(["a", "b"]) | st.integers(2, 50)))
def test_a_packed_column_has_every_value_in_its_place(values):
    column = json.loads(json.dumps(packed(values)))

    assert unpacked(column, len(values)) == values


def test_a_column_is_written_as_short_as_it_can_be():
    assert packed(["x"] * 9) == {"all": "x"}
    assert packed([None] * 9 + ["x"]) == {"some": {"9": "x"}}
    assert packed(["a", "b"] * 9)["of"] == ["a", "b"]
    assert packed([1, 2, 3]) == [1, 2, 3]
    assert packed([float("nan"), pd.NaT, None]) == {"some": {}}


def test_configurations_are_whole_and_exact(run, snap):
    table = trial_table(snap)
    columns = {p["name"]: unpacked(p["values"], 60) for p in table["parameters"]}

    for row in (0, 7, 33):
        for name, value in snap.config(row).items():
            told = columns[name][row]
            assert (told[0] if isinstance(told, list) else literal(told)) == literal(value)
    assert columns["warmup"][3] is None  # every fourth trial has none
    assert next(p for p in table["parameters"] if p["name"] == "data")["values"] == {
        "all": ['"drawings-48"', "drawings-48"]
    }


def test_a_number_too_large_for_a_script_is_written_as_text(run):
    seeded = replace(run, trials=run.trials.assign(**{"config.seed": [2**60 + n for n in range(60)]}))
    seed = next(p for p in trial_table(snapshot(seeded))["parameters"] if p["name"] == "seed")

    assert seed["kind"] == "text"
    assert unpacked(seed["values"], 60)[1][0] == str(2**60 + 1)


def test_with_many_parameters_those_with_a_column_stay(run):
    wide = pd.DataFrame({f"config.p{i:03d}": np.linspace(i, 1 + i, 60) for i in range(500)})
    many = snapshot(replace(run, trials=pd.concat([run.trials, wide], axis=1)))
    table = trial_table(replace(many, trials=pd.concat([many.trials] * 100, ignore_index=True)))

    assert len(table["parameters"]) == 400_000 // 6000
    assert len(table["parameters"]) + table["left"] == 508
    assert [p["name"] for p in table["parameters"][:8]] == [p.name for p in many.varying[:8]]


def test_curves_are_thinned_and_keep_their_ends_and_extremes(run, snap):
    curves, cut = trial_curves(snap, points=6)
    row = snap.best
    iterations, values = curves[str(row)]
    whole = snap.curve(row)["value"]

    assert not cut
    assert len(values) <= 6
    assert (iterations[0], iterations[-1]) == (1, 12)
    assert min(values) == pytest.approx(whole.min(), abs=0.01)
    assert max(values) == pytest.approx(whole.max(), abs=0.01)


def test_a_curve_far_from_zero_keeps_its_shape(run):
    measured = run.measured.assign(psnr=1e6 + run.measured["iteration"] / 1000)
    curves, _ = trial_curves(snapshot(replace(run, measured=measured)))

    assert np.diff(curves["0"][1]) == pytest.approx(0.001, abs=1e-5)


def test_where_not_all_curves_have_room_the_best_and_the_failed_have_theirs():
    snap = snapshot(runs.synthetic_run(700, iterations=4, ensemble=False))
    measured = snap.measurements.dropna(subset=["psnr"])
    curves, cut = trial_curves(snap, most=int(0.9 * len(measured)))
    best = snap.counted().index[:500]
    failed = snap.trials.index[(snap.trials["status"] == "failed") & snap.trials["trial_id"].isin(measured["trial_id"])]

    assert cut
    assert {str(row) for row in [*best, *failed]} <= set(curves)
    assert len(curves) < 700


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.integers(4, 30), st.integers(0, 99))
def test_curves_thinned_together_are_those_thinned_alone(lengths, points, seed):
    values = np.random.default_rng(seed).normal(size=sum(lengths))
    curve = np.repeat(np.arange(len(lengths)), lengths)
    starts = np.cumsum([0, *lengths[:-1]])
    alone = [start + thin(values[start : start + n], points) for start, n in zip(starts, lengths, strict=True)]

    np.testing.assert_array_equal(thin(values, points, curve), np.concatenate(alone))


def test_the_errors_of_very_many_crashes_are_cut_to_the_line_that_says_why(run):
    trials = runs.synthetic_run(400, iterations=2, ensemble=False).trials
    trials = trials.assign(status="failed", score=np.nan, error="Traceback:\n" + "  at x\n" * 900 + "RuntimeError: no")
    table = trial_table(snapshot(replace(run, trials=trials)))
    errors = unpacked(table["error"], 400)

    assert table["why"] == {"all": "RuntimeError: no"}
    assert all(len(error) <= 3001 for error in errors[:200])
    assert set(errors[200:]) == {None}


# In a browser.


def opened(page, trial):
    """What the row of a trial has opened."""
    page.evaluate(f"location.hash = '#trial-{trial}'")
    detail = page.locator(f"#row-{trial} + tr.detail")
    detail.wait_for()
    return detail


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    run = runs.synthetic_run(60)
    good = run.trials.dropna(subset=["score"]).nlargest(2, "score")
    drawings = run.pictures[run.pictures["kind"] == "ensemble"]
    gallery = [
        {"strip": "trials", "trial_id": trial, "iteration": 12, "score": 19.0, "example": d.example, "image": d.image}
        for trial in good["trial_id"]
        for d in drawings.itertuples()
    ]
    run = replace(run, gallery=pd.DataFrame(gallery), logs={7: "epoch 1\n<b>epoch</b> 2\nKilled"})
    return write_report(run, tmp_path_factory.mktemp("report") / "report.html"), run


def test_a_row_opens_its_curve_its_checkpoint_and_its_facts(visit, report):
    path, run = report
    page = visit(path)
    row = run.trials[run.trials["checkpoint"].notna()].iloc[0]
    detail = opened(page, row["number"])
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    detail.locator(".path button").click()
    page.wait_for_function("async path => (await navigator.clipboard.readText()) === path", arg=row["checkpoint"])
    box = detail.locator("svg polyline").bounding_box()

    assert "PSNR from iteration 1 to 12" in detail.locator("svg").get_attribute("aria-label")
    assert box["width"] > 200
    assert box["height"] > 50
    assert row["trial_id"] in detail.locator(".facts").inner_text()


def test_a_row_shows_the_pictures_of_its_trial_that_the_page_has(visit, report):
    path, run = report
    page = visit(path)
    best = run.trials.loc[run.trials["score"].idxmax(), "number"]
    other = run.trials.loc[run.trials["score"].idxmin(), "number"]
    images = opened(page, best).locator(".thumbs img")

    assert images.count() == 3
    assert images.first.get_attribute("src").startswith("data:image/")
    assert f"trial {best}" in images.first.get_attribute("alt")
    assert opened(page, other).locator("img").count() == 0


def test_a_trial_that_crashed_shows_the_end_of_its_log_as_text(visit, report):
    path, _ = report
    log = opened(visit(path), 7).locator(".log")

    assert log.inner_text() == "epoch 1\n<b>epoch</b> 2\nKilled"
    assert log.locator("b").count() == 0


def test_scores_have_one_number_of_decimals(visit, tmp_path):
    run = runs.synthetic_run(3, ensemble=False)
    trials = run.trials.assign(status="finished", score=[19.42, 9.14, 20.0], error=None)
    page = visit(write_report(replace(run, trials=trials), tmp_path / "report.html"))
    page.wait_for_selector("tr.row")
    scores = page.locator("#trial-table tbody td:nth-child(3)").all_inner_texts()
    assert scores == ["19.42", "9.14", "20.00"]


def test_the_script_writes_numbers_as_the_page_does(visit, tmp_path):
    scores = [1e-5, -3.21987, 1e10 / 3, 19.4, 0.25, 1e9, -0.000123456, 99999.5, 1234.6, 7, 0.0, 5e7, 31415.9]
    seconds = [0.04, 9.94, 99.4, 100, 131, 599.6, 3000, 5999, 7200, 7380, 172799, 180000, 9e6]
    run = runs.synthetic_run(len(scores), ensemble=False)
    trials = run.trials.assign(
        status="finished", score=np.array(scores, float), seconds=np.array(seconds, float), error=None
    )
    page = visit(write_report(replace(run, trials=trials), tmp_path / "report.html"))
    page.wait_for_selector("tr.row")

    def column(n):
        return page.locator(f"#trial-table tbody td:nth-child({n})").all_inner_texts()

    assert column(3) == [number(float(score)) for score in scores]
    assert column(5) == [duration(float(span)) for span in seconds]


def test_a_configuration_is_python_with_the_very_values(visit, report):
    path, run = report
    page = visit(path)
    for trial in (2, 9):
        scope = {}
        exec(opened(page, trial).locator("pre[id^=config]").inner_text(), scope)
        assert scope["config"] == snapshot(run).config(trial - 1)
        assert type(scope["config"]["dropout"]) is float


def test_a_trial_far_down_is_opened_without_drawing_all_rows_above_it(visit, tmp_path):
    page = visit(
        write_report(runs.synthetic_run(600, 2, ensemble=False), tmp_path / "report.html"), fragment="#trial-580"
    )
    page.wait_for_selector("#row-580 + tr.detail")

    assert page.locator("tr.row").count() <= 50
    page.locator("#from-first").click()
    assert page.locator("tr.row").first.get_attribute("id") == "row-1"
    assert page.locator("#from-first").is_hidden()


def test_a_trial_without_a_curve_says_why(visit, tmp_path):
    run = runs.synthetic_run(20, ensemble=False)
    measured = run.measured.copy()
    ids = run.trials["trial_id"]
    measured.loc[measured["trial_id"] == ids[0], "psnr"] = np.nan
    measured = measured[(measured["trial_id"] != ids[1]) | (measured["iteration"] == 1)]
    page = visit(write_report(replace(run, measured=measured), tmp_path / "report.html"))

    assert "It reported no finite PSNR." in opened(page, 1).inner_text()
    assert "One report, at iteration 1" in opened(page, 2).inner_text()
