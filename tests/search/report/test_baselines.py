"""Trivial models that trials report beside their metric: told at the head, dashed in figures, and no measure of
training anywhere."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import report_run as runs

from search.report import figures
from search.report.catalogue import charts
from search.report.export import export_tables
from search.report.page import report_html
from search.report.sections.answer import answer
from search.report.sections.verdicts import verdicts
from search.report.tables.baselines import in_view, shared_baselines
from search.report.tables.compare import comparison
from search.report.tables.snapshot import snapshot

OVER_TIME = ("history", "learning_curves", "best_over_time", "best_over_hours")
SCORES = {"mean_image": 17.5, "line <b>copied</b>": 16.25, "black": -40.0}


def reporting(scores, run=None, **columns):
    """A run whose trials report baselines; the first report of each does not."""
    run = run or runs.synthetic_run(40, ensemble=False)
    measured = run.measured.copy()
    for name, value in scores.items():
        measured[f"baseline/{name}/psnr"] = np.where(measured["iteration"] > 1, value, np.nan)
        measured[f"baseline/{name}/dead_units"] = 0.9
    return replace(run, measured=measured.assign(**columns))


@pytest.fixture(scope="module")
def run():
    return reporting(SCORES)


@pytest.fixture(scope="module")
def snap(run):
    return snapshot(run)


def drawn(snap, name):
    return next(chart for chart in charts(snap) if chart.name == name).drawn(snap)


def lines(figure):
    return [shape.y0 for shape in figure.layout.shapes if shape.line.dash == "dash"]


def test_they_are_read_from_the_reports_and_are_no_measures_of_training(snap):
    assert snap.baselines == SCORES
    assert not [name for name in snap.measurements if name.startswith("baseline/")]
    plain = snapshot(runs.synthetic_run(40, ensemble=False))
    pd.testing.assert_frame_equal(snap.measurements, plain.measurements)
    assert plain.baselines == {}


def test_the_best_trial_is_compared_with_what_it_has_reported_itself():
    run = runs.synthetic_run(40, ensemble=False)
    best = run.trials.at[snapshot(run).best, "trial_id"]
    run = reporting({}, run, **{"baseline/gray/psnr": np.where(run.measured["trial_id"] == best, 11.0, 12.0)})
    assert snapshot(run).baselines == {"gray": 11.0}
    others = run.measured[run.measured["trial_id"] != best]
    assert snapshot(replace(run, measured=others)).baselines == {"gray": 12.0}


@pytest.mark.parametrize("name", OVER_TIME)
def test_those_in_view_are_dashed_lines_with_names_and_the_others_are_told(snap, name):
    plain, beside = drawn(snapshot(runs.synthetic_run(40, ensemble=False)), name), drawn(snap, name)
    low, high = beside.figure.layout.yaxis.range
    near = {n: v for n, v in SCORES.items() if low <= v <= high}

    assert sorted(lines(beside.figure)) == sorted(near.values())
    assert lines(plain.figure) == []
    assert low <= plain.figure.layout.yaxis.range[0]
    assert high >= plain.figure.layout.yaxis.range[1]
    named = [a.text for a in beside.figure.layout.annotations if "baseline" not in a.text and "Trial" not in a.text]
    assert len(named) == len(near)
    assert "Dashed: the baseline" in beside.caption
    assert "Far below the chart:" in beside.caption
    assert "black −40.00\N{NO-BREAK SPACE}dB" in beside.caption
    assert "<b>copied" not in beside.caption + "".join(named)


def test_a_chart_makes_room_for_what_is_near_and_for_nothing_else():
    shown, ends = in_view({"inside": 15.0, "near": 8.0, "far": 4.0, "beyond": 26.0}, (10.0, 20.0))
    assert shown == {"inside": 15.0, "near": 8.0}
    assert ends == (pytest.approx(7.3), 20.0)
    assert in_view({"far": 4.0}, (10.0, 20.0)) == ({}, (10.0, 20.0))


@pytest.mark.parametrize("mode", ["max", "min"])
def test_a_search_that_learned_nothing_is_told_so(mode):
    run = runs.synthetic_run(40, ensemble=False)
    scores = run.trials["score"]
    good, bad = scores.max() + 0.5, scores.min() - 0.5
    run = replace(run, definition=run.definition | {"mode": mode})
    snap = snapshot(reporting({"high": good, "low": bad}, run))
    (unbeaten,) = {"max": ["high"], "min": ["low"]}[mode]

    assert [*snap.unbeaten()] == [unbeaten]
    assert verdicts(snap)[0].title == "No trial is better than a baseline"
    assert unbeaten in verdicts(snap)[0].text
    for name in ("history", "learning_curves"):
        assert f"The best trial is no better than the baseline {unbeaten}." in drawn(snap, name).caption

    beaten = snapshot(reporting({"poor": bad if mode == "max" else good}, run))
    assert beaten.unbeaten() == {}
    assert "No trial is better than a baseline" not in [verdict.title for verdict in verdicts(beaten)]
    assert "no better than" not in drawn(beaten, "history").caption


def test_an_equal_score_is_no_better_and_no_score_says_nothing():
    run = runs.synthetic_run(40, ensemble=False)
    assert snapshot(reporting({"gray": float(run.trials["score"].max())}, run)).unbeaten()
    nothing = replace(run, trials=run.trials.assign(score=np.nan, status="failed"))
    assert snapshot(reporting({"gray": 1.0}, nothing)).unbeaten() == {}


def test_finalists_are_compared_by_their_mean():
    run = runs.synthetic_run(40, ensemble=False)
    trials = run.trials.assign(reason="model", configuration=run.trials["number"])
    for row, score in zip(trials.index[-2:], (21.0, 23.0), strict=True):
        trials.loc[row, ["status", "reason", "configuration", "score"]] = ["finished", "retest", 1, score]
    run = replace(run, trials=trials)
    assert snapshot(reporting({"strong": 22.5}, run)).unbeaten() == {"strong": 22.5}
    assert snapshot(reporting({"strong": 21.5}, run)).unbeaten() == {}


def test_the_head_of_the_page_has_them_beside_the_best_score(snap):
    told = answer(snap, "huetune ensemble runs/x").replace("\N{NO-BREAK SPACE}", " ")
    best = "Baselines, on validation: mean image 17.50 dB, line &lt;b&gt;copied&lt;/b&gt; 16.25 dB, black −40.00 dB."
    assert best in told
    assert "aseline" not in answer(snapshot(runs.synthetic_run(40)), "huetune ensemble runs/x")


def test_they_appear_in_no_figure_as_a_measure(run, snap):
    page = report_html(run)
    assert "baseline/" not in page
    plain = [chart.name for chart in charts(snapshot(runs.synthetic_run(40, ensemble=False)))]
    assert [chart.name for chart in charts(snap)] == plain


def test_notebooks_draw_them_and_exports_hold_them(run, snap, tmp_path):
    assert lines(figures.learning_curves(run)) == lines(drawn(snap, "learning_curves").figure) != []

    export_tables(snap, tmp_path / "one")
    told = pd.read_csv(tmp_path / "one" / "baselines.csv")
    assert dict(zip(told["baseline"], told["psnr"], strict=True)) == SCORES
    export_tables(snapshot(runs.synthetic_run(12)), tmp_path / "none")
    assert not (tmp_path / "none" / "baselines.csv").exists()


def test_runs_are_compared_with_the_baselines_that_they_share(run, tmp_path):
    other = replace(reporting({"mean_image": 17.5, "black": 3.0}), definition=run.definition | {"name": "other"})
    several = comparison([run, other])
    assert shared_baselines(r.baselines for r in several.runs) == {k: v for k, v in SCORES.items() if k != "black"}
    figure = figures.compare_best([run, other])
    assert 17.5 in lines(figure)
    export_tables(several, tmp_path)
    told = pd.read_csv(tmp_path / "baselines.csv")
    assert list(told["run"]) == [several.labels[0]] * 3 + [several.labels[1]] * 2


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_a_browser_draws_them_with_readable_names(visit, run, tmp_path, width, theme):
    page_file = tmp_path / "report.html"
    page_file.write_text(report_html(run), encoding="utf-8")
    page = visit(page_file, width, theme)
    plot = page.locator("#history-plot")
    plot.scroll_into_view_if_needed()
    page.wait_for_selector("#history-plot[data-drawn]")

    stroke = "rgb(91, 99, 110)" if theme == "light" else "rgb(164, 171, 181)"
    dashed = plot.locator(".shapelayer path, .layer-below path").evaluate_all(
        "all => all.filter(p => p.style.strokeDasharray).map(p => [p.style.stroke, p.getBoundingClientRect().width])"
    )
    count = len(lines(drawn(snapshot(run), "history").figure))
    assert [colour for colour, _ in dashed] == [stroke] * count
    assert min(long for _, long in dashed) > 0.6 * plot.bounding_box()["width"]
    texts = plot.locator(".annotation text")
    assert texts.count() == count
    boxes = [texts.nth(i).bounding_box() for i in range(count)]
    frame = plot.bounding_box()
    for box in boxes:
        assert box["x"] >= frame["x"]
        assert box["x"] + box["width"] <= frame["x"] + frame["width"] + 1
    assert json.loads(json.dumps(boxes[0])) != boxes[-1] or count == 1
