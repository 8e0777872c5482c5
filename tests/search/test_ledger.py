"""Events in, rows out: what is known of trials, and which of their checkpoints are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from search.run_folder import RunFolder
from search.running.journal import Journal
from search.running.keeper import Keeper
from search.running.ledger import Event, Ledger


def suggested(trial: str, number: int, **suggestion: Any) -> Event:
    event: Event = {"event": "suggest", "trial": trial, "number": number, "suggestion": suggestion}
    return event | {"config": {"x": number}, "suggested_by": "Random()"}


def started(trial: str) -> Event:
    return {"event": "start", "trial": trial, "time": 0.0, "resources": {"CPU": 1.0}}


def reported(trial: str, iteration: int, value: float | None) -> Event:
    at = {"iteration": iteration, "seconds": float(iteration), "node": "here"}
    return {"event": "report", "trial": trial, "value": value, **at}


def ledger_of(*events: Event, **settings: Any) -> Ledger:
    ledger = Ledger(settings.pop("mode", "min"), **settings)
    for event in events:
        ledger.apply(event)
    return ledger


def test_a_trial_that_has_not_begun_has_no_row() -> None:
    ledger = ledger_of(suggested("a", 1))
    assert ledger.rows() == []
    ledger.apply(started("a"))
    assert [row["status"] for row in ledger.rows()] == ["running"]


def test_a_replica_names_the_trial_whose_configuration_it_has() -> None:
    ledger = ledger_of(
        suggested("a", 1, reason="coarse"),
        started("a"),
        suggested("b", 2, reason="repeat", replica_of="a"),
        started("b"),
    )
    assert [(row["configuration"], row["reason"]) for row in ledger.rows()] == [(1, "coarse"), (1, "repeat")]


@given(st.lists(st.tuples(st.integers(1, 6), st.none() | st.floats(-9, 9)), min_size=1, max_size=15))
def test_the_later_report_of_an_iteration_counts_and_best_is_over_those_that_count(
    reports: list[tuple[int, float | None]],
) -> None:
    ledger = ledger_of(suggested("a", 1), started("a"), *(reported("a", i, v) for i, v in reports))
    valid = [(i, v) for i, v in reports if v is not None]
    [row] = ledger.rows()
    counted = dict(valid)
    assert row["iterations"] == reports[-1][0]
    assert row["metric.last"] == (valid[-1][1] if valid else None)
    assert row["metric.best"] == min(counted.values(), default=None)
    if counted:
        assert counted[row["metric.best_iteration"]] == row["metric.best"]


def test_a_trial_that_failed_has_no_score() -> None:
    end = {"event": "end", "trial": "a", "status": "out of memory", "error": "full", "ended_by": None, "time": 1.0}
    [row] = ledger_of(suggested("a", 1), started("a"), reported("a", 1, 3.0), end).rows()
    assert (row["status"], row["score"], row["error"]) == ("out of memory", None, "full")


trials = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=12)


@given(trials, st.integers(1, 5), st.sampled_from(["min", "max"]))
def test_the_best_checkpoints_are_kept_and_replicas_of_finalists_before_all_others(
    arriving: list[tuple[float, bool]], keep: int, mode: Any
) -> None:
    ledger = Ledger(mode)
    keeper = Keeper(ledger, keep)
    for number, (value, replica) in enumerate(arriving):
        trial = f"t{number}"
        for event in (
            suggested(trial, number, reason="retest" if replica else "model"),
            started(trial),
            reported(trial, 1, value),
        ):
            ledger.apply(event)
        for event in keeper.weigh(ledger.entries[trial], value):
            ledger.apply(event)
    kept = sorted((e.kept_score for e in ledger.entries.values() if e.kept), key=lambda v: v or 0)
    sign = 1 if mode == "min" else -1
    ranked = sorted(arriving, key=lambda one: (not one[1], sign * one[0]))[:keep]
    assert kept == sorted(value for value, _ in ranked)


def test_a_trial_has_one_checkpoint_the_one_of_its_best_report() -> None:
    ledger = ledger_of(suggested("a", 1), started("a"))
    keeper = Keeper(ledger, 3)
    for iteration, value in enumerate([3.0, 1.0, 2.0], start=1):
        ledger.apply(reported("a", iteration, value))
        for event in keeper.weigh(ledger.entries["a"], value):
            ledger.apply(event)
    assert ledger.entries["a"].kept == "checkpoints/00001-000002"


class Bucket(RunFolder):
    """A run in what is no local disk, as far as the run can tell."""

    @property
    def is_local(self) -> bool:
        return False


def test_events_come_back_in_order_over_sessions_also_where_nothing_can_be_appended_to(tmp_path: Path) -> None:
    disk = RunFolder.open(tmp_path / "disk")
    (tmp_path / "bucket" / "journal").mkdir(parents=True)
    for folder in (disk, Bucket(disk.fs, str(tmp_path / "bucket"), "bucket")):
        for session in range(2):
            journal = Journal(folder)
            for number in range(2):
                journal.append({"event": "start", "trial": "a", "session": session, "n": number})
                journal.flush()
            journal.close()
        journal = Journal(folder)
        assert [(e["session"], e["n"]) for e in journal.read()] == [(0, 0), (0, 1), (1, 0), (1, 1)]
        journal.close()


def test_a_trial_counts_how_often_it_was_started_and_where_each_start_came_to() -> None:
    def seen(node: str, at: float) -> Event:
        return reported("a", 1, 1.0) | {"node": node, "time": at}

    again, later = started("a") | {"time": 5.0}, started("a") | {"time": 9.0}
    lost = {"event": "lost", "trial": "a", "time": 8.0, "why": "its machine went away", "crashed": False}
    alone = ledger_of(suggested("a", 1), started("a"), seen("n1", 2.0))
    several = ledger_of(suggested("a", 1), started("a"), seen("n1", 2.0), again, seen("n2", 7.0), lost, later)
    [once], [thrice] = alone.rows(), several.rows()
    assert (once["attempts"], once["history"]) == (1, None)
    assert thrice["attempts"] == 3
    assert json.loads(thrice["history"]) == [
        {"started": 0.0, "reported": 2.0, "node": "n1", "lost": None, "why": None, "crashed": False},
        {"started": 5.0, "reported": 7.0, "node": "n2", "lost": 8.0, "why": "its machine went away", "crashed": False},
        {"started": 9.0, "reported": None, "node": None, "lost": None, "why": None, "crashed": False},
    ]


def test_a_trial_that_was_lost_does_not_run_and_only_its_own_crashes_are_counted() -> None:
    def lost(crashed: bool) -> Event:
        return {"event": "lost", "trial": "a", "time": 1.0, "why": "", "crashed": crashed}

    ledger = ledger_of(suggested("a", 1), *(e for own in (True, False, True) for e in (started("a"), lost(own))))
    assert ledger.entries["a"].status == "interrupted"
    assert ledger.entries["a"].crashes == 2
    ledger.apply(started("a"))
    assert ledger.entries["a"].status == "running"


def test_a_start_without_a_report_has_no_node() -> None:
    [row] = ledger_of(suggested("a", 1), started("a"), started("a") | {"time": 5.0}).rows()
    assert [one["node"] for one in json.loads(row["history"])] == [None, None]
