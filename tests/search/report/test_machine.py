"""What a report tells of the machines: where trials ran, how busy everything was, what iterations and memory cost."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
import report_run as runs
from hypothesis import given, settings
from hypothesis import strategies as st

from search.report.markup import Sheet
from search.report.plots.machine import memory_figure, spread_figure
from search.report.plots.timeline import timeline_figure
from search.report.sections import machine as section
from search.report.tables.attempts import UNKNOWN_NODE, attempts, busy_until
from search.report.tables.machine import memory, seconds_per_iteration, timeline, utilisation
from search.report.tables.snapshot import NothingToShow, Snapshot, snapshot

synthetic_run = runs.synthetic_run

BEGAN = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def run_of(*trials: dict[str, Any], measured: list[dict[str, Any]] | None = None, **definition: Any) -> Snapshot:
    """A run of trials that say when they ran: start and end in seconds."""
    base = synthetic_run(1, 1, ensemble=False)
    rows = []
    for number, told in enumerate(trials, start=1):
        times = {"started": at(told["start"]), "ended": at(told["end"]) if "end" in told else None}
        rows.append({"trial_id": f"t{number}", "number": number, "status": "finished", "node": "a", **told, **times})
    columns = ["trial_id", "iteration", "seconds", "time"]
    reports = pd.DataFrame(measured or [], columns=None if measured else columns)
    table = pd.DataFrame(rows)
    table["ended"] = pd.to_datetime(table["ended"], utc=True)
    return snapshot(replace(base, definition={**base.definition, **definition}, trials=table, measured=reports))


def history(*starts: tuple[float, float | None, str | None]) -> str:
    def seconds(since: float | None) -> float | None:
        return None if since is None else at(since).timestamp()

    return json.dumps([{"started": seconds(s), "reported": seconds(r), "node": node} for s, r, node in starts])


spans = st.lists(
    st.tuples(st.floats(0, 900), st.floats(0, 300), st.sampled_from(["a", "b", "c"])), min_size=1, max_size=25
)


@settings(max_examples=40, deadline=None)
@given(spans)
def test_trials_that_ran_side_by_side_lie_in_different_slots_and_no_slot_is_one_too_many(
    drawn: list[tuple[float, float, str]],
) -> None:
    snap = run_of(*({"start": s, "end": s + length, "node": node} for s, length, node in drawn))
    table = attempts(snap)
    for (_, _), lane in table.groupby(["node", "slot"]):
        ordered = lane.sort_values(["start", "end"])
        assert (ordered["start"].to_numpy()[1:] >= ordered["end"].to_numpy()[:-1] - 1e-5).all()
    for _, node in table.groupby("node"):
        inner = node[node["end"] > node["start"]]
        most = max((((inner["start"] <= t) & (inner["end"] > t)).sum() for t in inner["start"]), default=1)
        zero = (node["end"] == node["start"]).sum()
        assert node["slot"].max() <= max(most, 1) + zero


@settings(max_examples=40, deadline=None)
@given(spans)
def test_lanes_are_busy_for_as_long_as_their_trials_ran(drawn: list[tuple[float, float, str]]) -> None:
    table = attempts(run_of(*({"start": s, "end": s + length, "node": node} for s, length, node in drawn)))
    busy = busy_until(table, np.array([0.0, table["end"].max()]))
    assert busy.shape == (table["lane"].nunique(), 2)
    assert busy[:, 0] == pytest.approx(0, abs=1e-5)
    assert busy[:, 1].sum() == pytest.approx((table["end"] - table["start"]).sum(), abs=1e-3)


def test_nodes_are_counted_in_the_order_in_which_they_were_used() -> None:
    snap = run_of({"start": 5, "end": 9, "node": "10.0.0.1"}, {"start": 0, "end": 9, "node": "10.0.0.3"})
    assert attempts(snap)["node"].tolist() == ["node 1 (10.0.0.3)", "node 2 (10.0.0.1)"]


def test_a_trial_that_was_started_again_on_another_node_has_a_bar_on_both() -> None:
    tried = history((0, 20, "a"), (30, 60, "b"))
    snap = run_of({"start": 0, "end": 60, "node": "b", "attempts": 2, "history": tried})
    table = attempts(snap)
    assert table["node"].tolist() == ["node 1 (a)", "node 2 (b)"]
    assert table[["start", "end"]].to_numpy().tolist() == [[0, 20], [30, 60]]
    assert table["status"].tolist() == ["lost", "finished"]
    assert table["attempt"].tolist() == [1, 2]
    assert "1 trial went on on another node" in section.CHARTS[0].drawn(snap).caption
    assert "went on" in [trace.name for trace in timeline_figure(table).data]


def test_a_start_that_a_session_ended_was_interrupted_and_not_lost() -> None:
    sessions = [{"started": at(-1).isoformat()}, {"started": at(29).isoformat()}]
    tried = history((0, 20, "a"), (30, 60, "a"))
    table = attempts(run_of({"start": 0, "end": 60, "history": tried}, sessions=sessions))
    assert table["status"].tolist() == ["interrupted", "finished"]


def test_a_long_break_is_cut_from_the_axis_and_told_of() -> None:
    snap = run_of({"start": 0, "end": 100}, {"start": 7300, "end": 7400}, {"start": 7410, "end": 7500})
    table = attempts(snap)
    assert table["start"].tolist() == [0, 100, 210]
    assert table.attrs["breaks"] == [(100, 7200)]
    assert "1 break in which nothing ran (2 h)" in section.CHARTS[0].drawn(snap).caption
    assert utilisation(snap).attrs["mean"] == pytest.approx(290 / 300)


def test_a_start_without_a_report_is_on_the_only_node_or_on_one_that_is_not_known() -> None:
    tried = history((0, None, None), (30, 60, "a"))
    alone = attempts(run_of({"start": 0, "end": 60, "history": tried}))
    assert set(alone["node"]) == {"node 1 (a)"}
    beside = attempts(run_of({"start": 0, "end": 60, "history": tried}, {"start": 0, "end": 9, "node": "b"}))
    assert UNKNOWN_NODE in set(beside["node"])
    assert not machine_moves(run_of({"start": 0, "end": 60, "history": tried}, {"start": 0, "end": 9, "node": "b"}))


def machine_moves(snap: Snapshot) -> bool:
    return "another node" in section.CHARTS[0].drawn(snap).caption


def test_what_still_runs_is_drawn_to_the_last_sign_of_life_and_what_was_interrupted_to_its_own() -> None:
    measured = [
        {"trial_id": "t1", "iteration": 1, "seconds": 10.0, "time": at(10)},
        {"trial_id": "t2", "iteration": 1, "seconds": 25.0, "time": at(25)},
    ]
    snap = run_of({"start": 0, "status": "interrupted"}, {"start": 0, "status": "running"}, measured=measured)
    assert attempts(snap)["end"].tolist() == [10, 25]


@pytest.mark.parametrize("broken", ["{", "[]", "null", '[{"node": "a"}, {}]'])
def test_a_history_that_cannot_be_read_takes_nothing_down(broken: str) -> None:
    assert len(attempts(run_of({"start": 0, "end": 5, "history": broken}))) == 1


def test_utilisation_counts_how_many_ran_at_once_and_how_much_of_that_was_idle() -> None:
    snap = run_of({"start": 0, "end": 10}, {"start": 0, "end": 5}, {"start": 7, "end": 10})
    table = utilisation(snap)
    assert table[["time", "running"]].to_numpy().tolist() == [[0, 2], [5, 1], [7, 2], [10, 0]]
    assert table.attrs["peak"] == 2
    assert table.attrs["mean"] == pytest.approx(1.8)
    assert table.attrs["idle"] == pytest.approx(0.1)
    assert table.attrs["waits"] == [2]
    assert [(slot, share) for _, slot, share in table.attrs["lanes"]] == [(1, 1.0), (2, 0.8)]


def test_a_slow_node_is_named_with_an_interval() -> None:
    rng = np.random.default_rng(0)
    trials = [{"start": n, "end": n + 99, "node": "slow" if n % 2 else "quick"} for n in range(40)]
    pace = [float(rng.uniform(1.9, 2.3) if n % 2 else rng.uniform(0.9, 1.1)) for n in range(40)]
    measured = [
        {"trial_id": f"t{n + 1}", "iteration": i, "seconds": pace[n] * i, "time": at(n + i)}
        for n in range(40)
        for i in (1, 2, 3)
    ]
    table = seconds_per_iteration(run_of(*trials, measured=measured))
    node, ratio, low, high = table.attrs["slow"]
    assert node == "node 2 (slow)"
    assert low <= ratio <= high
    assert low > 1.5
    same = [{**row, "seconds": row["iteration"] * 1.0} for row in measured]
    assert seconds_per_iteration(run_of(*trials, measured=same)).attrs["slow"] is None


def test_seconds_are_counted_for_the_node_that_a_report_came_from() -> None:
    measured = [
        {"trial_id": "t1", "iteration": i, "seconds": s, "time": at(s), "node": node, "attempt": attempt}
        for i, s, node, attempt in [(1, 1.0, "a", 1), (2, 2.0, "a", 1), (3, 12.0, "b", 2)]
    ]
    tried = history((0, 2, "a"), (3, 12, "b"))
    table = seconds_per_iteration(run_of({"start": 0, "end": 12, "node": "b", "history": tried}, measured=measured))
    assert dict(zip(table["node"], table["value"], strict=True)) == {"node 1 (a)": 1.0, "node 2 (b)": 10.0}


def with_memory(run: Any, per_channel: float, name: str = "memory_mib") -> Any:
    channels = run.measured["trial_id"].map(run.trials.set_index("trial_id")["config.channels"])
    noise = np.random.default_rng(0).normal(0, 1, len(run.measured))
    return replace(run, measured=run.measured.assign(**{name: 100 + per_channel * channels + noise}))


def test_memory_stands_against_the_parameter_that_goes_with_it_and_else_by_node() -> None:
    run = synthetic_run(40, ensemble=False)
    explained = memory(snapshot(with_memory(run, 10)))
    assert explained.attrs["parameter"] == "channels"
    assert explained.attrs["correlation"] > 0.9
    assert memory_figure(explained).layout.xaxis.title.text == "channels"
    assert memory(snapshot(with_memory(run, 0))).attrs["parameter"] is None
    on_gpu = memory(snapshot(with_memory(with_memory(run, 10), 1, "gpu_memory_mib")))
    assert on_gpu.attrs["gpu"]
    assert on_gpu.attrs["host"] is not None


def test_where_nothing_is_known_the_section_says_why() -> None:
    run = synthetic_run(6, ensemble=False)
    bare = replace(run, trials=run.trials.drop(columns=["started", "ended", "node"]), measured=run.measured.iloc[:0])
    html = section.machine(snapshot(bare), Sheet())
    assert html.startswith('<section id="machine">')
    for sentence in ("no trial of it says when it began", "two trials that reported their seconds", "its memory"):
        assert sentence in html
    empty = replace(run, trials=run.trials.iloc[:0], measured=run.measured.iloc[:0])
    with pytest.raises(NothingToShow, match="no trial has begun"):
        timeline(snapshot(empty))


def test_an_address_that_is_html_is_shown_as_text() -> None:
    snap = run_of({"start": 0, "end": 5, "node": "<script>x</script>"}, {"start": 5, "end": 9, "node": "b"})
    for chart in section.CHARTS[:2]:
        assert "<script>" not in chart.drawn(snap).figure.to_json().replace("\\u003c", "<")
        assert "<script>" not in chart.drawn(snap).caption


def test_a_bar_opens_its_trial_and_a_failed_one_has_a_cross_of_its_own() -> None:
    failed = {"start": 5, "end": 9, "status": "failed", "error": "RuntimeError: no"}
    figure = timeline_figure(timeline(run_of({"start": 0, "end": 5}, failed)))
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert sorted(int(n) for bar in bars for n in bar.customdata) == [1, 2]
    [cross] = [trace for trace in figure.data if trace.type == "scatter"]
    assert cross.marker.symbol == "x-thin"
    assert "RuntimeError: no" in cross.hovertext[0]


def repeated(run: Any, times: int) -> Any:
    """The trials of a run so many times over, one time after the other."""
    length = run.trials["ended"].max() - run.trials["started"].min()
    trials, measured = [], []
    for n in range(times):
        ids = run.trials["trial_id"] + f"-{n}"
        moments = {name: run.trials[name] + n * length for name in ("started", "ended")}
        trials.append(run.trials.assign(trial_id=ids, number=run.trials["number"] + n * len(run.trials), **moments))
        measured.append(run.measured.assign(trial_id=run.measured["trial_id"] + f"-{n}"))
    return replace(run, trials=pd.concat(trials), measured=pd.concat(measured))


def test_the_figures_of_ten_thousand_trials_stay_small() -> None:
    snap = snapshot(repeated(with_memory(synthetic_run(200, 3, ensemble=False), 10), 50))
    assert len(timeline(snap)) == 10_000
    for chart in section.CHARTS:
        assert len(chart.drawn(snap).figure.to_json()) < 100_000, chart.name
    assert "too many" in section.CHARTS[0].drawn(snap).caption


def test_few_trials_have_dots_and_no_box() -> None:
    table = pd.DataFrame({"number": [1, 2], "status": ["finished"] * 2, "node": ["node 1 (a)"] * 2, "value": [1.0, 2]})
    assert [trace.type for trace in spread_figure(table, "seconds").data] == ["scatter"]


def test_a_cluster_with_more_slots_than_can_be_told_apart_is_shown_by_node() -> None:
    trials = [{"start": n, "end": n + 500, "node": f"10.0.0.{n % 6}", "status": "failed"} for n in range(90)]
    snap = run_of(*trials)
    figure = timeline_figure(timeline(snap))
    assert len(figure.layout.yaxis.ticktext) == 90
    assert set(figure.layout.yaxis.ticktext) == {f"node {n + 1} (10.0.0.{n})" for n in range(6)}
    assert "how busy a node was" in section.CHARTS[0].drawn(snap).caption
    assert len(section.CHARTS[1].drawn(snap).figure.data[-1].y) == 6
