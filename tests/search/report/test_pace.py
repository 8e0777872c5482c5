"""How soon the best was found, by the clock and by what was spent."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.report.plots.pace import pace_figure
from search.report.sections.pace import CHARTS
from search.report.tables.pace import MOST_STEPS, best_over_hours, best_over_time
from search.report.tables.snapshot import Goal, NothingToShow, Snapshot

START = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)


def _snap(reports, *, maximize=True, definition=None, **trials):
    """`reports`: trial, minutes since the start, seconds of the trial, value."""
    measured = pd.DataFrame(reports, columns=["trial", "minutes", "seconds", "acc"])
    numbers = sorted(measured["trial"].unique())
    frame = pd.DataFrame({"trial_id": [f"t{n}" for n in numbers], "number": numbers, "status": "finished"})
    frame = frame.assign(**{"resources.gpu": 1.0, "resources.cpu": 2.0, **trials})
    measured = measured.assign(
        trial_id=[f"t{n}" for n in measured["trial"]],
        time=[START + timedelta(minutes=float(m)) for m in measured["minutes"]],
        iteration=measured.groupby("trial").cumcount() + 1,
    )
    goal = Goal("acc", maximize)
    return Snapshot({"started": START.isoformat(), **(definition or {})}, goal, (), frame, measured, None)


TWO = [(1, 10, 600, 0.5), (2, 12, 120, 0.4), (1, 20, 1200, 0.7), (2, 22, 720, 0.6), (2, 30, 1200, 0.8)]


def test_every_report_counts_as_it_comes_in():
    table = best_over_time(_snap(TWO))

    assert table["value"].tolist() == [0.5, 0.7, 0.8, 0.8]
    assert table["seconds"].tolist() == [600, 1200, 1800, 1800]
    assert table["number"].tolist() == [1, 1, 2, 2]
    assert table["iteration"].tolist() == [1, 2, 3, 3]


def test_where_lower_is_better_the_line_goes_down():
    table = best_over_time(_snap(TWO, maximize=False))

    assert table["value"].tolist() == [0.5, 0.4, 0.4]
    assert table["seconds"].tolist() == [600, 720, 1800]


def test_trials_side_by_side_add_up():
    table = best_over_hours(_snap(TWO))

    assert table.attrs["unit"] == "GPU"
    assert table["seconds"].tolist() == [600, 1320, 2400, 2400]


def test_without_gpus_the_cpus_are_counted_and_without_both_the_trials():
    assert best_over_hours(_snap(TWO, **{"resources.gpu": 0.0}))["seconds"].iloc[-1] == 4800
    assert best_over_hours(_snap(TWO, **{"resources.gpu": 0.0})).attrs["unit"] == "CPU"
    assert best_over_hours(_snap(TWO, **{"resources.gpu": 0.0, "resources.cpu": np.nan})).attrs["unit"] == "trial"


def test_a_trial_that_starts_anew_is_paid_for_twice():
    again = [(1, 10, 600, 0.5), (1, 15, 100, 0.4), (1, 25, 700, 0.6)]

    assert best_over_hours(_snap(again))["seconds"].iloc[-1] == 1200


def test_failed_trials_cost_and_do_not_count():
    snap = _snap(TWO, status=["finished", "failed"])

    assert best_over_time(snap)["value"].tolist() == [0.5, 0.7, 0.7]
    assert best_over_hours(snap)["seconds"].iloc[-1] == 2400


def test_values_that_are_not_finite_are_left_out():
    reports = [(1, 5, 300, np.nan), (1, 10, 600, 0.5), (1, 20, 1200, np.nan), (1, 30, 1800, 0.6)]

    assert best_over_time(_snap(reports))["value"].tolist() == [0.5, 0.6, 0.6]


def test_what_lies_between_two_sessions_is_no_time_of_the_run():
    night = timedelta(minutes=600)
    sessions = [
        {"started": START.isoformat(), "ended": (START + timedelta(minutes=21)).isoformat()},
        {"started": (START + night).isoformat(), "ended": None},
    ]
    late = [*TWO[:3], (2, 601, 720, 0.6), (2, 610, 1200, 0.8)]
    table = best_over_time(_snap(late, definition={"sessions": sessions}))

    assert table["seconds"].tolist() == [600, 1200, 31 * 60, 31 * 60]


def test_a_session_that_was_killed_ends_with_its_last_report():
    sessions = [{"started": START.isoformat(), "ended": None}]
    sessions += [{"started": (START + timedelta(minutes=600)).isoformat(), "ended": None}]
    late = [*TWO[:3], (2, 601, 720, 0.6), (2, 610, 1200, 0.8)]

    assert best_over_time(_snap(late, definition={"sessions": sessions}))["seconds"].iloc[-1] == 30 * 60


def test_where_the_last_report_counts_earlier_ones_do_not():
    reports = [(1, 10, 600, 0.9), (1, 20, 1200, 0.5), (2, 30, 600, 0.4), (2, 40, 1200, 0.6)]
    table = best_over_time(_snap(reports, definition={"score": "last"}))

    assert table["value"].tolist() == [0.5, 0.6, 0.6]


@settings(deadline=None)
@given(
    st.lists(st.floats(-1e3, 1e3) | st.just(float("nan")), min_size=2, max_size=60),
    st.booleans(),
)
def test_the_best_so_far_never_gets_worse_and_ends_at_the_best(values, maximize):
    reports = [(1 + n % 3, n, 60.0 * n, value) for n, value in enumerate(values)]
    finite = [value for value in values if np.isfinite(value)]
    snap = _snap(reports, maximize=maximize)
    if len(finite) < 2:
        with pytest.raises(NothingToShow):
            best_over_time(snap)
        return
    for table in (best_over_time(snap), best_over_hours(snap)):
        assert (table["value"].diff().dropna() * snap.goal.sign >= 0).all()
        assert (table["seconds"].diff().dropna() >= 0).all()
        assert table["value"].iloc[-1] == (max(finite) if maximize else min(finite))


def test_steps_are_few_whatever_the_number_of_reports():
    reports = [(1, n / 10, 6.0 * n, n / 5000) for n in range(5000)]
    table = best_over_time(_snap(reports))

    assert len(table) == MOST_STEPS + 1
    assert table["value"].iloc[[0, -1]].tolist() == [0.0, 4999 / 5000]
    assert len(pace_figure(table, Goal("acc", True), "seconds").to_json()) < 80_000


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m.iloc[:0], "No trial has reported a finite acc"),
        (lambda m: m.drop(columns="acc"), "No trial has reported a finite acc"),
        (lambda m: m.drop(columns="time"), "when they came"),
        (lambda m: m.iloc[:1], "two reports"),
        (lambda m: m.assign(time=None), "two reports"),
    ],
)
def test_without_what_is_needed_the_reason_is_told(change, reason):
    snap = _snap(TWO)
    snap = Snapshot(snap.definition, snap.goal, (), snap.trials, change(snap.measurements), None)
    for chart in CHARTS[:2]:
        with pytest.raises(NothingToShow, match=reason):
            chart.drawn(snap)


def test_times_as_text_are_read_too():
    snap = _snap(TWO)
    written = snap.measurements.assign(time=[t.isoformat() for t in snap.measurements["time"]])
    read = best_over_time(Snapshot(snap.definition, snap.goal, (), snap.trials, written, None))

    pd.testing.assert_frame_equal(read, best_over_time(snap))


def test_each_step_opens_its_trial_and_says_when():
    figure = pace_figure(best_over_time(_snap(TWO)), Goal("acc", True), "seconds")
    line, steps = figure.data

    assert line.x == (10, 20, 30, 30)
    assert figure.layout.xaxis.title.text == "minutes since the start"
    assert steps.customdata == (1, 1, 2)
    assert "after 20 min" in steps.hovertext[1]
    assert steps.marker.symbol == ("circle", "circle", "star")


def test_captions_tell_when_and_for_how_much():
    over_time, over_hours = (chart.drawn(_snap(TWO)).caption for chart in CHARTS[:2])

    assert "of trial 2, was found after 30 min of 30 min" in over_time
    assert "0.667 GPU-hours of the 0.667 GPU-hours spent" in over_hours
