"""How the scores of a search are distributed."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.report.plots.distribution import distribution_figure
from search.report.sections.pace import CHARTS
from search.report.tables.distribution import MOST_LINES, MOST_POINTS, distribution
from search.report.tables.snapshot import Goal, NothingToShow, Snapshot


def _snap(score, maximize=True, **columns):
    n = len(score)
    trials = {"number": range(1, n + 1), "status": "finished", "stage": None, "suggested_by": None, "reason": None}
    frame = pd.DataFrame({**trials, "score": score, **columns})
    return Snapshot({}, Goal("acc", maximize), (), frame, pd.DataFrame(), 0)


def test_the_share_is_of_trials_at_least_so_good():
    table = distribution(_snap([0.1, 0.4, 0.3, 0.2]))

    assert table["score"].tolist() == [0.4, 0.3, 0.2, 0.1]
    assert table["share"].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert distribution(_snap([0.1, 0.4, 0.3, 0.2], maximize=False))["score"].tolist() == [0.1, 0.2, 0.3, 0.4]


def test_failed_trials_and_repeated_finalists_do_not_count():
    status, reason = ["failed", *["finished"] * 4], [None, None, None, None, "retest"]
    table = distribution(_snap([9.0, 0.4, 0.3, 0.2, 8.0], status=status, reason=reason))

    assert table["score"].tolist() == [0.4, 0.3, 0.2]


def test_each_stage_is_a_line_and_else_each_method():
    score = [0.1, 0.2, 0.3, 0.4]
    stages = _snap(score, stage=["a", "a", "b", "b"], suggested_by=["x", "y", "x", "y"])
    methods = _snap(score, suggested_by=["x", "y", "x", None])

    assert distribution(stages)["group"].unique().tolist() == ["a", "b"]
    assert distribution(methods).attrs["trials"] == {"x": 2, "y": 1, "not noted": 1}
    assert distribution(_snap(score))["group"].unique().tolist() == ["all trials"]


def test_of_many_stages_the_smallest_are_one_line():
    stage = [f"s{i}" for i in range(8) for _ in range(10 - i)]
    table = distribution(_snap(np.linspace(0, 1, len(stage)), stage=stage))

    assert len(table["group"].unique()) == MOST_LINES
    assert "others" in set(table["group"])
    assert sum(table.attrs["trials"].values()) == len(stage)


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=400), st.booleans())
def test_the_line_rises_to_all_from_the_best(scores, maximize):
    if len(set(scores)) < 2:
        return
    table = distribution(_snap(scores, maximize))

    assert len(table) <= MOST_POINTS
    assert table["share"].iloc[-1] == 1
    assert (table["share"].diff().dropna() > 0).all()
    assert table["score"].iloc[0] == (max(scores) if maximize else min(scores))
    assert table["score"].iloc[-1] == (min(scores) if maximize else max(scores))


def test_the_figure_does_not_grow_with_the_trials():
    random = np.random.default_rng(0)
    sizes = []
    for n in (200, 5000):
        snap = _snap(random.normal(size=n).round(4))
        sizes.append(len(distribution_figure(distribution(snap), snap.goal).to_json()))

    assert sizes[1] < 1.1 * sizes[0] < 60_000


def test_lines_differ_in_more_than_colour_and_their_names_stay_text():
    evil = "<script>%{x}</script>"
    snap = _snap([0.1, 0.2, 0.3, 0.4], stage=["a", "a", evil, evil])
    drawn = next(chart for chart in CHARTS if chart.name == "score_distribution").drawn(snap)
    first, second = drawn.figure.data

    assert first.line.dash != second.line.dash
    assert "<script>" not in drawn.figure.to_json() + drawn.caption


def test_the_caption_counts_who_came_close():
    snap = _snap([*np.linspace(0, 1, 99), 1.0], status=["stopped"] * 10 + ["finished"] * 90)
    drawn = next(chart for chart in CHARTS if chart.name == "score_distribution").drawn(snap)

    assert distribution(snap).attrs["close"] == 0.1
    assert "11 of 100 trials came within 0.1 of the best." in drawn.caption
    assert "10 trials stopped early" in drawn.caption


@pytest.mark.parametrize(
    ("score", "reason"),
    [([0.1, 0.2], "three trials"), ([np.nan] * 9, "three trials"), ([0.5] * 9, "equal"), ([], "three trials")],
)
def test_where_there_is_no_distribution_the_reason_is_told(score, reason):
    with pytest.raises(NothingToShow, match=reason):
        distribution(_snap(score))
